"""The label of a test alert: known if it is exactly what was signed, and of late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.reconciliation.probe_alerts import (
    PROBE_LABEL,
    VALID_FOR,
    probe_number,
    signed_labels,
)

NOW = datetime(2026, 3, 1, 14, 3, 20, tzinfo=UTC)
SECRET = "the key"
LABELS = {"alertname": "StopgapTestAlert_1", "team": "shop"}
SIGNED = signed_labels(LABELS, "abc", SECRET, NOW)


def test_what_was_signed_is_known_by_its_number_as_long_as_it_is_new() -> None:
    assert {n: v for n, v in SIGNED.items() if n != PROBE_LABEL} == LABELS
    assert probe_number(SIGNED, ["older key", SECRET], NOW) == "abc"
    assert probe_number(SIGNED, [SECRET], NOW + VALID_FOR) == "abc"
    assert probe_number(SIGNED, [SECRET], NOW + VALID_FOR + timedelta(seconds=1)) == ""
    assert probe_number(SIGNED, ["another key"], NOW) == ""
    assert probe_number(SIGNED, [], NOW) == ""
    assert probe_number(LABELS, [SECRET], NOW) == ""


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_its_label_hides_no_other_alert(others: dict[str, str]) -> None:
    other = {**others, PROBE_LABEL: SIGNED[PROBE_LABEL]}
    assert probe_number(other, [SECRET], NOW) == ""
    more = {**SIGNED, "more": "x"}
    assert probe_number(more, [SECRET], NOW) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "abc",
        "abc.1.x",
        "abc.-1.x",
        "abc.99999999999999.x",
        "abc.²34.x",
        ".1796024395.x",
    ],
)
def test_a_broken_label_is_none_of_ours(text: str) -> None:
    assert probe_number({**LABELS, PROBE_LABEL: text}, [SECRET], NOW) == ""


def test_its_time_cannot_be_stretched() -> None:
    number, until, signature = SIGNED[PROBE_LABEL].split(".")
    longer = f"{number}.{int(until) + 9999}.{signature}"
    assert probe_number({**LABELS, PROBE_LABEL: longer}, [SECRET], NOW) == ""
