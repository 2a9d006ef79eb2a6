"""The compiled decoder and the models read the same, of whatever comes."""

from __future__ import annotations

import json
import random

import pytest

from daemon.core import alertmanager
from daemon.core.alertmanager import Delivery, NotADelivery, parse_delivery
from daemon.core.wire_delivery import decode_delivery
from tests.core.test_alertmanager import alert, body
from tests.fuzz.mutation import mutated

MUTATIONS = 3000
USUAL = json.dumps(body(alerts=[alert(), alert(fingerprint=""), alert(status="resolved")])).encode()
MOMENT = b"2026-03-01T14:03:20.123456789Z"
WORDS = (b'"alerts"', b'"status"', b'"firing"', b'"labels"', b"null", b"1e3", b'"\\ud83d\\ude00"')


def read(raw: bytes) -> object:
    """What comes of it: all that the delivery says, or why it is none."""
    try:
        delivery = parse_delivery(raw)
    except NotADelivery as error:
        return str(error), error.version
    return delivery, delivery.model_dump_json(), delivery.identity


def by_models(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> object:
    with monkeypatch.context() as patched:
        patched.setattr(alertmanager, "decode_delivery", lambda _: None)
        return read(raw)


def test_the_usual_body_needs_no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    before = by_models(USUAL, monkeypatch)
    monkeypatch.setattr(Delivery, "model_validate_json", None)
    assert read(USUAL) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (MOMENT, b"2026-03-01T14:03:20.9999999+05:30"),
        (MOMENT, b"2026-03-01T14:03:20-00:00"),
        (MOMENT, b"2026-03-01T14:03:20+02:60"),
        (MOMENT, b"2026-03-01T24:00:00Z"),
        (MOMENT, b"2026-03-01T14:03:60Z"),
        (MOMENT, b"0001-01-01T00:00:00+01:00"),
        (MOMENT, b"0000-01-01T00:00:00Z"),
        (MOMENT, b"2026-03-01 14:03:20Z"),
        (MOMENT, b"20260301T140320Z"),
        (MOMENT, b"2026-03-01T14:03:20"),
        (b'"' + MOMENT + b'"', b"1772373800"),
        (b'"truncatedAlerts": 0', b'"truncatedAlerts": 3.0'),
        (b'"truncatedAlerts": 0', b'"truncatedAlerts": -1'),
        (b'"truncatedAlerts": 0', b'"truncatedAlerts": true'),
        (b'"truncatedAlerts": 0', b'"truncatedAlerts": 30000000000000000000000000'),
        (b'"version": "4"', b'"version": "3", "version": "4"'),
        (b'"version": "4"', b'"version": "4", "newer": [NaN, {"deep": null}]'),
        (b'"startsAt"', b'"starts_at"'),
        (b"5 % fail", b"\xff"),
        (b"5 % fail", b"\x01"),
        (b"5 % fail", b"\\ud800"),
        (b"5 % fail", b"\\u0000"),
        (b'"5 % fail"', b"null"),
        (b'"labels": {', b'"labels": {"blob": "' + b"x" * 16_385 + b'", '),
        (b'"labels": {', b'"labels": {"blob": "' + b"x" * 5_000 + b'", '),
        (b"{", b"\xef\xbb\xbf{"),
    ],
)
def test_what_is_written_otherwise_is_read_as_the_models_do(
    old: bytes, new: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = USUAL.replace(old, new, 1)
    assert raw != USUAL
    assert read(raw) == by_models(raw, monkeypatch)


def test_a_mutated_body_is_read_as_the_models_do(monkeypatch: pytest.MonkeyPatch) -> None:
    source = random.Random(20)  # noqa: S311 - it is no secret
    decoded = 0
    for _ in range(MUTATIONS):
        raw = mutated((USUAL,), WORDS, source)
        decoded += decode_delivery(raw) is not None
        assert read(raw) == by_models(raw, monkeypatch), raw
    assert decoded > MUTATIONS / 10
