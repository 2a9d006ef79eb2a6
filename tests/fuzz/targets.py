"""What reads from outside, with real inputs to begin with, and what it may do with a changed one:
answer, or refuse in the way that it promises. No other exception, and no signature that was not
given."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from daemon.config.settings import Settings
from daemon.core.alertmanager import NotADelivery
from daemon.core.grafana import parse_any_delivery
from daemon.core.people.icalendar_shifts import read_calendar
from daemon.core.people.roster import Roster
from daemon.core.rules.matchers import parse_matcher, spell_matcher
from daemon.core.rules.promql import parsed, spelled
from daemon.core.rules.promql_dialect.judging import judge_query
from daemon.core.rules.rule import read_rule
from daemon.core.values.outgoing import NOTHING_ALLOWED, AddressRefused, allowed_destinations
from daemon.core.values.yaml_document import Mistakes, one_document
from daemon.web.api.pager_payloads import grafana_oncall, opsgenie, pagerduty, slack
from daemon.web.api.request_parsing import expected_seq, read_query
from daemon.web.auth.csrf import Browser, local_path
from daemon.web.auth.secrets import any_token, bearer
from daemon.web.auth.signatures import grafana_signed, pagerduty_signed, slack_signed
from daemon.web.body import form
from daemon.web.errors import HttpProblem
from daemon.web.links.signed_links import BadLink, SignedLinks
from tests.contract.rig import ROSTER, signature
from tests.credentials import MemoryKeys
from tests.stories.stage import RULE, alert, body

TREE = Path(__file__).parents[2]
NOW = datetime(2026, 11, 29, 14, tzinfo=UTC)
LOGIN_LASTS = timedelta(minutes=10)


@dataclass(frozen=True)
class Target:
    """`read` gets an input, and raises nothing but `refuses`. `share`: of all inputs."""

    name: str
    share: int
    read: Callable[[bytes], Any]
    corpus: Sequence[bytes]
    refuses: tuple[type[Exception], ...] = ()
    words: Sequence[bytes] = field(default=())


def _text(given: bytes) -> str:
    return given.decode("utf-8", "surrogateescape")


def _words(text: str) -> tuple[bytes, ...]:
    return tuple(word.encode() for word in text.split())


_roster = one_document(ROSTER, "roster.yaml").read(Roster)
_keys = MemoryKeys()
_links = SignedLinks(lambda: _keys.current, "https://s", lambda: NOW, timedelta(days=90))
_browser = Browser(lambda: ["earlier", "now"], "https://s")
_DELIVERY = body(alert())
_SECRET = "a-secret"
_STAMP = str(int(NOW.timestamp()))
_PAGE = _links.for_page("1129-1400-abcdef", "r0.t0.ada").rpartition("/a/")[2]
_DOCUMENT = _links.document("1129-1400-abcdef").rpartition("/d/")[2]
_CALENDAR = _links.calendar("person", "ada").rpartition("key=")[2]
_COOKIE = _browser.sign(["state", "nonce", "verifier", "/next"], NOW)


def _signed(given: bytes) -> None:
    """A header and a body, in each of the three ways; taken only as they were given out."""
    header, _, sent = given.partition(b"\n")
    said = _text(header)
    good = (said, sent) == (_SIGNATURES["pagerduty"], _DELIVERY)
    if pagerduty_signed(said, sent, (_SECRET,)):
        parts = {part.strip() for part in said.split(",")}
        assert sent == _DELIVERY, "a changed body is taken"
        assert _SIGNATURES["pagerduty"] in parts, "a changed signature is taken"
    else:
        assert not good, "what was signed is not taken"
    stamp, _, slacks = said.partition(" ")
    if slack_signed(stamp, slacks, sent, _SECRET, NOW):
        assert (sent, stamp, slacks.strip()) == (_DELIVERY, _STAMP, _SIGNATURES["slack"])
    if grafana_signed(None, said, sent, _SECRET, NOW):
        assert (sent, said.strip()) == (_DELIVERY, _SIGNATURES["grafana"])
    if grafana_signed(stamp, slacks, sent, _SECRET, NOW):
        assert (sent, stamp, slacks.strip()) == (_DELIVERY, _STAMP, _SIGNATURES["grafana dated"])


_SIGNATURES = {
    "pagerduty": f"v1={signature(_SECRET, _DELIVERY)}",
    "slack": f"v0={signature(_SECRET, f'v0:{_STAMP}:'.encode() + _DELIVERY)}",
    "grafana": signature(_SECRET, _DELIVERY),
    "grafana dated": signature(_SECRET, f"{_STAMP}:".encode() + _DELIVERY),
}


def _link(given: bytes) -> None:
    token = _text(given)
    for read, what, opened in (
        (_links.read_page, _PAGE, ("1129-1400-abcdef", "r0.t0.ada")),
        (_links.read_document, _DOCUMENT, "1129-1400-abcdef"),
        (lambda token: _links.opens_calendar(token, "person", "ada"), _CALENDAR, True),
    ):
        try:
            found = read(token)
        except BadLink:
            assert token != what, "a good link is not taken"
        else:
            assert token == what, "a changed link is taken"
            assert found == opened


def _cookie(given: bytes) -> None:
    text = _text(given)
    values = _browser.signed(text, LOGIN_LASTS, NOW)
    assert (values is not None) == (text == _COOKIE), "a changed cookie is taken"
    request = _request("GET", "/", {"Cookie": f"__Host-stopgap={text}", "Authorization": text})
    if request is not None:
        _browser.read(request)
        bearer(request)
        any_token(request)
    path = local_path(text)
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))


def _request(
    method: str, path: str, headers: dict[str, str], sent: bytes = b""
) -> web.Request | None:
    """A request as the server makes it; None where it would have refused it."""
    if any(ord(c) < 32 or ord(c) == 127 for value in (path, *headers.values()) for c in value):
        return None
    try:
        request = make_mocked_request(method, path, headers=CIMultiDict(headers))
    except ValueError:
        return None
    request._read_bytes = sent
    return request


def _query(given: bytes) -> None:
    text = _text(given)
    request = _request("GET", f"/api/v1/incidents?{text}", {"If-Match": text})
    if request is None:
        return
    for model in _queries():
        with suppress(HttpProblem):
            read_query(request, model)
    with suppress(HttpProblem):
        expected_seq(request)


def _queries() -> Sequence[type[Any]]:
    """The models of all queries of the API."""
    if not _QUERY_MODELS:
        from daemon.web.api.table import operations
        from tests.contract.rig import Rig

        rows = operations(Rig().context())
        _QUERY_MODELS.extend(dict.fromkeys(row.parts[1] for row in rows if row.parts[1]))
    return _QUERY_MODELS


_QUERY_MODELS: list[type[Any]] = []


def _form(given: bytes) -> None:
    """A form, packed or not, as the login and the pages read it."""
    kind = "application/x-www-form-urlencoded"
    for packing in ("", "gzip"):
        packed = {"Content-Encoding": packing} if packing else {}
        request = _request("POST", "/login", {"Content-Type": kind, **packed}, given)
        if request is not None:
            with suppress(HttpProblem):
                _run(form(request))


def _run(reading: Coroutine[Any, Any, Any]) -> None:
    """All of it is there already, so it waits for nothing."""
    try:
        reading.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


def _matcher(given: bytes) -> None:
    matcher = parse_matcher(_text(given))
    again = parse_matcher(spell_matcher(matcher))
    assert again == matcher, "what is written again is another matcher"
    matcher.matches({"a": "b", matcher.name: matcher.value})


def _promql(given: bytes) -> None:
    text = _text(given)
    judge_query(text)
    spelled(parsed(text))


def _rules(given: bytes) -> None:
    read_rule(_text(given), "rule.yaml")


def _read_roster(given: bytes) -> None:
    one_document(_text(given), "roster.yaml").read(Roster)


def _settings(given: bytes) -> None:
    one_document(_text(given), "stopgap.yaml").read(Settings)


def _ics(given: bytes) -> None:
    names = {"ada": "ada", "bo": "bo"}
    read_calendar(_text(given), ZoneInfo("Europe/Berlin"), names, NOW, NOW + timedelta(days=30))


def _pagers(given: bytes) -> None:
    for read in (
        lambda: pagerduty(given, _roster),
        lambda: grafana_oncall(given, _roster, NOW),
        lambda: opsgenie(given, _roster, NOW),
        lambda: slack(_text(given), _roster),
    ):
        with suppress(HttpProblem):
            read()


def _outgoing(given: bytes) -> None:
    text = _text(given)
    with suppress(ValueError):
        allowed_destinations([text])
    NOTHING_ALLOWED.trusting(f"http://{text}/").check_literally(f"http://{text}/")


ICS = b"""BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//x//EN
BEGIN:VTIMEZONE
TZID:Here
BEGIN:STANDARD
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
UID:1
DTSTAMP:20261101T000000Z
DTSTART;TZID=Here:20261123T080000
DTEND;TZID=Here:20261130T080000
RRULE:FREQ=WEEKLY;INTERVAL=2;COUNT=20
EXDATE;TZID=Here:20261207T080000
SUMMARY:ada
ATTENDEE;CN=Ada;PARTSTAT=ACCEPTED:mailto:ada@example.org
END:VEVENT
BEGIN:VEVENT
UID:2
DTSTAMP:20261101T000000Z
DTSTART;VALUE=DATE:20261130
DURATION:P7D
SUMMARY:bo
SEQUENCE:3
END:VEVENT
END:VCALENDAR
"""

_PAGER_BODIES = tuple(
    json.dumps(sent).encode()
    for sent in (
        {
            "event": {
                "event_type": "incident.acknowledged",
                "occurred_at": "2026-11-29T14:00:00Z",
                "agent": {"id": "PADA", "type": "user_reference", "summary": "Ada"},
                "data": {"id": "Q1", "incident_key": "1129-1400-abcdef", "type": "incident"},
            }
        },
        {
            "event": {"type": "acknowledge", "time": "2026-11-29T14:00:00Z"},
            "user": {"id": "U1", "username": "bo", "email": "Ada@example.org"},
            "alert_group": {"id": "I1", "alerts_count": 1},
            "alert_payload": {"alert_uid": "1129-1400-abcdef"},
        },
        {
            "action": "Acknowledge",
            "alert": {
                "alertId": "a",
                "alias": "1129-1400-abcdef",
                "username": "ada@x.y",
                "updatedAt": 1795960800000000000,
            },
        },
        {
            "type": "block_actions",
            "user": {"id": "U0ADA00", "username": "ada"},
            "response_url": "https://hooks.slack.example/1",
            "actions": [{"type": "button", "action_id": "acknowledge", "value": "1129"}],
        },
    )
)


def _queries_of_tests() -> tuple[bytes, ...]:
    stored = json.loads((TREE / "tests/data/promql-queries.json").read_text(encoding="utf-8"))
    found: list[str] = []

    def collect(node: Any) -> None:
        if isinstance(node, str):
            found.append(node)
        elif isinstance(node, dict):
            for key, value in node.items():
                found.append(key)
                collect(value)
        elif isinstance(node, list):
            for value in node:
                collect(value)

    collect(stored)
    return tuple(sorted({text.encode() for text in found if 2 < len(text) < 2000}))


def _files(*globs: str) -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for glob in globs for path in sorted(TREE.glob(glob)))


_YAML_WORDS = _words(
    "--- ... !!python/object !!binary &a *a <<: | > ? : - [ { # % @ ~ null 0o17 .inf"
)
_GRAFANA = json.dumps(
    {**json.loads(_DELIVERY), "orgId": 1, "title": "t", "state": "alerting", "message": "m"}
).encode()

TARGETS: tuple[Target, ...] = (
    Target(
        "webhook",
        250,
        parse_any_delivery,
        (_DELIVERY, _GRAFANA, body(alert(), alert(service="cart"))),
        (NotADelivery,),
        _words(
            '"alerts" "status" "firing" "labels" "startsAt" "version" "4" "1" "values" "groupKey"'
        ),
    ),
    Target(
        "signatures",
        250,
        _signed,
        (
            f"{_SIGNATURES['pagerduty']}\n".encode() + _DELIVERY,
            f"v1=0,{_SIGNATURES['pagerduty']}\n".encode() + _DELIVERY,
            f"{_STAMP} {_SIGNATURES['slack']}\n".encode() + _DELIVERY,
            f"{_SIGNATURES['grafana']}\n".encode() + _DELIVERY,
            f"{_STAMP} {_SIGNATURES['grafana dated']}\n".encode() + _DELIVERY,
        ),
        words=_words("v1= v0= , v1=,v1= " + " ".join(_SIGNATURES.values())),
    ),
    Target("links", 150, _link, (_PAGE.encode(), _DOCUMENT.encode(), _CALENDAR.encode())),
    Target(
        "cookies",
        60,
        _cookie,
        (_COOKIE.encode(), b"Bearer abc", b"Basic " + base64.b64encode(b"a:b"), b"/incidents/x"),
        words=_words("Bearer Basic // \\ /\\ . ; = __Host-stopgap"),
    ),
    Target("pagers", 60, _pagers, _PAGER_BODIES),
    Target(
        "queries",
        15,
        _query,
        (b"limit=10&before=x&state=open", b"from=2026-11-29T14:00:00Z&to=2026-11-30", b'W/"17"'),
        words=_words("limit= severity= at= since= zone= lasting= team= rule= & %3D 20m 1e3"),
    ),
    Target(
        "forms",
        15,
        _form,
        (b"csrf=abc&text=hello", zlib.compress(b"csrf=abc&text=" + b"x" * 900)),
    ),
    Target(
        "outgoing",
        60,
        _outgoing,
        (b"127.0.0.1:80", b"[::ffff:7f00:1]", b"0x7f.1", b"host.internal:8080", b"10.0.0.0/8"),
        (AddressRefused,),
        _words("0x 0 :: . / [ ] @ % 127 2130706433 localhost"),
    ),
    Target(
        "matchers",
        40,
        _matcher,
        (b'service="shop"', b'alertname=~"A|B.*"', b"a!=b", b'"dotted.name"!~"x"'),
        (ValueError,),
        _words('= != =~ !~ "" \\" \\n .* (?i) (?P<a>b) [[:alpha:]]'),
    ),
    Target(
        "promql",
        20,
        _promql,
        _queries_of_tests(),
        (ValueError,),
        _words(
            "sum by without ( ) [5m] offset @ end() bool on group_left {} rate 1e400 0x1 unless"
        ),
    ),
    Target(
        "rules", 5, _rules, (RULE.encode(), *_files("rules/check*.yaml")), (Mistakes,), _YAML_WORDS
    ),
    Target(
        "roster",
        5,
        _read_roster,
        (ROSTER.encode(), *_files("rules/roster.yaml")),
        (Mistakes,),
        _YAML_WORDS,
    ),
    Target(
        "settings", 2, _settings, _files("deploy/sandbox/stopgap.yaml"), (Mistakes,), _YAML_WORDS
    ),
    Target(
        "calendars",
        3,
        _ics,
        (ICS,),
        (ValueError,),
        _words(
            "RRULE:FREQ=SECONDLY RDATE EXDATE COUNT=0 UNTIL=99991231 BYDAY= P0D TZID= VALUE=DATE"
        ),
    ),
)
"""The thousandths of all inputs that each gets."""
