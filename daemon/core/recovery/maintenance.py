"""Maintenance windows: announced work, during which nobody is called and nothing starts for what
opens within them. None is without an end.

Alerts are taken in and measured as ever, and the incident opens quietly. What is still there when
the window ends is called for as if it had opened then. What was open before goes on as before: its
people are called, and only no action starts. So does what a person declares.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal

from daemon.core.decision import Decision, recording
from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.recovery.freeze_windows import ScopeName
from daemon.core.recovery.guardrails import GLOBAL, Freeze, service_of
from daemon.core.rules.label_names import service_in
from daemon.core.values.units import Frozen, Moment, format_duration

LONGEST_MAINTENANCE = timedelta(days=7)
"""No window is longer: what lasts longer is no maintenance, and is announced anew."""

WindowState = Literal["ahead", "in_force", "over", "called_off"]
WindowStage = Literal["announced", "begins", "ended"]
"""What audiences are told of."""


class MaintenanceWindow(Frozen):
    """Calls and actions are held in a scope, [begins_at, ends_at).

    `by` announced it. `public_text`: what audiences of public wording are told; empty: nothing.
    `ended_at`: a person ended it before its time (`ended_by`), or called it off before it began.
    """

    id: str
    scope: ScopeName
    reason: str
    by: str
    announced_at: Moment
    begins_at: Moment
    ends_at: Moment
    public_text: str = ""
    ended_by: str | None = None
    ended_at: Moment | None = None

    @property
    def over_at(self) -> datetime:
        """When it is over."""
        return self.ends_at if self.ended_at is None else min(self.ended_at, self.ends_at)

    def in_force(self, now: datetime) -> bool:
        """Whether it holds anything at that moment."""
        return self.begins_at <= now < self.over_at

    def state(self, now: datetime) -> WindowState:
        """How it stands at that moment."""
        if self.over_at <= self.begins_at:
            return "called_off"
        if now < self.begins_at:
            return "ahead"
        return "in_force" if now < self.over_at else "over"

    def freeze(self) -> Freeze:
        """That no action starts meanwhile."""
        return Freeze(
            scope=self.scope,
            reason=f"maintenance {self.id}: {self.reason}",
            by=self.by,
            at=self.begins_at,
            until=self.over_at,
        )


def misplaced(begins_at: datetime, ends_at: datetime, now: datetime) -> str:
    """What is wrong with the two ends of a window that is announced now; empty if nothing is."""
    if ends_at <= begins_at:
        return "it ends before it begins: the end must be later"
    if ends_at <= now:
        return "it is over already: the end must be in the future"
    longest = format_duration(LONGEST_MAINTENANCE)
    if ends_at - begins_at > LONGEST_MAINTENANCE:
        return f"it lasts longer than {longest}; announce it in parts, or freeze for longer"
    return ""


def scopes_of(incident: Incident) -> tuple[str, ...]:
    """The scopes of the windows that concern an incident.

    Its service is that of its group, or, where alerts are not grouped by it, the one that all its
    alerts have: with an alert of another service among them it is not that service's alone.
    """
    services = {service_of(incident.key)}
    if not incident.incomplete:
        labelled = {service_in(alert.labels)[1] for alert in incident.alerts.values()}
        services |= labelled if len(labelled) == 1 else set()
    of_services = (f"service:{name}" for name in sorted(services - {""}))
    return (GLOBAL, f"team:{incident.opened.team}", *of_services)


def latest_in_force(
    windows: Iterable[MaintenanceWindow], scopes: Collection[str], now: datetime
) -> MaintenanceWindow | None:
    """The window in force for these scopes; of several, the one that ends last."""
    ours = [one for one in windows if one.scope in scopes and one.in_force(now)]
    return max(ours, key=lambda one: one.over_at, default=None)


def hold_due(incident: Incident, windows: Sequence[MaintenanceWindow], now: datetime) -> Decision:
    """Whether its calls begin to be held, or are held no longer. Once they have begun they are not
    held again."""
    known = incident.organization
    window = latest_in_force(windows, scopes_of(incident), now) if windows else None
    if known.held is not None:
        if window is None or window.begins_at > incident.opened_at:
            return recording(_released(known.held, windows))
        if (window.id, window.over_at) != (known.held.window, known.held.until):
            return recording(_held(window))
        return Decision(wake_at=window.over_at)
    called = bool(incident.pages) or bool(incident.commander) or known.released_at is not None
    by_hand = known.declared is not None or incident.drill is not None
    if window is None or called or by_hand or incident.opened_at < window.begins_at:
        return Decision()
    return recording(_held(window))


def _held(window: MaintenanceWindow) -> e.PagesHeld:
    return e.PagesHeld(window=window.id, by=window.by, until=window.over_at, reason=window.reason)


def _released(held: e.PagesHeld, windows: Sequence[MaintenanceWindow]) -> e.PagesReleased:
    window = next((one for one in windows if one.id == held.window), None)
    if window is not None and window.ended_at is not None and window.ended_at < window.ends_at:
        text = f"{window.ended_by} ended the maintenance {held.window} before its time"
        return e.PagesReleased(window=held.window, reason="ended_early", text=text)
    return e.PagesReleased(
        window=held.window, reason="over", text=f"the maintenance {held.window} is over for it"
    )


def maintenance_text(window: MaintenanceWindow, stage: WindowStage) -> str:
    """What internal audiences are told: before, at the beginning and at the end."""
    scope = "everything" if window.scope == GLOBAL else window.scope.replace(":", " ")
    begins, ends = _spelled(window.begins_at), _spelled(window.ends_at)
    held = "nobody is called and no recovery action starts for what fails meanwhile"
    match stage:
        case "announced":
            head = f"Maintenance of {scope} from {begins} until {ends}: {window.reason}"
            return f"{head}\nAnnounced by {window.by} ({window.id}); {held}."
        case "begins":
            head = f"Maintenance of {scope} has begun, until {ends}: {window.reason}"
            return f"{head}\nAnnounced by {window.by} ({window.id}); {held}."
        case "ended":
            head = f"Maintenance of {scope} is over: {window.reason}"
            if window.over_at <= window.begins_at:
                head = f"Maintenance of {scope} from {begins} is called off: {window.reason}"
            early = f" It was ended by {window.ended_by}." if window.ended_by else ""
            return f"{head}\nPeople are called again as ever.{early}"


def public_maintenance_text(window: MaintenanceWindow, stage: WindowStage) -> str:
    """What audiences of public wording are told, in the words that were given for them; empty:
    nothing."""
    if not window.public_text:
        return ""
    begins, ends = _spelled(window.begins_at), _spelled(window.ends_at)
    match stage:
        case "announced":
            when = f"Planned maintenance from {begins} until {ends}"
        case "begins":
            when = f"The planned maintenance has begun; it lasts until {ends} at the latest"
        case "ended":
            called_off = window.over_at <= window.begins_at
            when = "The planned maintenance is " + ("called off" if called_off else "over")
    return f"{when}: {window.public_text}"


def _spelled(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
