"""Customers were told of the trouble at night, and nobody taps on the word that it is over."""

from __future__ import annotations

import re
from pathlib import Path

from daemon.core.incident import events as e
from daemon.core.incident.untold import untold
from daemon.replaying.virtual_time import run_virtually
from tests import commanding
from tests.stories.stage import ROSTER, Stage, alert, healed_by

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
