"""What is in force: the rules, the roster and the approvals as a reload has read them."""

from __future__ import annotations

from pathlib import Path

from daemon.app.notifiers import NotifierBuilder
from daemon.conduct.executor import ActiveConfig
from daemon.config.rules_folder import Ruleset
from daemon.core.rules.rule import RuleBook
from daemon.watching.calendar_feeds import Calendars


def standing_for(
    ruleset: Ruleset, folder: Path, calendars: Calendars, reach: NotifierBuilder
) -> ActiveConfig:
    """What stands by these files; `folder` is that of the rules.

    Raises Mistakes if they have any, Permanent naming a secret that is not there.
    """
    rules, roster, approvals = ruleset.sound()
    roster = roster.knowing(calendars.shifts)
    files = {rule.rule: str(Path(read.file).relative_to(folder)) for rule, read in ruleset.rules}
    return ActiveConfig(
        RuleBook(rules, files),
        roster,
        approvals,
        reach.ways(roster),
        reach.channels(roster),
        ruleset.freezes,
    )
