"""Which key signs, which still verify and for how long, and what a rotation leaves behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from daemon.core.people.signing_keys import KEPT_KEYS, SigningKey, SigningKeys

T0 = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
DAY, YEAR = timedelta(days=1), timedelta(days=365)


def key(number: int, at: datetime = T0, by: str = "ada") -> SigningKey:
    return SigningKey(id=f"{number:08x}", secret=f"secret {number}", made_at=at, made_by=by)


ONE = SigningKeys(keys=(key(1),))


def rotated(keys: SigningKeys, number: int, at: datetime, *, revoke: bool = False) -> SigningKeys:
    return keys.rotated(key(number, at, "bo"), revoke=revoke, longest=YEAR)


def test_the_new_key_signs_and_the_one_before_verifies_as_long_as_what_it_signed_lives() -> None:
    keys = rotated(ONE, 2, T0 + DAY)
    assert keys.signing.secret == "secret 2"
    assert keys.keys[0].retired_by == "bo"
    assert keys.secrets(T0 + 2 * DAY, DAY) == ["secret 1", "secret 2"]
    late = T0 + 2 * DAY + timedelta(seconds=1)
    assert keys.secrets(late, DAY) == ["secret 2"]
    assert keys.secrets(late, YEAR) == ["secret 1", "secret 2"]
    assert [k.state(late, YEAR) for k in keys.keys] == ["verifies", "signs"]
    assert [k.state(late, DAY) for k in keys.keys] == ["over", "signs"]


def test_two_rotations_leave_each_its_own_time() -> None:
    keys = rotated(rotated(ONE, 2, T0 + DAY), 3, T0 + 1.5 * DAY)
    assert keys.secrets(T0 + 2 * DAY, DAY) == ["secret 1", "secret 2", "secret 3"]
    assert keys.secrets(T0 + 2.1 * DAY, DAY) == ["secret 2", "secret 3"]
    assert keys.secrets(T0 + 2.6 * DAY, DAY) == ["secret 3"]
    assert keys.keys[0].retired_at == T0 + DAY  # the second one did not prolong it


def test_what_is_revoked_verifies_nothing_and_keeps_no_secret() -> None:
    keys = rotated(rotated(ONE, 2, T0), 3, T0 + DAY, revoke=True)
    assert keys.secrets(T0 + DAY, YEAR) == ["secret 3"]
    assert [k.secret for k in keys.keys] == ["", "", "secret 3"]
    assert [k.state(T0 + DAY, YEAR) for k in keys.keys] == ["revoked", "revoked", "signs"]


def test_a_secret_without_use_is_forgotten_and_its_key_is_still_listed() -> None:
    keys = rotated(rotated(ONE, 2, T0), 3, T0 + YEAR + DAY)
    assert [k.secret for k in keys.keys] == ["", "secret 2", "secret 3"]
    assert keys.keys[0].state(T0 + YEAR + DAY, YEAR) == "over"
    assert not rotated(keys, 4, T0 + YEAR + DAY, revoke=True).keys[0].revoked


def test_the_list_does_not_grow_for_ever_and_what_verifies_is_never_dropped() -> None:
    keys = ONE
    for number in range(2, 60):
        keys = rotated(keys, number, T0, revoke=number < 40)
    assert len(keys.secrets(T0, YEAR)) == 60 - 39
    assert len([k for k in keys.keys if not k.secret]) == KEPT_KEYS
    assert keys.signing == key(59, T0, "bo")


@pytest.mark.parametrize("show", [repr, str])
def test_no_secret_is_shown(show: object) -> None:
    assert callable(show)
    assert "secret 1" not in show(ONE)
