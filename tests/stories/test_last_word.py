"""Customers were told of the trouble at night, and nobody taps on the word that it is over."""

from __future__ import annotations

import re
from pathlib import Path

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.incident.untold import untold
from daemon.core.response.commands import Acknowledge
from daemon.core.response.organizing import Merge
from daemon.core.response.update_commands import SendUpdate
from daemon.replaying.virtual_time import run_virtually
from tests import commanding
from tests.stories.stage import ROSTER, Stage, alert, healed_by
from tests.stories.test_organizing import commanded

ROSTER_WITH_CUSTOMERS = f"""{ROSTER}
channels:
  site: {{console: true}}
audiences:
  customers: {{channels: [site], wording: public}}
"""


def test_nobody_is_called_after_the_closing_and_the_review_says_what_is_missing(
    tmp_path: Path,
) -> None:
    stage = Stage(tmp_path, roster_text=ROSTER_WITH_CUSTOMERS)
    stage.service.fails(0.10, 60)

    async def story() -> None:
        healed_by(stage, "rollback", 0.002)
        async with stage.daemon() as daemon:
            await daemon.at(180)
            await daemon.receives(alert())
            await daemon.at(200)
            await daemon.acknowledges("ada")
            await daemon.at(240)
            await daemon.does(commanding.send, "customers.1", "ada", None, None, who="ada")
            await daemon.at(3 * 3600)

    run_virtually(story)
    [incident] = stage.journal.entries
    entries = stage.journal.entries[incident]
    [closed_at] = [entry.at for entry in entries if isinstance(entry.event, e.IncidentClosed)]
    pages = [(x.at, x.event.person) for x in entries if isinstance(x.event, e.PageQueued)]
    assert all(at < closed_at for at, _ in pages)
    assert {person for _, person in pages} <= {"ada", "bo"}, "cy, the lead, sleeps"
    drafts = [x.event for x in entries if isinstance(x.event, e.UpdateDrafted)]
    assert drafts[-1].text.startswith("Restored: success rate. The problem lasted from 14:01 UTC")
    assert "We keep watching" not in drafts[-1].text
    text = (tmp_path / f"{incident}.md").read_text(encoding="utf-8")
    assert "- The audience customers was never told that it is over." in text
    assert re.findall(r"^## (.*)$", text, re.MULTILINE)[0] == "Summary"
    assert text.count("UTC") == 1

    async def the_end() -> None:
        found = await stage.incidents()
        assert untold(found[0]) == ("customers",)

    run_virtually(the_end)


def test_what_was_merged_owes_nothing_and_the_other_incident_tells_that_it_is_over(
    tmp_path: Path,
) -> None:
    """Customers were told of the one that became part of the other, and of nothing else."""
    stage = Stage(tmp_path, roster_text=ROSTER_WITH_CUSTOMERS)
    stage.rules[0] = stage.rules[0].model_copy(update={"recover": ()})
    stage.service.fails(0.10, 60)

    async def story() -> None:
        async with stage.daemon() as daemon:
            await daemon.at(180)
            await daemon.receives(alert())
            await daemon.receives(alert(service="cart"))
            await daemon.at(200)
            shop, cart = await stage.incidents()
            await commanded(daemon, cart.id, Acknowledge())
            await daemon.at(240)
            await commanded(daemon, cart.id, SendUpdate("customers.1"))
            await commanded(daemon, cart.id, Merge(shop.id, "one database"))
            await daemon.at(300)
            part, whole = await found(cart.id, shop.id)
            assert part.organization.merged_into == shop.id
            assert untold(part) == ()
            assert untold(whole) == (), "the trouble goes on"
            stage.service.fails(0.0, 310)
            await daemon.at(3 * 3600)
            part, whole = await found(cart.id, shop.id)
            assert whole.recovered_at is not None
            assert untold(part) == ()
            assert untold(whole) == ("customers",)
            draft = whole.updates.open_draft("customers")
            assert draft is not None
            assert draft.text.startswith("Restored: success rate.")
            await commanded(daemon, whole.id, SendUpdate(draft.draft.update))
            assert untold(await daemon.repository.load(whole.id)) == ()

    async def found(*names: str) -> list[Incident]:
        known = {one.id: one for one in await stage.incidents()}
        return [known[name] for name in names]

    run_virtually(story)


def test_the_last_word_that_a_person_sends_after_the_end_is_published_at_once(
    tmp_path: Path,
) -> None:
    """Nobody conducts the closed incident any more, and no restart is needed for it."""
    stage = Stage(tmp_path, roster_text=ROSTER_WITH_CUSTOMERS)
    stage.service.fails(0.10, 60)

    async def story() -> None:
        healed_by(stage, "rollback", 0.002)
        async with stage.daemon() as daemon:
            await daemon.at(180)
            await daemon.receives(alert())
            await daemon.at(200)
            await daemon.acknowledges("ada")
            await daemon.at(240)
            await daemon.does(commanding.send, "customers.1", "ada", None, None, who="ada")
            await daemon.at(5000)
            incident = await daemon.incident()
            assert incident.closed is not None
            draft = incident.updates.open_draft("customers")
            assert draft is not None
            told = len(stage.boards["site"].posts)
            name = draft.draft.update
            await daemon.does(commanding.send, name, "ada", None, None, who="ada")
            await daemon.at(5002)
            (message,) = stage.boards["site"].posts[told:]
            assert message.text.startswith("Restored: success rate.")

    run_virtually(story)
