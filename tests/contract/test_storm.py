"""A storm from the command line, the API and its page; answered in a pager and in Slack."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.notifying.storms import StormKeeper
from daemon.web.site import storm as storm_page
from tests.contract.rig import ADA, BO, Rig, rigged
from tests.contract.test_cli_double import Ended, run
from tests.contract.test_hooks_pagerduty import BO as PAGERDUTY_BO
from tests.contract.test_hooks_pagerduty import event, hears
from tests.contract.test_hooks_slack import tap, taps
from tests.stories.stage import LIMITS

MEMBERS = LIMITS.storm + 2


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    async with rigged() as rig:
        monkeypatch.setenv("STOPGAP_URL", str(rig.client.make_url("")))
        monkeypatch.setenv("STOPGAP_TOKEN", "ada-token")
        monkeypatch.setenv("COLUMNS", "200")
        yield rig


async def breaks_out(rig: Rig, members: int = MEMBERS) -> list[str]:
    """So many incidents open at once; the first of them is the rig's own, which was there."""
    rig.storms.opening(rig.id, rig.id)
    for number in range(1, members):
        name = f"1123-1403-{number}"
        opened = e.IncidentOpened(
            key=name,
            rule="",
            group_labels={"service": f"s{number}"},
            title=f"Fails s{number}",
            team="payments" if number % 2 else "database",
        )
        await rig.repository.open(name, name, [opened, *rig.storms.opening(name, name)])
    return [rig.id, *(f"1123-1403-{number}" for number in range(1, members))]


async def everyone(rig: Rig, members: list[str]) -> list[Incident]:
    return [await rig.repository.load(member) for member in members]


async def runs(*arguments: str) -> Ended:
    return await asyncio.to_thread(run, *arguments)


async def test_listing_has_a_word_as_every_other_list(rig: Rig) -> None:
    quiet = "there is no storm; `stopgap incidents` lists what is open\n"
    assert (await runs("storm", "list")).out == quiet
    await breaks_out(rig)
    listed = await runs("storm", "list")
    assert (listed.code, "Fails s1" in listed.out) == (0, True)
    assert listed == await runs("storm")


async def test_what_is_read_anew_stays_one_of_it(rig: Rig) -> None:
    """As when another replica's incidents are taken over: whoever looks in between must neither
    forget the pages of the one that carries them, nor who still waits."""
    members = await breaks_out(rig)
    (before,) = rig.storms.storms
    for name in members:
        rig.repository.read_anew(name)
    (between,) = rig.storms.storms
    assert [one.id for one in between.members] == [one.id for one in before.members]
    everybody = await everyone(rig, members)
    (after,) = rig.storms.storms
    assert {one.id: one for one in after.members} == {one.id: one for one in everybody}


async def test_what_was_read_before_it_was_heard_of_is_one_of_the_storm_that_its_journal_says(
    rig: Rig,
) -> None:
    """Another replica has opened it in a storm and given it to this one, whose news come later: it
    rang by itself."""
    members = await breaks_out(rig)
    (storm,) = rig.storms.storms
    another = StormKeeper(rig.repository, LIMITS)
    for name in members[LIMITS.storm :]:
        found = another.storm_of(await rig.repository.load(name))
        assert found is not None
        assert found.name == storm.name
    (gathered,) = another.storms
    assert [one.id for one in gathered.members] == members[LIMITS.storm :]


async def test_it_is_listed_and_acted_on_from_the_command_line(rig: Rig) -> None:
    assert "there is no storm" in (await runs("storm")).out
    refused = await runs("storm", "ack")
    assert (refused.code, "`stopgap incidents` lists what is open" in refused.err) == (1, True)
    members = await breaks_out(rig)
    listed = (await runs("storm")).out
    assert f"{MEMBERS} incidents" in listed
    assert "database" in listed
    view = json.loads((await runs("storm", "--json")).out)
    assert {one["incident"] for one in view["storms"][0]["incidents"]} == set(members)
    told = await runs("storm", "ack")
    assert told.out == f"You respond to {MEMBERS} of {MEMBERS} incidents.\n"
    assert {i.commander for i in await everyone(rig, members)} == {"ada"}
    assert (await runs("storm", "freeze")).code == 0
    assert {i.paused_by for i in await everyone(rig, members)} == {"ada"}
    assert (await runs("storm", "thaw")).code == 0
    assert {i.paused_by for i in await everyone(rig, members)} == {""}


async def test_what_left_the_storm_is_taken_last_so_that_what_it_asks_comes_with_the_others(
    rig: Rig,
) -> None:
    members, taken = await breaks_out(rig), list[str]()
    left = members[LIMITS.storm]
    await rig.repository.record(left, lambda _: [e.StormLeft(text="it is sev1")])

    def heard(_: Incident | None, after: Incident, events: object) -> None:
        if after.commander and after.id not in taken:
            taken.append(after.id)

    rig.repository.listeners.append(heard)
    await runs("storm", "ack")
    assert taken == [*(name for name in members if name != left), left]


async def test_whoever_is_asked_for_as_well_responds_to_what_others_command(rig: Rig) -> None:
    both = {
        name: policy.model_copy(update={"acknowledgements": 2})
        for name, policy in rig.roster.policies.items()
    }
    rig.roster = rig.roster.model_copy(update={"policies": both})
    members = await breaks_out(rig)
    first = await rig.client.post("/api/v1/storm/ack", headers=ADA)
    assert (await first.json())["done"] == MEMBERS
    (listed,) = (await (await rig.client.get("/api/v1/storm", headers=ADA)).json())["storms"]
    assert listed["text"].endswith(f"{MEMBERS} wait for more people to come")
    second = await rig.client.post("/api/v1/storm/ack", headers=BO)
    assert (await second.json())["done"] == MEMBERS
    found = await everyone(rig, members)
    assert {i.commander for i in found} == {"ada"}
    assert all(set(i.responders) == {"ada", "bo"} for i in found)


async def test_what_others_command_is_left_to_them_and_named(rig: Rig) -> None:
    members = await breaks_out(rig)
    await rig.does("ack", BO)
    answer = await rig.client.post("/api/v1/storm/command", headers=ADA)
    told = await answer.json()
    assert (answer.status, told["done"]) == (200, MEMBERS - 1)
    why = f"bo commands it; to ask for it: stopgap role {rig.id} commander"
    assert told["left"] == [{"incident": rig.id, "why": why}]
    first, *others = await everyone(rig, members)
    assert first.commander == "bo"
    assert {i.commander for i in others} == {"ada"}


async def test_without_a_storm_there_is_nothing_to_act_on(rig: Rig) -> None:
    answer = await rig.client.post("/api/v1/storm/ack", headers=ADA)
    assert answer.status == 409
    assert "there is no storm now" in (await answer.json())["detail"]
    page = await (await rig.client.get("/storm", headers=ADA)).text()
    assert "There is no storm." in page


async def test_its_page_lists_all_and_acts_on_all(rig: Rig) -> None:
    members = await breaks_out(rig)
    front = await (await rig.client.get("/", headers=ADA)).text()
    assert f"A storm: {MEMBERS} incidents" in front
    page = await (await rig.client.get("/storm", headers=ADA)).text()
    assert all(f"/incidents/{member}" in page for member in members)
    answer = await rig.client.post("/storm", headers=ADA, data={"deed": "ack"})
    assert f"You respond to {MEMBERS} of {MEMBERS}" in await answer.text()
    assert {i.commander for i in await everyone(rig, members)} == {"ada"}
    bad = await rig.client.post("/storm", headers=ADA, data={"deed": "burn"})
    assert bad.status == 400
    one = await (await rig.client.get(f"/incidents/{members[-1]}", headers=ADA)).text()
    assert "told to people as one page" in one


async def test_of_very_many_its_page_shows_the_gravest_until_all_are_asked_for(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storm_page, "STORM_SHOWN", 2)
    members = await breaks_out(rig)
    (storm,) = rig.storms.storms
    page = await (await rig.client.get("/storm", headers=ADA)).text()
    assert f'<a href="/storm?all#of-{storm.name}">Show all {MEMBERS} incidents</a>' in page
    assert sum(f"/incidents/{member}" in page for member in members) == 2
    assert ("these are the 2 gravest" in page, "Thaw all" in page) == (True, False)
    every = await (await rig.client.get("/storm?all", headers=ADA)).text()
    assert all(f"/incidents/{member}" in every for member in members)
    assert "Show all" not in every
    frozen = await rig.client.post("/storm", headers=ADA, data={"deed": "freeze"})
    assert "Thaw all" in await frozen.text()


async def called(rig: Rig) -> str:
    """The storm's page rang at ada's; returns its id."""
    await breaks_out(rig)
    (storm,) = rig.storms.storms
    page = f"storm-{storm.name}.ada"
    joined = e.StormJoined(storm=storm.name, began=storm.began, alone=True)
    queued = e.PageQueued(
        page=page, person="ada", purpose="storm", about=storm.name, text="Storm: 6 incidents"
    )
    await rig.repository.record(rig.id, lambda _: (joined, queued))
    return page


async def test_a_tap_on_the_link_of_its_page_answers_for_all(rig: Rig) -> None:
    page = await called(rig)
    link = rig.links.for_page(rig.id, page).partition("/a/")[2]
    shown = await (await rig.client.get(f"/a/{link}")).text()
    assert "Storm: 6 incidents" in shown
    assert "6 wait for somebody</h1>" in shown, "how it stands now, of all and not of the first"
    assert '<button name="deed" value="ack">I am on all of it</button>' in shown
    assert "CheckoutSuccessRateLow" not in shown.partition("<h1>")[2].partition("</h1>")[2]
    done = await (await rig.client.post(f"/a/{link}", data={"deed": "ack"})).text()
    assert "every incident of the storm that is yours" in done
    incident = await rig.incident()
    assert incident.storm is not None
    assert [answer.person for answer in incident.storm.answers] == ["ada"]
    assert not incident.commander, "it is acknowledged as one of the storm, like the others"


async def test_an_acknowledgement_in_a_pager_or_in_slack_answers_for_all(rig: Rig) -> None:
    await called(rig)
    await hears(rig, event(rig, key=f"{rig.id}/storm", agent=PAGERDUTY_BO))
    told = await taps(rig, tap(rig, value=f"{rig.id}/storm"))
    assert "every incident of the storm that is yours" in told["text"]
    incident = await rig.incident()
    assert incident.storm is not None
    assert [answer.person for answer in incident.storm.answers] == ["bo", "ada"]
    assert not incident.commander
