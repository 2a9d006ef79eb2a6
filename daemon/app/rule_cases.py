"""What the cases of rules are played with: the rules themselves, and the real catalogue."""

from __future__ import annotations

from pathlib import Path

from daemon.app.builders import WATCHES, actions_for, limits_for, unrestricted
from daemon.config.rules_folder import read_ruleset
from daemon.config.settings import Settings
from daemon.replaying.case_runner import House


def house_for(settings: Settings, rules_dir: Path, *, restricted: bool) -> House:
    """The house of a folder of rules. Without `restricted` the settings are nobody's, so every
    parameter of an action is allowed. Raises Mistakes, Permanent."""
    actions = actions_for(settings)
    checked = actions if restricted else unrestricted(actions)
    ruleset = read_ruleset([rules_dir], checked, WATCHES)
    rules, roster, approvals = ruleset.sound()
    return House(
        rules={rule.rule: rule for rule in rules},
        roster=roster,
        approvals=approvals,
        freezes=ruleset.freezes,
        actions=actions,
        limits=limits_for(settings),
        outage=settings.recovery.outage,
        max_age=settings.prometheus.max_age,
        restricted=restricted,
    )
