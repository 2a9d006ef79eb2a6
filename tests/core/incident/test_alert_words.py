"""The alert's own words: kept, shortened, and never a link that is none."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.alertmanager import Alert
from daemon.core.incident import events as e
from daemon.core.incident.alert_words import (
    ADDRESS,
    DESCRIPTION,
    SHOWN,
    SUMMARY,
    alert_links,
    alert_words,
    first_summary,
    http_address,
    silence_link,
)
from daemon.core.incident.state import Incident
from tests.core.build import NOW, ago, make_incident

AM = "https://alertmanager.example.org/base/"
GRAFANA = "https://grafana.example.org/sub/alerting/grafana/x/view"


def an_alert(annotations: dict[str, str], source: str = "", **labels: str) -> Alert:
    told: dict[str, Any] = {"alertname": "DiskFull", **labels}
    return Alert.model_validate(
        {
            "status": "firing",
            "labels": told,
            "annotations": annotations,
            "startsAt": ago(2),
            "generatorURL": source,
        }
    )


def told(*alerts: Alert, external_url: str = AM) -> Incident:
    return make_incident((NOW, e.AlertsReceived(alerts=alerts, external_url=external_url)))


def links(*alerts: Alert) -> dict[str, str]:
    return {link.name: link.url for link in alert_links(told(*alerts, external_url=""))}


def test_what_the_alert_says_is_kept_on_one_line_without_control_characters() -> None:
    (words,) = alert_words(
        told(an_alert({"summary": "full\x1b[31m\nat once", "description": "d\u202ex"}))
    )
    assert (words.alert, words.summary) == ("DiskFull", "full [31m at once")
    assert words.description == "d x"


def test_long_texts_are_cut() -> None:
    (words,) = alert_words(told(an_alert({"summary": "s" * 999, "description": "d" * 9999})))
    assert len(words.summary) == SUMMARY
    assert len(words.description) == DESCRIPTION
    assert words.summary.endswith("…")


def test_what_says_the_same_is_told_once_and_what_fires_comes_first() -> None:
    over = an_alert({"summary": "old"}, node="0").model_copy(update={"status": "resolved"})
    many = [an_alert({"summary": f"node {n % 5}"}, node=str(n)) for n in range(1, 40)]
    words = alert_words(told(over, *many))
    assert [one.summary for one in words] == ["node 1", "node 2", "node 3"]
    assert len(words) == SHOWN
    assert first_summary(told(an_alert({"description": "only that"}))) == "only that"
    assert first_summary(told(an_alert({}))) == ""


@pytest.mark.parametrize(
    ("annotations", "source", "found"),
    [
        ({"runbook_url": "https://r.example/1"}, "", {"Runbook": "https://r.example/1"}),
        ({"dashboard_url": "http://d/1"}, "", {"Dashboard": "http://d/1"}),
        ({"dashboard": "http://d/2"}, "", {"Dashboard": "http://d/2"}),
        ({"dashboard": "Shop overview"}, "", {}),
        ({}, "http://prom/graph?g0.expr=x", {"Source": "http://prom/graph?g0.expr=x"}),
        (
            {"__dashboardUid__": "ab/c", "__panelId__": "3"},
            GRAFANA,
            {
                "Dashboard": "https://grafana.example.org/sub/d/ab%2Fc?viewPanel=3",
                "Source": GRAFANA,
            },
        ),
        ({"__dashboardUid__": "abc"}, "http://prom/graph", {"Source": "http://prom/graph"}),
        ({"runbook_url": "javascript:alert(1)"}, "data:text/html,x", {}),
        (
            {"runbook_url": "http://r/1", "dashboard_url": "http://r/1"},
            "",
            {"Dashboard": "http://r/1"},
        ),
    ],
)
def test_where_an_alert_leads_to(
    annotations: dict[str, str], source: str, found: dict[str, str]
) -> None:
    assert links(an_alert(annotations, source)) == found


@pytest.mark.parametrize(
    "text",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "//host/x",
        "host/x",
        "http://",
        "http://[::1",
        "http://a b",
        "http://a\nb",
        "http://a\x1b",
        "https://h/" + "x" * ADDRESS,
        "",
    ],
)
def test_what_is_no_address_of_http_becomes_no_link(text: str) -> None:
    assert http_address(text) == ""


def test_the_silence_link_has_exactly_what_the_alerts_have_in_common() -> None:
    one = an_alert({}, service='a"b\\c d&e', node="1", **{"my.label": "ü"})
    other = an_alert({}, service='a"b\\c d&e', node="2", **{"my.label": "ü"})
    link = silence_link(told(one, other))
    head, _, query = link.partition("#/silences/new?filter=")
    assert head == AM
    assert not set(query) & set('"{}\\ &#')
    expected = '{alertname="DiskFull","my.label"="ü",service="a\\"b\\\\c d&e"}'
    assert unquote(query) == expected


def test_without_alertmanagers_address_there_is_no_silence_link() -> None:
    assert silence_link(told(an_alert({}), external_url="")) == ""
    assert silence_link(told(an_alert({}), external_url="javascript:x")) == ""
    assert silence_link(make_incident()) == ""


def test_alertmanagers_address_is_that_of_its_last_word() -> None:
    alert = an_alert({})
    incident = make_incident(
        e.AlertsReceived(alerts=(alert,), external_url="http://a"),
        e.AlertsReceived(alerts=(alert,), external_url="http://b"),
        e.AlertsReceived(alerts=(alert,)),
    )
    assert incident.alertmanager_url == "http://b"


values = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(values)
def test_any_value_of_a_label_is_quoted_so_that_a_matcher_reads_it_again(value: str) -> None:
    link = silence_link(told(an_alert({}, service=value)))
    matchers = unquote(link.partition("filter=")[2])
    text = matchers[1:-1].partition("service=")[2]
    read = text[1:-1].replace("\\\\", "\0").replace('\\"', '"').replace("\\n", "\n")
    if "\0" not in value:
        assert read.replace("\0", "\\") == value
