"""The command line and the real API together: what two people do with an incident."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, NoReturn

import pytest
from aiohttp.test_utils import TestServer

from daemon.config.active import ActiveConfig, Live
from daemon.config.auth import AuthSettings
from daemon.core.people.roster import Roster
from daemon.core.rules.rule import RuleBook, load
from daemon.intake.intake import Intake
from daemon.recovering.autonomy import AutonomyKeeper
from daemon.repository import IncidentRepository
from daemon.web.application import web_application
from daemon.web.auth.authenticator import Authenticator
from daemon.web.auth.csrf import Browser
from daemon.web.auth.passwords import Passwords
from daemon.web.auth.secrets import SecretCheck
from daemon.web.auth.webhook_secrets import Hooks
from daemon.web.context import WebContext
from daemon.web.links.signed_links import SignedLinks
from tests.contract.rig import CHEAP, overview_of
from tests.contract.test_cli_double import Ended, run, view
from tests.credentials import MemoryAssistantLog, MemoryCredentials, MemoryKeys
from tests.fakes import START, MemoryInbox, MemoryJournal, MemoryNotes
from tests.stories.stage import RULE, alert, body

ROSTER = Roster.model_validate(
    {
        "people": {
            name: {"name": name.title(), "contact": [{"console": True}]} for name in ("ada", "bo")
        },
        "teams": {
            "payments": {"owners": ["ada"], "lead": "bo", "policy": "all"},
            "database": {"owners": ["bo"], "policy": "all"},
        },
        "policies": {"all": {"tiers": [{"notify": ["ada"]}, {"notify": ["bo"]}]}},
        "default_policy": "all",
        "channels": {"screen": {"console": True}},
        "audiences": {"internal": {"channels": ["screen"]}},
    }
)


class People:
    """Those who use the command line, each with their own token."""

    def __init__(self, patch: pytest.MonkeyPatch, incident: str) -> None:
        self._patch = patch
        self.incident = incident

    async def __call__(self, person: str, command: str, *arguments: str) -> Ended:
        """This person runs the command on the incident."""
        self._patch.setenv("STOPGAP_TOKEN", f"{person}-token")
        return await asyncio.to_thread(run, command, self.incident, *arguments)

    async def say(self, person: str, command: str, *arguments: str) -> str:
        """What it printed; it went well."""
        ended = await self(person, command, *arguments)
        assert (ended.code, ended.err) == (0, "")
        return ended.out


async def unheard(address: str, text: str) -> None:
    """Nobody taps in Slack here."""


async def unasked(*_: object) -> NoReturn:
    """The commands here neither scrape nor reload."""
    raise AssertionError


@pytest.fixture
async def people(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[People]:
    repository = IncidentRepository(MemoryJournal(), lambda: START)
    rules = RuleBook(rule for rule, _ in load(RULE, "checkout.yaml"))
    active = Live(ActiveConfig(rules, ROSTER))
    inbox, keys = MemoryInbox(), MemoryKeys()
    intake = Intake(inbox, repository, lambda: rules, None, timedelta(hours=1))
    context = WebContext(
        intake=intake,
        repository=repository,
        active=active,
        authenticator=Authenticator(
            settings=AuthSettings(),
            credentials=MemoryCredentials(),
            roster=lambda: ROSTER,
            secrets=Live(SecretCheck({"ada": "ada-token", "bo": "bo-token"}, None)),
            browser=Browser(lambda: ["a key of the store"], "http://stopgap"),
            passwords=Passwords(CHEAP),
            clock=repository.clock,
        ),
        ready=lambda: True,
        hooks=Live(Hooks()),
        links=SignedLinks(
            lambda: keys.current, "http://stopgap", repository.clock, timedelta(days=90)
        ),
        keys=keys,
        metrics=unasked,
        reload=unasked,
        today=lambda: repository.clock().date(),
        veterans=lambda _: (),
        autonomy=AutonomyKeeper(repository, MemoryNotes(), active),
        whisper=unheard,
        overview=overview_of(repository, inbox, active),
        assistants=MemoryAssistantLog(),
    )
    await intake.receive(body(alert()))
    async with asyncio.TaskGroup() as group:
        assert await intake._work(group)
    [head] = await repository.journal.heads(1)
    async with TestServer(web_application(context, 64 * 1024)) as server:
        monkeypatch.setenv("STOPGAP_URL", str(server.make_url("")))
        monkeypatch.setenv("COLUMNS", "120")
        yield People(monkeypatch, head.incident)


async def shown(people: People) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await people.say("ada", "show", "--json"))["incident"]
    return found


async def test_command_is_handed_over_by_two_people_and_the_roles_change_hands(
    people: People,
) -> None:
    await people.say("ada", "ack")
    assert await people.say("ada", "role", "fast-recovery", "me") == "you are Fast-Recovery Owner\n"
    told = await people.say("ada", "role", "communicator", "bo")
    assert told.startswith("bo is asked to be Communicator; answer by 14:")
    told = await people.say("ada", "show")
    assert f"stopgap answer {people.incident} communicator.1 yes" in told
    assert "Communicator: bo" in await people.say("bo", "answer", "yes")
    told = await people.say("bo", "role", "commander", "me")
    assert told.startswith("ada is asked to give up command to bo; it goes through at 14:")
    refused = await people("bo", "answer", "commander.1", "yes")
    assert (refused.code, refused.out) == (1, "")
    assert "this is asked of ada, not of bo" in refused.err
    assert "Commander: bo" in await people.say("ada", "answer", "commander.1", "yes")
    told = await people.say("ada", "role", "fast-recovery", "none")
    assert told == "you stepped down; Fast-Recovery Owner: stopgap\n"
    assert await people.say("ada", "leave") == "you are off it; the Commander is bo\n"


async def test_people_are_called_and_told(people: People) -> None:
    await people.say("ada", "ack")
    assert "no plan fits" in await people.say("ada", "no-plan", "the schema has moved on")
    assert await people.say("ada", "engage", "database") == "database is called in: no answer yet\n"
    assert "tier 2 is called now" in await people.say("ada", "escalate", "--tier", "2")
    assert "noted" in await people.say("ada", "sentiment", "40 calls")
    unknown = await people("ada", "engage", "nobodies")
    assert unknown.code == 1
    assert "no team 'nobodies'; the roster has database, payments" in unknown.err
    after = await shown(people)
    assert after["engaged"] == [{"team": "database", "answered_by": ""}]
    assert after["sentiment"][-1]["text"] == "40 calls"


async def test_an_update_is_drafted_sent_edited_and_put_off(people: People) -> None:
    await people.say("ada", "ack")
    drafted = await people.say("ada", "update", "draft", "internal")
    assert drafted.startswith("internal.1, a draft for internal")
    assert drafted in await people.say("ada", "update")
    sent = await people.say("ada", "update", "send", "internal.1")
    assert "update internal.1 goes out now" in sent
    assert "is changed" in await people.say("ada", "update", "edit", "internal.1", "It was us.")
    told = await people.say("ada", "update", "snooze", "internal", "--for", "15m")
    assert "no update to internal is due for 15m" in told
    listed = await people.say("ada", "update")
    assert listed.startswith("internal.1, sent to internal at 14:")
    assert "by ada: It was us.\n  screen: waiting" in listed
    twice = await people("ada", "update", "send", "internal.1", "again")
    assert twice.code == 1
    assert "update internal.1 was sent already" in twice.err


async def test_the_double_says_no_more_of_an_incident_than_the_api(people: People) -> None:
    assert set(view()) <= set(await shown(people))
    assert set(view()["roles"]) == set((await shown(people))["roles"])


async def test_show_tells_the_whole_of_a_fresh_incident(people: People) -> None:
    told = await people.say("ada", "show")
    lines = [" ".join(line.split()) for line in told.splitlines()]
    assert any(line.startswith("Commander vacant; you could ask bo (is a") for line in lines)
    assert "Fast-Recovery Owner stopgap" in lines
    assert any(line.startswith("… somebody commands: due by 14:") for line in lines)
    assert any(line.startswith("http://stopgap/") for line in lines)


async def test_for_machines_each_deed_answers_with_the_incident_after_it(people: People) -> None:
    deeds: list[tuple[str, ...]] = [
        ("ack",),
        ("say", "a note"),
        ("pause", "by hand"),
        ("resume",),
        ("role", "fast-recovery", "me"),
        ("role", "communicator", "bo"),
        ("step", "1", "veto"),
        ("escalate", "--tier", "2"),
        ("engage", "database"),
        ("no-plan", "none"),
        ("sentiment", "40 calls"),
        ("update", "draft", "internal"),
        ("update", "send", "internal.1", "Hello."),
        ("update", "edit", "internal.1", "Hello!"),
        ("update", "snooze", "internal", "--for", "15m"),
        ("leave",),
        ("close", "a test"),
    ]
    for command, *arguments in deeds:
        told = json.loads(await people.say("ada", command, *arguments, "--json"))
        if arguments[:1] == ["draft"]:
            assert [update["update"] for update in told["updates"]] == ["internal.1"]
            continue
        assert set(told) == {"incident"}
        assert told["incident"]["id"] == people.incident
    assert told["incident"]["status"] == "closed"
    review = json.loads(await people.say("ada", "review", "--json"))
    assert (review["incident"], review["review"][:2]) == (people.incident, "# ")
    answered = await people("bo", "answer", "communicator.1", "yes", "--json")
    assert answered.code == 1
