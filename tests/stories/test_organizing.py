"""Incidents that people merge, split, relate and reassign: also when the daemon dies in between."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

from daemon.core.incident import events as e
from daemon.core.incident.responders import PERSON_PREFIX
from daemon.core.incident.state import Incident
from daemon.core.response.command import Command
from daemon.core.response.commands import Acknowledge, Close
from daemon.core.response.endings import ending_text
from daemon.core.response.organizing import Merge, Reassign, Relate, SplitAlerts
from daemon.intake.counterparts import write_counterparts
from daemon.repository import IncidentRepository
from tests.commanding import situated
from tests.fakes import START
from tests.stories.stage import ROSTER, Daemon, Stage, alert

ROSTER_OF_TWO = ROSTER.replace(
    "policies:\n",
    "  mysql: {owners: [bo], policy: mysql}\npolicies:\n  mysql: {tiers: [{notify: [bo]}]}\n",
)


async def two(daemon: Daemon) -> tuple[Incident, Incident]:
    """An incident of the shop, then one of the cart."""
    await daemon.at(180)
    await daemon.receives(alert())
    await daemon.at(181)
    await daemon.receives(alert(service="cart"))
    await daemon.at(182)
    shop, cart = await daemon.stage.incidents()
    return shop, cart


async def commanded(
    daemon: Daemon, incident: str, command: Command, person: str = "ada"
) -> Incident:
    """The command alone, without what comes of it in other journals."""
    others = {name: await daemon.repository.load(name) for name in command.mentions}

    def events(current: Incident) -> Sequence[e.Event]:
        situation = situated(
            person, roster=daemon.stage.roster, now=daemon.repository.clock(), others=others
        )
        return command.apply(current, situation)

    return await daemon.repository.record(incident, events, by=f"{PERSON_PREFIX}{person}")


async def test_a_merged_incident_ends_and_its_alerts_and_people_join_the_other(
    stage: Stage,
) -> None:
    stage.rules[0] = stage.rules[0].model_copy(update={"recover": ()})
    async with stage.daemon() as daemon:
        shop, cart = await two(daemon)
        await commanded(daemon, cart.id, Acknowledge(), "cy")
        await commanded(daemon, cart.id, Merge(shop.id, "one database"))
        await daemon.at(190)
        calls = len(stage.phones["ada"].pages)
        await daemon.receives(alert("resolved", service="cart", ended=185))
        await daemon.at(200)
        await daemon.receives(alert(service="cart", started=198))
        await daemon.at(210)
        found = {i.id: i for i in await stage.incidents()}
    assert set(found) == {shop.id, cart.id}
    merged, survivor = found[cart.id], found[shop.id]
    assert merged.closed is not None
    assert merged.closed.reason == "merged"
    assert merged.closed.text.startswith(f"merged into {shop.id}")
    assert merged.organization.merged_into == shop.id
    assert survivor.closed is None
    assert set(survivor.alerts) == {"fp-shop", "fp-cart"}
    assert survivor.alerts["fp-cart"].starts_at.second == 18
    assert merged.alerts["fp-cart"].starts_at.second == 0
    assert survivor.commander == "cy"
    assert len(stage.phones["ada"].pages) == calls
    told = [page for page in stage.phones["cy"].pages if page.page.startswith("organized")]
    assert [page.page for page in told] == [f"organized-merge-{shop.id}.cy"]
    assert "its Commander is cy" in told[0].text


async def test_a_merge_that_a_crash_cut_off_is_carried_out_by_the_next_start(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        shop, cart = await two(daemon)
    # The intent alone is written, and then it dies.
    repository = IncidentRepository(stage.journal, lambda: START + timedelta(seconds=183))
    intent = e.MergeStarted(into=shop.id, title=shop.title, person="ada")
    await repository.record(cart.id, lambda _: (intent,), by="person:ada")
    async with stage.daemon() as daemon:
        await daemon.at(190)
        found = {i.id: i for i in await stage.incidents()}
    assert found[cart.id].closed is not None
    assert set(found[shop.id].alerts) == {"fp-shop", "fp-cart"}
    kinds = [entry.event.kind for entry in stage.journal.entries[shop.id]]
    assert kinds.count("IncidentAbsorbed") == 1


async def test_what_cannot_be_merged_into_any_more_goes_on_by_itself(stage: Stage) -> None:
    stage.rules[0] = stage.rules[0].model_copy(update={"recover": ()})
    async with stage.daemon() as daemon:
        shop, cart = await two(daemon)
        await commanded(daemon, shop.id, Close("a test"))
        intent = e.MergeStarted(into=shop.id, title=shop.title, person="ada")
        await daemon.repository.record(cart.id, lambda _: (intent,), by="person:ada")
        await daemon.at(190)
        left = next(i for i in await stage.incidents() if i.id == cart.id)
    assert left.closed is None
    assert left.organization.merging is None
    entries = stage.journal.entries[cart.id]
    (abandoned,) = [x.event for x in entries if isinstance(x.event, e.MergeAbandoned)]
    assert "is closed" in abandoned.text


async def test_a_split_takes_its_alerts_along_and_those_that_follow(stage: Stage) -> None:
    stage.rules.clear()
    async with stage.daemon() as daemon:
        await daemon.at(180)
        eu = alert(service="shop")
        us = {**alert(service="cart"), "labels": {**eu["labels"], "service": "cart"}}
        await daemon.receives(eu, us)
        await daemon.at(182)
        source = await daemon.incident()
        assert set(source.alerts) == {"fp-shop", "fp-cart"}
        await commanded(
            daemon, source.id, SplitAlerts(labels={"service": "cart"}, reason="another")
        )
        await daemon.at(184)
        later = {**us, "fingerprint": "fp-cart-2", "labels": {**us["labels"], "pod": "2"}}
        await daemon.receives(eu, us, later)
        await daemon.at(190)
        first, second = await stage.incidents()
    assert set(first.alerts) == {"fp-shop"}
    assert set(second.alerts) == {"fp-cart", "fp-cart-2"}
    assert second.commander == "ada"
    assert second.organization.split_from is not None
    assert second.organization.split_from.other == first.id
    assert first.organization.counterparts == ()


async def test_a_relation_stands_in_both_journals_once(stage: Stage) -> None:
    async with stage.daemon() as daemon:
        shop, cart = await two(daemon)
        await commanded(daemon, shop.id, Relate(cart.id, "the same deployment"))
        await write_counterparts(daemon.repository, shop.id)
        await daemon.at(190)
        found = {i.id: i for i in await stage.incidents()}
    assert set(found[shop.id].organization.related) == {cart.id}
    assert set(found[cart.id].organization.related) == {shop.id}
    for identity in (shop.id, cart.id):
        kinds = [entry.event.kind for entry in stage.journal.entries[identity]]
        assert kinds.count("IncidentRelated") == 1


async def test_the_team_that_is_given_an_incident_is_called_by_its_own_policy(
    stage: Stage,
) -> None:
    stage.rules.clear()
    stage = Stage(stage.folder, roster_text=ROSTER_OF_TWO)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(181)
        incident = await daemon.incident()
        assert [page.person for page in stage.phones["ada"].pages] == ["ada"]
        assert not stage.phones["bo"].pages
        await commanded(daemon, incident.id, Reassign("mysql", "their primary"), "cy")
        await daemon.at(185)
        after = await daemon.incident()
    assert after.opened.team == "mysql"
    assert stage.journal.rows[incident.id].team == "mysql"
    assert [page.page for page in stage.phones["bo"].pages] == ["r1.t0.bo"]
    assert len(stage.phones["ada"].pages) == 1


async def test_with_a_commander_the_other_team_is_called_in_and_whoever_is_there_is_told(
    stage: Stage,
) -> None:
    stage.rules.clear()
    stage = Stage(stage.folder, roster_text=ROSTER_OF_TWO)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(alert())
        await daemon.at(181)
        await daemon.acknowledges("ada")
        incident = await daemon.incident()
        await commanded(daemon, incident.id, Reassign("mysql"), "cy")
        await daemon.at(185)
        after = await daemon.incident()
    assert after.commander == "ada"
    assert [page.page for page in stage.phones["bo"].pages] == ["engage-mysql.r0.t0.bo"]
    assert "organized-team-mysql.ada" in [page.page for page in stage.phones["ada"].pages]


async def test_an_alert_that_meets_a_merge_joins_the_other_and_opens_nothing(
    stage: Stage,
) -> None:
    """The incident of its key was open when it was looked up, and merged when it was written."""
    stage.rules[0] = stage.rules[0].model_copy(update={"recover": ()})
    async with stage.daemon() as daemon:
        shop, cart = await two(daemon)
        found = stage.journal.find_open

        async def merged_meanwhile(keys: Collection[str]) -> dict[str, str]:
            known = await found(keys)
            await commanded(daemon, cart.id, Merge(shop.id))
            await write_counterparts(daemon.repository, cart.id)
            return known

        stage.journal.find_open = merged_meanwhile  # type: ignore[method-assign]
        await daemon.receives(alert("resolved", service="cart", ended=183))
        await daemon.at(190)
        stage.journal.find_open = found  # type: ignore[method-assign]
        incidents = {i.id: i for i in await stage.incidents()}
    assert set(incidents) == {shop.id, cart.id}
    assert incidents[shop.id].alerts["fp-cart"].status == "resolved"


async def test_whoever_was_called_for_a_merged_one_hears_that_it_goes_on(stage: Stage) -> None:
    stage.rules[0] = stage.rules[0].model_copy(update={"recover": ()})
    async with stage.daemon() as daemon:
        shop, cart = await two(daemon)
        await commanded(daemon, cart.id, Merge(shop.id), "cy")
        await daemon.at(190)
        merged = await daemon.repository.load(cart.id)
    assert merged.title.startswith("Merged: ")
    assert ending_text(merged).startswith(f"Not over, but merged into {shop.id}: ")
