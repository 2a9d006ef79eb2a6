"""How a drill is told from what is real, and how people see it first."""

from __future__ import annotations

import pytest

from daemon.core.recovery.guardrails import group_of, service_of
from daemon.core.rules.rule import incident_key
from daemon.core.values.drill_key import (
    drill_incident,
    drill_key,
    drill_of,
    is_drill_incident,
    marked,
    marked_subject,
    plain_key,
)

RUN = "1130-0126-abcdef"
KEY = incident_key("errors", {"service": "shop"})


def test_a_key_tells_its_run_and_what_it_would_be_in_earnest() -> None:
    drilled = drill_key(RUN, KEY)
    assert (drill_of(drilled), plain_key(drilled)) == (RUN, KEY)
    assert (drill_of(KEY), plain_key(KEY)) == ("", KEY)
    assert (service_of(drilled), group_of(drilled)) == ("shop", {"service": "shop"})


@pytest.mark.parametrize("name", ["drill", f"drill:{RUN}", f"drill:{RUN}:x"])
def test_no_rule_and_no_label_makes_a_key_of_a_drill(name: str) -> None:
    assert drill_of(incident_key(name, {"service": name})) == ""


def test_the_id_of_an_incident_tells_it_too() -> None:
    assert is_drill_incident(drill_incident(RUN, "wxyz"))
    assert not is_drill_incident("1130-0126-abcdef")


def test_the_mark_is_first_and_once() -> None:
    assert marked(marked("it fails")) == "[DRILL] it fails"


@pytest.mark.parametrize(
    ("title", "subject"),
    [
        ("shop: it fails", "[sev2] shop: it fails"),
        ("[DRILL] shop: it fails", "[DRILL] [sev2] shop: it fails"),
    ],
)
def test_a_subject_begins_with_the_mark_if_there_is_one(title: str, subject: str) -> None:
    assert marked_subject("[sev2]", title) == subject
