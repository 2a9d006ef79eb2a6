"""What all handlers share: the context they stand in, and carrying out a command."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from aiohttp import web

from daemon.config.active import ActiveConfig, Live
from daemon.core.alertmanager import Labels
from daemon.core.drills.desk import DrillDesk
from daemon.core.incident.events import Entry, Event
from daemon.core.incident.responders import PERSON_PREFIX
from daemon.core.incident.state import Incident
from daemon.core.people.access import Access
from daemon.core.people.roster import Roster
from daemon.core.people.scopes import Scope
from daemon.core.people.signing_keys import Keys
from daemon.core.ports.actions import risk_of
from daemon.core.ports.assistants import AssistantLog
from daemon.core.ports.duties import Duties
from daemon.core.ports.replicas import ReplicaRegister
from daemon.core.recovery.guardrails import Freeze, is_scope
from daemon.core.recovery.maintenance import MaintenanceWindow
from daemon.core.recovery.orders import held_up
from daemon.core.recovery.plan import scope_of
from daemon.core.reporting.chart import Curve, sketch
from daemon.core.reporting.review.document import Figure
from daemon.core.reporting.review.model import Review
from daemon.core.reporting.status_page.model import StatusPage
from daemon.core.response.command import Command, CommandSituation, InvalidCommand, Surface
from daemon.core.response.declaring import Declaration
from daemon.core.response.external_help import HelpSources, HelpSuggestion, help_suggestions
from daemon.core.response.storm import Storm
from daemon.core.rules.rule import Rule, RuleBook
from daemon.instrumentation import QUIET, Observer
from daemon.intake.counterparts import write_counterparts
from daemon.intake.declaring import Declared, declare
from daemon.intake.intake import Intake
from daemon.notifying.maintenance import MaintenanceKeeper, Misplaced
from daemon.notifying.oncall_desk import OncallDesk
from daemon.notifying.rooms import NO_PLACES, MeetingPlaces
from daemon.recovering.autonomy import AutonomyKeeper
from daemon.recovering.step_context import Actions, misfit
from daemon.reporting.reviews import read_review
from daemon.reporting.status import Loading, StatusReport
from daemon.repository import IncidentRepository, UnknownIncident
from daemon.web.auth.authenticator import Authenticator
from daemon.web.auth.identity import Identity
from daemon.web.auth.webhook_secrets import Hooks
from daemon.web.errors import HttpProblem
from daemon.web.links.signed_links import SignedLinks
from daemon.web.request_log import PERSON_KEY as WHO
from daemon.web.site.chart import described, svg

if TYPE_CHECKING:
    from daemon.web.api.schemas import IncidentView

Trace = Callable[[Incident, Rule, Sequence[Entry]], Awaitable[Curve]]
"""Asks for an incident's symptom over time; the entries are its journal."""
ALONE = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
"""The content security policy of a document that stands alone."""
SHOWN_AHEAD = timedelta(days=14)
"""How far ahead the freezes of the calendar are shown."""


class IncidentMoved(Exception):
    """The incident is not at the entry at which it was expected to be, so nothing was done."""

    def __init__(self, seq: int) -> None:
        super().__init__(f"it is at entry {seq}")
        self.seq = seq


@dataclass(frozen=True)
class WebContext:
    """What the handlers need. What a reload replaces is asked for anew at each request.

    `metrics` is the text that Prometheus scrapes. `reload` reads the rules again, for whoever it
    names. `today`: the day by which follow-ups are due. `veterans`: who has executed a rule's
    plan; `autonomy`: what a rule's own decisions came to. `whisper` tells (address, text) to
    whoever tapped in Slack. `trace` asks for a chart's figures; without it a chart shows what the
    journal knows. `store_trouble`: why nothing may be entrusted to the store; empty if it may.
    `stuck`: why a restart would help the daemon, which answers but does not do its work; empty if
    it does.
    `config_for_drill`: what is in force in a drill; `drills`: lists, holds, stops and reports them.
    `places`: where people meet; `marks`: the reactions by which a message there comes to the
    timeline.
    `label_values`: the values that the labels of a rule's `changes:` are known to have.
    `oncall`: changes who is on call. `maintenance`: the windows that were announced.
    `storms`: those that go on. `replicas`: those of the store, of which this is
    `replica_name`; `duties`: who of them does what only one may do, where there are several.
    `status_page`: the public page as it stands; None where none is kept.
    """

    intake: Intake
    repository: IncidentRepository
    active: Live[ActiveConfig]
    authenticator: Authenticator
    ready: Callable[[], bool]
    hooks: Live[Hooks]
    links: SignedLinks
    keys: Keys
    metrics: Callable[[], Awaitable[bytes]]
    veterans: Callable[[str], Sequence[str]]
    autonomy: AutonomyKeeper
    whisper: Callable[[str, str], Awaitable[None]]
    overview: StatusReport
    assistants: AssistantLog
    reload: Callable[[str], Awaitable[Loading]]
    today: Callable[[], date]
    actions: Actions = field(default_factory=dict)
    trace: Trace | None = None
    observer: Observer = QUIET
    store_trouble: Callable[[], str] = lambda: ""
    stuck: Callable[[], str] = lambda: ""
    config_for_drill: Callable[[Incident], ActiveConfig] | None = None
    drills: DrillDesk | None = None
    places: MeetingPlaces = NO_PLACES
    marks: frozenset[str] = frozenset()
    maintenance: MaintenanceKeeper | None = None
    label_values: Callable[[Rule], Sequence[Labels]] = lambda _: ()
    oncall: OncallDesk | None = None
    storms: Callable[[], Sequence[Storm]] = lambda: ()
    replicas: ReplicaRegister | None = None
    duties: Duties | None = None
    replica_name: str = ""
    status_page: Callable[[], StatusPage] | None = None

    def config_of(self, incident: Incident) -> ActiveConfig:
        """What is in force for that incident: for a drill's, what is in force in the drill."""
        if incident.drill is None or self.config_for_drill is None:
            return self.active.now
        return self.config_for_drill(incident)

    @property
    def risks(self) -> dict[str, str]:
        """What each action of the catalogue declares of its risk."""
        return {name: risk_of(action) for name, action in self.actions.items()}

    def rules(self) -> RuleBook:
        """The rules in force."""
        return self.active.now.rules

    def roster(self) -> Roster:
        """The roster in force."""
        return self.active.now.roster

    async def identify(self, request: web.Request) -> Identity:
        """Who asks. Raises Problem 401, and 403 if a browser's change is not from our pages."""
        identity = await self.authenticator.identify(request)
        request[WHO] = identity.person
        return identity

    async def admitted(self, request: web.Request, needs: Access) -> Identity:
        """Who asks, if they may do what needs that much. Raises Problem 401, 403."""
        identity = await self.identify(request)
        identity.require(needs)
        return identity

    async def person(self, request: web.Request, needs: Access = "responder") -> str:
        """The name of who asks, likewise."""
        return (await self.admitted(request, needs)).person

    async def sender(self, request: web.Request, scope: Scope) -> None:
        """Whether a system may deliver what that scope is for. Raises Problem 401, 403."""
        await self.authenticator.sender(request, scope)

    async def freezes_now(self) -> list[Freeze]:
        """The freezes in force, by hand and by the calendar."""
        now = self.repository.clock()
        by_hand = await self.repository.journal.freezes(now)
        return [*by_hand, *self.active.now.freezes.in_force(now)]

    async def held_up(self, incident: Incident, step: int) -> str:
        """Why a step that was just approved or started waits all the same; empty if nothing that
        is known now holds it up."""
        rule = self.config_of(incident).rules.rules.get(incident.rule)
        if rule is None:
            return ""
        scopes = scope_of(incident, rule).freezes
        freezes = [freeze for freeze in await self.freezes_now() if freeze.scope in scopes]
        return held_up(incident.step(step), freezes)

    async def freeze(
        self, scope: str, reason: str, by: str, last: timedelta | None = None
    ) -> Freeze:
        """Let no action start in a scope for so long, or until it is thawed. Raises Problem 400."""
        now = self.repository.clock()
        try:
            until = None if last is None else now + last
        except OverflowError:
            text = "that is longer than any time; write it like 2h"
            raise HttpProblem(400, "Freeze for how long?", text) from None
        freeze = Freeze(scope=self._scope(scope), reason=reason, by=by, at=now, until=until)
        await self.repository.journal.freeze(freeze)
        self.repository.all_changed()
        return freeze

    async def thaw(self, scope: str, by: str) -> bool:
        """Lift a freeze; open incidents look again at once. False if there was none."""
        lifted = await self.repository.journal.thaw(scope, by, self.repository.clock())
        self.repository.ring_all()
        return lifted

    def maintenance_windows(self) -> Sequence[MaintenanceWindow]:
        """The maintenance windows that were announced."""
        return self.maintenance.windows if self.maintenance is not None else ()

    def maintenance_now(self) -> list[MaintenanceWindow]:
        """Those in force, and those ahead."""
        now = self.repository.clock()
        return [w for w in self.maintenance_windows() if w.state(now) in ("in_force", "ahead")]

    async def announce_maintenance(
        self,
        scope: str,
        reason: str,
        by: str,
        begins: datetime,
        ends: datetime,
        public_text: str = "",
    ) -> MaintenanceWindow:
        """Announce a maintenance window. Raises Problem 400."""
        try:
            return await self._maintenance_keeper.announce(
                self._scope(scope), reason, by, begins, ends, public_text
            )
        except Misplaced as error:
            raise HttpProblem(400, "Maintenance when?", f"{error}") from None

    async def end_maintenance(self, window: str, by: str) -> MaintenanceWindow:
        """End a maintenance window now. Raises Problem 404, 409."""
        known = {one.id: one for one in self.maintenance_windows()}
        if window not in known:
            there = ", ".join(known) or "none"
            text = f"there is no maintenance {window!r}; there are: {there}"
            raise HttpProblem(404, "No such maintenance", text)
        if not await self._maintenance_keeper.end(window, by):
            raise HttpProblem(409, "Over already", f"the maintenance {window} is over already")
        return next(one for one in self.maintenance_windows() if one.id == window)

    @property
    def _maintenance_keeper(self) -> MaintenanceKeeper:
        if self.maintenance is None:
            raise HttpProblem(404, "No maintenance", "this daemon keeps no maintenance windows")
        return self.maintenance

    def freezes_ahead(self) -> list[Freeze]:
        """The freezes that the calendar has for the next days."""
        now = self.repository.clock()
        return [f for f in self.active.now.freezes.upcoming(now, now + SHOWN_AHEAD) if f.at > now]

    def _scope(self, given: str) -> str:
        """The scope of a freeze, if it can concern anything. Raises Problem 400."""
        if not is_scope(given):
            text = f"{given!r} is no scope; it is global, team:NAME or service:NAME"
            raise HttpProblem(400, "No such scope", text)
        team = given.removeprefix("team:")
        if team != given and team not in self.roster().teams:
            known = ", ".join(sorted(self.roster().teams)) or "none"
            raise HttpProblem(400, "No such scope", f"no team {team!r}; the roster has {known}")
        return given

    def view(self, incident: Incident) -> IncidentView:
        """The incident as it stands now."""
        from daemon.web.api.incident_view import incident_view  # once somebody looks

        document = self.links.document(incident.id)
        config = self.config_of(incident)
        veterans, rule = self.veterans(incident.rule), config.rules.rules.get(incident.rule)
        return incident_view(
            incident,
            rule,
            config.roster,
            self.repository.clock(),
            document,
            veterans,
            self.risks,
            self.help_for(incident),
        )

    def help_for(self, incident: Incident, person: str = "") -> tuple[HelpSuggestion, ...]:
        """The teams that could help with it; `person` would ask for them."""
        config = self.config_of(incident)
        known = self.repository.known
        sources = HelpSources(config.roster, config.rules.rules, config.dependencies, known)
        document = self.links.document(incident.id)
        return help_suggestions(incident, sources, person, document)

    async def review(self, incident: str) -> Review:
        """The review of an incident as it stands. Raises UnknownIncident, Temporary."""
        return await read_review(self.repository, incident, self.roster())

    async def figure(self, review: Review) -> Figure | None:
        """The chart of a review, drawn into its own address; None if no rule says what to draw."""
        incident = review.incident
        rule = self.rules().rules.get(incident.rule)
        if rule is None:
            return None
        if self.trace is not None:
            curve = await self.trace(incident, rule, review.entries)
        else:
            curve = sketch(incident, rule.problem, review.entries, self.repository.clock())
        drawn = b64encode(svg(curve, narrow=False)).decode()
        return Figure(f"data:image/svg+xml;base64,{drawn}", described(curve))

    async def declare(self, declaration: Declaration) -> Declared:
        """Open the incident that a person declares. Raises InvalidCommand, Temporary."""
        barred = self.roster().bars(declaration.person)
        if barred:
            raise InvalidCommand(barred)
        return await declare(self.repository, declaration, self.rules().rules, self.roster())

    async def _others(self, command: Command) -> dict[str, Incident]:
        """The incidents that a command mentions, as far as there are any."""
        found = {}
        for name in command.mentions:
            with suppress(UnknownIncident):
                found[name] = await self.repository.load(name)
        return found

    def situation(
        self,
        incident: Incident,
        person: str,
        via: Surface,
        others: Mapping[str, Incident] | None = None,
    ) -> CommandSituation:
        """What a command to that incident may need to know now."""
        config = self.config_of(incident)
        return CommandSituation(
            person=person,
            via=via,
            now=self.repository.clock(),
            roster=config.roster,
            rule=config.rules.rules.get(incident.rule),
            document=self.links.document(incident.id),
            misfit=lambda spec: misfit(spec, incident.group_labels, self.actions),
            rooms=self.places.policy,
            others=others or {},
        )

    async def carry_out(
        self,
        incident: str,
        command: Command,
        person: str,
        via: Surface,
        *,
        by: str = "",
        expected: Container[int] | None = None,
    ) -> Incident:
        """Carry out a command; returns the incident as it is then.

        `person` gives it, empty if that is another system; `by` is who the journal names, if not
        that person. `expected`: nothing is done unless the incident is at one of these sequence
        numbers, which is looked at in the very moment of the append. Raises NotPossible,
        IncidentMoved, UnknownIncident, Temporary.
        """

        others = await self._others(command)

        def change(before: Incident) -> Sequence[Event]:
            if expected is not None and before.seq not in expected:
                raise IncidentMoved(before.seq)
            return command.apply(before, self.situation(before, person, via, others))

        name = by or f"{PERSON_PREFIX}{person}"
        after = await self.repository.record(incident, change, by=name)
        if not after.organization.counterparts:
            return after
        # Whoever conducts it does the same if this is cut off.
        await write_counterparts(self.repository, incident)
        return await self.repository.load(incident)
