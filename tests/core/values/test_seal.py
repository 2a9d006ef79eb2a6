"""Digests, keys and anchors: what the journal's truth hangs on."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.values.anchor import Anchor, anchors
from daemon.core.values.seal import UNKEYED, Keyring, Seal, key_of
from tests.core.build import NOW

KEY = "a key that is long enough"
columns = st.lists(st.integers() | st.text(st.characters(exclude_categories=["Cs"])), max_size=5)


@given(st.text(), columns)
def test_without_a_key_it_is_sha256_of_the_json(previous: str, columns: list[str | int]) -> None:
    text = json.dumps([previous, *columns]).encode()
    assert UNKEYED.digest(previous, *columns) == hashlib.sha256(text).hexdigest()


@given(st.text(), columns)
def test_with_a_key_it_is_hmac_of_the_json(previous: str, columns: list[str | int]) -> None:
    seal = Seal(KEY)
    text = json.dumps([previous, *columns]).encode()
    expected = hmac.new(KEY.encode(), text, "sha256").hexdigest()
    assert seal.digest(previous, *columns) == f"hmac-sha256:{seal.id}:{expected}"


def test_a_digest_tells_its_key_and_the_keyring_finds_it() -> None:
    old, new = Seal(KEY), Seal(f"{KEY} and newer")
    keyring = Keyring(new, [old])
    assert old.id != new.id
    for seal in (UNKEYED, old, new):
        assert key_of(seal.digest("", "x")) == seal.id
        assert keyring.find(seal.id) is seal
    assert keyring.find("another") is None


@pytest.mark.parametrize("seal", [UNKEYED, Seal(KEY)], ids=["sha256", "hmac"])
def test_an_anchor_survives_mail_and_logs(seal: Seal) -> None:
    first = Anchor(number=7, at=NOW, digest=seal.digest("", 7))
    second = Anchor(number=10**9, at=NOW.replace(microsecond=5), digest=seal.digest("", 8))
    assert anchors(f"> {first}\nkept by cron: {second}.\n") == [first, second]


@pytest.mark.parametrize("text", ["", "stopgap-anchor", "stopgap-anchor x y z", "a" * 90])
def test_what_is_no_anchor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no anchor in it"):
        anchors(text)
