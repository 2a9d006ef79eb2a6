"""The whole roster: schedules in tiers, contacts, channels, audiences, and what can be wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from daemon.core.people.audiences import Audience
from daemon.core.people.contact_methods import WAYS, ChannelSpec, Contact, Identities
from daemon.core.people.roster import LAST_RESORT_WAIT, Roster, Timing
from daemon.core.people.roster_checks import check_roster
from daemon.core.people.schedules import CalendarSource
from daemon.core.values.yaml_document import Mistakes, one_document
from tests.core.build import MINUTE

SHIPPED = Path(__file__).parents[3] / "rules/roster.yaml"
NIGHT = datetime(2026, 11, 5, 2, 0, tzinfo=UTC)
NOON = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)
SECRET = "s3cr3t9f8e7d"
GOOD = """\
people:
  ada: {name: Ada, contact: [{console: true}], known_as: {pagerduty: PADA, slack: U0ADA01}}
  bo: {name: Bo, contact: [{console: true}], known_as: {opsgenie: bo@x.org, grafana_oncall: bo}}
  cy: {name: Cy, contact: [{console: true}]}
teams:
  shop: {owners: [ada], lead: bo, stability_owner: cy, experts: [cy, ada], policy: shop}
  silent: {policy: nights}
schedules:
  night:
    zone: UTC
    layers:
      - {rotation: [ada, bo], start: 2026-11-02, restrict: [{from: "22:00", to: "06:00"}]}
    overrides:
      - {person: bo, from: "2026-12-24 18:00", until: "2026-12-26 09:00"}
policies:
  shop: {tiers: [{notify: [night, cy], wait: 2m}, {notify: [night]}, {notify: [shop]}]}
  nights: {tiers: [{notify: [night], wait: 1m}]}
default_policy: nights
ladder: {sev1: [shop, night], sev2: [cy]}
channels:
  room: {console: true}
  mail: {email: [a@x.org]}
audiences:
  team: {channels: [room, mail], from: sev3, cadence: [1m, 1m, 5m]}
"""


def roster(text: str = GOOD) -> Roster:
    return one_document(text, "roster.yaml").read(Roster)


def mistakes(text: str) -> list[tuple[int, str, str]]:
    document = one_document(text, "roster.yaml")
    try:
        found = check_roster(document.read(Roster), document)
    except Mistakes as error:
        found = list(error.mistakes)
    return [(m.line, m.place, m.text) for m in found]


def test_it_has_no_mistake() -> None:
    assert mistakes(GOOD) == []


class TestTiers:
    def test_a_schedule_stands_for_whoever_is_on_call(self) -> None:
        assert [t.people for t in roster().tiers("shop", NIGHT)] == [
            ("ada", "cy"),
            ("ada",),
            ("ada",),
        ]

    def test_a_tier_without_anybody_keeps_its_place_and_the_others_theirs(self) -> None:
        tiers = roster().tiers("shop", NOON)
        assert [tier.people for tier in tiers] == [("cy",), (), ("ada",)]
        assert [tier.wait for tier in tiers] == [2 * MINUTE, 5 * MINUTE, 5 * MINUTE]

    def test_an_override_is_in_force(self) -> None:
        eve = datetime(2026, 12, 25, 2, 0, tzinfo=UTC)
        assert roster().tiers("silent", eve)[0].people == ("bo",)

    def test_the_last_resort_is_the_default_policy(self) -> None:
        text = GOOD.replace("default_policy: nights", "default_policy: shop")
        empty, last = roster(text).tiers("silent", NOON)
        assert (empty.people, empty.wait) == ((), MINUTE)
        assert (last.people, last.wait) == (("cy", "ada"), LAST_RESORT_WAIT)

    def test_then_the_teams_leads_and_owners(self) -> None:
        text = GOOD.replace("experts: [cy, ada], policy: shop", "policy: nights")
        assert roster(text).tiers("shop", NOON)[-1].people == ("bo", "cy", "ada")

    @pytest.mark.parametrize("team", ["silent", "", "of nobody"])
    def test_then_everybody(self, team: str) -> None:
        assert roster().tiers(team, NOON)[-1].people == ("ada", "bo", "cy")

    def test_at_night_nobody_else_is_woken(self) -> None:
        assert [tier.people for tier in roster().tiers("silent", NIGHT)] == [("ada",)]

    def test_the_ladder_names_people_schedules_and_teams(self) -> None:
        known = roster()
        assert known.named(known.ladder["sev1"], NOON) == ("ada",)
        assert known.named([*known.ladder["sev2"], "night"], NIGHT) == ("cy", "ada")


@pytest.mark.parametrize(
    ("old", "new", "line", "place", "said"),
    [
        ("experts: [cy, ada]", "experts: [cy, zed]", 6, "teams.shop.experts.1", "no 'zed'"),
        ("stability_owner: cy", "stability_owner: z", 6, "teams.shop.stability_owner", "no 'z'"),
        ("sev1: [shop, night]", "sev1: [shop, x]", 19, "ladder.sev1.1", "cy, night, shop, silent"),
        ("sev2: [cy]", "sev2: [x]", 19, "ladder.sev2", "no 'x'"),
        ("sev2: [cy]", "sev9: [cy]", 19, "ladder.sev9", "sev1"),
        ("[room, mail]", "[room, x]", 24, "audiences.team.channels.1", "known: mail, room"),
        ("[room, mail]", "[]", 24, "audiences.team.channels", "at least one"),
        ("  silent: {policy", "  ada: {policy", 7, "teams.ada", "'ada' is in `people` too"),
        ("  night:\n", "  cy:\n", 9, "schedules.cy", "'cy' is in `people` too"),
        ("  night:\n", "  shop:\n", 9, "schedules.shop", "'shop' is in `teams` too"),
        ("{notify: [shop]}", "{notify: [silent]}", 16, "policies.shop.tiers.2.notify", "no owners"),
        (
            "{notify: [shop]}]}",
            "{notify: [shop]}], acknowledgements: 4}",
            16,
            "policies.shop.acknowledgements",
            "4 people are to come, and its tiers name 3; name more, or ask for fewer",
        ),
        (
            "[ada, bo], start",
            "[ada, boo], start",
            12,
            "schedules.night.layers.0.rotation.1",
            "'bo'?",
        ),
        ("person: bo", "person: zed", 14, "schedules.night.overrides.0.person", "ada, bo, cy"),
        ("zone: UTC", "zone: Berlin", 10, "schedules.night.zone", "Europe/Berlin"),
        ("grafana_oncall: bo", "pagerduty: pada", 3, "people.bo.known_as.pagerduty", "'ada' is"),
        ("grafana_oncall: bo", "slack: U0ADA01", 3, "people.bo.known_as.slack", "'ada' is"),
        ("room: {console", "room: {consle", 21, "channels.room.consle", "`console`"),
        ("from: sev3", "from: sev5", 24, "audiences.team.from", "sev1"),
        ("from: sev3", "least: sev3", 24, "audiences.team.least", "unknown key"),
        ("[1m, 1m, 5m]", "[5m, 1m]", 24, "audiences.team.cadence", "a cadence decays"),
        ("[1m, 1m, 5m]", "[59s, 1m]", 24, "audiences.team.cadence", "begin with 1m"),
        ("[1m, 1m, 5m]", "[]", 24, "audiences.team.cadence", "a cadence decays"),
        ("[1m, 1m, 5m]", "[1m, soon]", 24, "audiences.team.cadence.1", "not a duration"),
    ],
)
def test_a_mistake_is_told_where_it_stands(
    old: str, new: str, line: int, place: str, said: str
) -> None:
    assert old in GOOD
    found = mistakes(GOOD.replace(old, new, 1))
    assert any((at, where) == (line, place) and said in text for at, where, text in found), found


@pytest.mark.parametrize("source", ["opsgenie", "grafana_oncall"])
def test_two_people_with_one_identity_elsewhere(source: str) -> None:
    """An acknowledgement there could be either's."""
    text = GOOD.replace("contact: [{console: true}]}", f"contact: [], known_as: {{{source}: BO}}}}")
    text = text.replace("contact: []", "contact: [{console: true}]").replace("bo@x.org", "bo")
    assert mistakes(text) == [(4, f"people.cy.known_as.{source}", "'bo' is known by that already")]


# ── how people and audiences are reached ─────────────────────────────────────────────────────

CONTACTS: dict[str, Any] = {
    "pagerduty": "env:A",
    "grafana_oncall": "env:A",
    "opsgenie": "file:/run/a",
    "webhook": "env:A",
    "slack": "U0123ABCD",
    "email": "ada@example.org",
    "apprise": "env:A",
    "console": True,
}
CHANNELS = {
    **{kind: CONTACTS[kind] for kind in ("slack", "webhook", "apprise", "console")},
    "email": ["a@example.org", "b@example.org"],
}


@pytest.mark.parametrize("kind", WAYS)
def test_a_contact_is_exactly_one_way(kind: str) -> None:
    assert Contact.model_validate({kind: CONTACTS[kind]}).method == kind
    other = "console" if kind != "console" else "email"
    for wrong in ({}, {kind: CONTACTS[kind], other: CONTACTS[other]}):
        with pytest.raises(ValidationError, match="give exactly one of"):
            Contact.model_validate(wrong)


@pytest.mark.parametrize("kind", CHANNELS)
def test_so_is_a_channel(kind: str) -> None:
    assert getattr(ChannelSpec.model_validate({kind: CHANNELS[kind]}), kind)
    other = "console" if kind != "console" else "email"
    for wrong in ({}, {kind: CHANNELS[kind], other: CHANNELS[other]}, {"email": []}):
        with pytest.raises(ValidationError, match="give exactly one of"):
            ChannelSpec.model_validate(wrong)


@pytest.mark.parametrize("kind", [*CONTACTS, *CHANNELS])
def test_only_a_webhook_is_signed(kind: str) -> None:
    model = Contact if isinstance(CONTACTS[kind], str | bool) else ChannelSpec
    given = {kind: CONTACTS[kind], "secret": "env:KEY"}
    if kind == "webhook":
        assert model.model_validate(given).secret == "env:KEY"
        return
    with pytest.raises(ValidationError, match="signs a `webhook`"):
        model.model_validate(given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        *((f"{kind}: {SECRET}", "env:NAME or file:PATH") for kind in ("pagerduty", "opsgenie")),
        *((f"{kind}: https://x/{SECRET}", "env:NAME") for kind in ("webhook", "grafana_oncall")),
        (f"apprise: 'json://{SECRET}'", "env:NAME or file:PATH"),
        (f'webhook: "env:A", secret: {SECRET}', "env:NAME or file:PATH"),
        (f"slack: xoxb-{SECRET}", "U0123ABCD"),
        (f"slack: https://hooks.slack.com/{SECRET}", "U0123ABCD"),
        (f"email: 'mailto://ada:{SECRET}@example.org'", "one mail address"),
    ],
)
def test_a_secret_in_the_wrong_place_is_never_repeated(given: str, said: str) -> None:
    texts = {4: GOOD.replace("Cy, contact: [{console: true", f"Cy, contact: [{{{given}")}
    if given.partition(":")[0] in CHANNELS:
        listed = re.sub(r"email: (.*)", r"email: [\1]", given)
        texts[21] = GOOD.replace("room: {console: true", f"room: {{{listed}")
    for line, text in texts.items():
        found = mistakes(text)
        assert any(at == line and said in told for at, _, told in found), found
        assert SECRET not in str(found)


@pytest.mark.parametrize("chat_id", ["#room", "@ada", "u0123abcd", "U01", "U0123ABCD\n", 123, ""])
def test_what_is_no_id_of_slack(chat_id: object) -> None:
    with pytest.raises(ValidationError, match="the id that Slack shows"):
        Contact.model_validate({"slack": chat_id})


@pytest.mark.parametrize(
    "address",
    [
        *("ada", "a@b@c", "a b@x.org", "a@x.org\nBcc: eve@x.org", "a@x.org,b@x.org", "@x.org"),
        *("Ada <a@x.org>", "x" * 250 + "@x.org", 5),
    ],
)
def test_what_is_no_mail_address(address: object) -> None:
    with pytest.raises(ValidationError, match="one mail address"):
        ChannelSpec.model_validate({"email": ["a@x.org", address]})


def test_an_audience_is_concerned_from_its_severity_on() -> None:
    audience = roster().audiences["team"]
    concerned = [
        severity for severity in ("sev1", "sev3", "sev4", "") if audience.concerned(severity)
    ]
    assert concerned == ["sev1", "sev3"], "what is not established yet is nobody's"


@pytest.mark.parametrize(("number", "minutes"), [(0, 1), (1, 1), (2, 1), (3, 5), (4, 5), (99, 5)])
def test_the_last_pause_repeats(number: int, minutes: int) -> None:
    assert roster().audiences["team"].pause(number) == timedelta(minutes=minutes)


# ── the shipped file ─────────────────────────────────────────────────────────────────────────


def commented(after: str, before: str, keys: list[str]) -> dict[str, Any]:
    """`key: value` of the comments between two lines of the shipped file."""
    part = SHIPPED.read_text().partition(after)[2].partition(before)[0]
    found = re.findall(r"^ *# +(\w+): (.+?)(?:  +#.*)?$", part, flags=re.MULTILINE)
    return {key: yaml.safe_load(value) for key, value in found if key in keys}


def test_the_documented_timing_is_the_default() -> None:
    documented = commented("\ntiming:", "\nchannels:", list(Timing.model_fields))
    assert set(documented) == set(Timing.model_fields)
    assert Timing.model_validate(documented) == Timing()


def test_the_documented_audience_is_the_default() -> None:
    documented = commented("\naudiences:", "\0", ["from", "cadence", "wording"])
    assert set(documented) == {"from", "cadence", "wording"}
    text = SHIPPED.read_text()
    (send,) = re.findall(r"send: automatic +# or \w+: .+\[(\w+)\]$", text, flags=re.MULTILINE)
    given = {"channels": ["room"], "send": send}
    assert Audience.model_validate({**given, **documented}) == Audience(channels=("room",))


def test_the_documented_age_of_a_stale_feed_is_the_default() -> None:
    (stale_after,) = re.findall(r"stale_after: (\w+)", SHIPPED.read_text())
    given = {"url": "env:FEED", "stale_after": stale_after}
    assert CalendarSource.model_validate(given) == CalendarSource(url="env:FEED")


def test_everything_that_can_be_written_is_documented() -> None:
    text = SHIPPED.read_text()
    assert not [key for key in Roster.model_fields if f"\n{key}:" not in text]
    assert not [kind for kind in WAYS if f"\n    #   {kind}: " not in text]
    assert not [name for name in Identities.model_fields if f"{name}: " not in text]
    channels = text.partition("\nchannels:")[2].partition("\naudiences:")[0]
    assert not [kind for kind in ChannelSpec.model_fields if kind not in channels + "secret"]


@pytest.mark.parametrize(
    ("vendor", "told"),
    [
        ("{name: Amazon, url: 'https://aws.example/support'}", ""),
        ("{name: Amazon, phone: '+1 (555) 01-00', contract: C-1, matches: ['*-eu']}", ""),
        ("{name: Amazon}", "nobody could open a ticket with them; give a `url`, an `email` or a"),
        ("{name: Amazon, url: 'javascript:alert(1)'}", "this is no address; write it like"),
        ("{name: Amazon, phone: call us}", "this is no telephone number"),
        ("{name: Amazon, email: nowhere}", "write one mail address"),
        ("{name: Amazon, email: a@x.org, matches: ['']}", "at least 1 character"),
    ],
)
def test_a_vendor_can_be_reached(vendor: str, told: str) -> None:
    found = mistakes(f"{GOOD}vendors:\n  aws: {vendor}\n")
    assert bool(found) == bool(told)
    for _, place, text in found:
        assert place.startswith("vendors.aws")
        assert told in text


def test_a_vendor_has_a_name_that_can_stand_in_an_address() -> None:
    found = mistakes(f"{GOOD}vendors:\n  'a/b': {{name: Amazon, email: a@x.org}}\n")
    assert [text for _, _, text in found] == ["'a/b' is no name; use letters, digits and . _ -"]
