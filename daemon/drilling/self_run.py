"""The stage of the self-drill."""

from __future__ import annotations

from dataclasses import replace

from daemon.config.active import ActiveConfig
from daemon.core.drills.chain import SELF_DRILLED
from daemon.core.incident.drill_mark import DrillMark
from daemon.core.people.contact_methods import Contact
from daemon.core.people.roster import Person
from daemon.core.ports.notification import Pager
from daemon.core.rules.rule import Rule
from daemon.drilling.house import DrillHouse
from daemon.drilling.played import PlayedRun


class SelfRun(PlayedRun):
    """The stage of the self-drill: nobody is there but the daemon, and nothing is restricted."""

    def __init__(
        self, mark: DrillMark, rule: Rule | None, house: DrillHouse, receiver: Pager
    ) -> None:
        self._receiver = receiver
        super().__init__(mark, rule, replace(house, restricted=False))

    def _config(self, base: ActiveConfig) -> ActiveConfig:
        itself = Person(name="Stopgap itself", contact=(Contact(console=True),))
        roster = base.roster.model_copy(
            update={"people": {**base.roster.people, SELF_DRILLED: itself}}
        )
        ways = {SELF_DRILLED: (("self", self._receiver),)}
        return replace(super()._config(replace(base, roster=roster)), ways=ways)
