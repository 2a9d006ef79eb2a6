"""What pagers tell us, read into reports. Pure: bytes and the roster in, a report out.

Unknown fields are ignored, for they are newer versions; a wrong type is a Problem 400 naming the
field. None means that it does not concern us: another kind of event, or somebody else's alert.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    WithJsonSchema,
)

from daemon.core.people.roster import Roster
from daemon.core.response.call_answers import DeclineCall, SnoozeCall
from daemon.core.response.command import Command
from daemon.core.response.commands import Acknowledge, PagerState, RecordPagerReport
from daemon.core.values.units import printable, whole
from daemon.web.api.request_parsing import read_json
from daemon.web.errors import HttpProblem


def _as_text(value: Any) -> Any:
    if value is None:
        return ""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


_Text = Annotated[
    str,
    BeforeValidator(_as_text),
    WithJsonSchema({"type": ["string", "number", "null"]}),
]
"""Words of theirs; null is none, and a number is one too."""


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("this time has no equal in UTC") from None


_Occurred = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""When somebody acted: of that no nearest time will do, for what is older is passed over."""
AUTOMATION = "automation"


@dataclass(frozen=True)
class PagerReport:
    """A report, and what it is about: an incident, and which alert of it (empty: its own)."""

    incident: str
    alert: str
    command: RecordPagerReport


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


# ── PagerDuty ────────────────────────────────────────────────────────────────────────────────

_PAGERDUTY: dict[str, PagerState] = {
    "incident.acknowledged": "acknowledged",
    "incident.unacknowledged": "unacknowledged",
}


class _Kind(_Wire):
    event_type: str


class _AnyEvent(_Wire):
    event: _Kind


class PagerDutyAgent(_Wire):
    """Who or what did it."""

    id: _Text = ""
    type: _Text = ""
    summary: _Text = ""


class PagerDutyIncident(_Wire):
    """PagerDuty's incident; its key is the one that we gave."""

    incident_key: _Text = ""


class PagerDutyEvent(_Wire):
    """What happened when, and by whom."""

    id: _Text = Field(min_length=1)
    occurred_at: _Occurred
    agent: PagerDutyAgent | None = None
    data: PagerDutyIncident


class PagerDutyWebhook(_Wire):
    """PagerDuty's V3 webhook, as far as it is looked at."""

    event: PagerDutyEvent


def pagerduty(sent: bytes, roster: Roster) -> PagerReport | None:
    """A V3 webhook. Whoever did it is `agent`; the assignees are only who was called."""
    title = "Not a PagerDuty webhook"
    state = _PAGERDUTY.get(read_json(sent, _AnyEvent, title).event.event_type)
    if state is None:
        return None
    event = read_json(sent, PagerDutyWebhook, title).event
    person, who = _agent(roster, event.agent)
    command = RecordPagerReport("pagerduty", state, person, who, event.occurred_at, event.id)
    return _about(event.data.incident_key, command)


def _agent(roster: Roster, agent: PagerDutyAgent | None) -> tuple[str, str]:
    """(person, who): a service, an integration or an API key is nobody who could command."""
    if agent is None:
        return "", AUTOMATION
    who = _short(f"{agent.summary} ({agent.id or agent.type})")
    if agent.type != "user_reference":
        return "", f"{AUTOMATION}: {who}"
    return _responder(roster, _known(roster, "pagerduty", agent.id), who, "pagerduty")


# ── Grafana OnCall ───────────────────────────────────────────────────────────────────────────

_GRAFANA: dict[str, PagerState] = {
    "acknowledge": "acknowledged",
    "unacknowledge": "unacknowledged",
}


class GrafanaEvent(_Wire):
    """What happened, and when."""

    type: _Text
    time: _Occurred | None = None


class GrafanaUser(_Wire):
    """Who did it."""

    id: _Text = ""
    username: _Text = ""
    email: _Text = ""


class GrafanaAlert(_Wire):
    """The alert that we sent."""

    alert_uid: _Text = ""


class GrafanaWebhook(_Wire):
    """Grafana OnCall's outgoing webhook, as far as it is looked at."""

    event: GrafanaEvent
    user: GrafanaUser | None = None
    alert_group_id: _Text = ""
    alert_payload: GrafanaAlert | None = None


def grafana_oncall(sent: bytes, roster: Roster, now: datetime) -> PagerReport | None:
    """An outgoing webhook. Without its own time it happened now."""
    given = read_json(sent, GrafanaWebhook, "Not a Grafana OnCall webhook")
    state = _GRAFANA.get(given.event.type.casefold())
    if state is None or given.alert_payload is None:
        return None
    user = given.user or GrafanaUser()
    occurred_at = given.event.time or now
    person, who = _somebody(roster, "grafana_oncall", user.username, user.email, user.id)
    reference = f"{given.alert_group_id}/{state}/{occurred_at.isoformat()}"
    command = RecordPagerReport("grafana_oncall", state, person, who, occurred_at, reference)
    return _about(given.alert_payload.alert_uid, command)


# ── Opsgenie ─────────────────────────────────────────────────────────────────────────────────

_OPSGENIE: dict[str, PagerState] = {
    "acknowledge": "acknowledged",
    "unacknowledge": "unacknowledged",
}


Since = Annotated[StrictInt, Field(ge=0, lt=2**63), BeforeValidator(whole)]


class OpsgenieAlert(_Wire):
    """The alert; its alias is the one that we gave."""

    alert_id: _Text = Field(default="", alias="alertId")
    alias: _Text = ""
    username: _Text = ""
    user_id: _Text = Field(default="", alias="userId")
    updated_at: Since | None = Field(default=None, alias="updatedAt")


class OpsgenieWebhook(_Wire):
    """The webhook of Opsgenie or Jira Service Management, as far as it is looked at."""

    action: _Text
    alert: OpsgenieAlert


def opsgenie(sent: bytes, roster: Roster, now: datetime) -> PagerReport | None:
    """A webhook of Opsgenie or Jira Service Management. Without its own time it happened now."""
    given = read_json(sent, OpsgenieWebhook, "Not an Opsgenie webhook")
    state = _OPSGENIE.get(given.action.casefold())
    if state is None:
        return None
    alert = given.alert
    occurred_at = now if alert.updated_at is None else _since_epoch(alert.updated_at)
    person, who = _somebody(roster, "opsgenie", alert.username, alert.user_id)
    reference = f"{alert.alert_id}/{state}/{occurred_at.isoformat()}"
    command = RecordPagerReport("opsgenie", state, person, who, occurred_at, reference)
    return _about(alert.alias, command)


def _since_epoch(count: int) -> datetime:
    """Opsgenie counts nanoseconds in some places and milliseconds in others."""
    seconds = count / (1e9 if count > 10**16 else 1e3)
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        text = f"alert.updatedAt: {count} is no time in ms or ns since 1970"
        raise HttpProblem(400, "Not an Opsgenie webhook", text) from None


# ── Slack ────────────────────────────────────────────────────────────────────────────────────

SLACK_DEEDS: Mapping[str, Command] = {
    "acknowledge": Acknowledge(),
    "decline": DeclineCall(),
    "snooze-5": SnoozeCall(timedelta(minutes=5)),
    "snooze-15": SnoozeCall(timedelta(minutes=15)),
}
"""What the buttons in our messages do, by their `action_id`; their value is the incident."""


@dataclass(frozen=True)
class SlackTap:
    """Somebody tapped a button of ours. `person` is empty for a stranger (`user`).

    `answer_url`: where Slack takes what only they will see. `alert`: as in `PagerReport`.
    """

    incident: str
    person: str
    user: str
    command: Command
    answer_url: str = ""
    alert: str = ""


class _SlackUser(_Wire):
    id: _Text = ""


class _SlackAction(_Wire):
    action_id: _Text = ""
    value: _Text = ""


class _SlackInteraction(_Wire):
    type: _Text
    user: _SlackUser = _SlackUser()
    response_url: _Text = ""
    actions: tuple[_SlackAction, ...] = ()


def slack(payload: str, roster: Roster) -> SlackTap | None:
    """The `payload` of an interaction."""
    given = read_json(payload.encode("utf-8", "replace"), _SlackInteraction, "Not a Slack payload")
    presses = [action for action in given.actions if action.action_id in SLACK_DEEDS]
    if given.type != "block_actions" or not presses:
        return None
    person = _known(roster, "slack", given.user.id)
    tapped = presses[0]
    command, (incident, _, alert) = SLACK_DEEDS[tapped.action_id], tapped.value.partition("/")
    return SlackTap(incident, person, given.user.id, command, given.response_url, alert)


# ── who that is ──────────────────────────────────────────────────────────────────────────────


def _somebody(roster: Roster, way: str, *names: str) -> tuple[str, str]:
    """(person, who) of the names by which a pager calls somebody; none at all is automation."""
    given = [name for name in names if name]
    if not given:
        return "", AUTOMATION
    who = _short(given[0])
    person = next(filter(None, (_known(roster, way, name) for name in given)), "")
    return _responder(roster, person, who, way)


def _responder(roster: Roster, person: str, who: str, way: str) -> tuple[str, str]:
    """(person, who): a stranger, and somebody who may only look, is nobody who could command."""
    if not person:
        return "", f"{who} is not in the roster: people.NAME.known_as.{way}"
    barred = roster.bars(person)
    return ("", barred) if barred else (person, who)


def _known(roster: Roster, way: str, name: str) -> str:
    """The person who is known there by this name, whatever its case; empty if nobody is."""
    for person, found in roster.people.items():
        known = getattr(found.known_as, way)
        if name and known and known.casefold() == name.casefold():
            return person
    return ""


def _short(who: str) -> str:
    return printable(who).strip()[:200]


def _about(key: str, command: RecordPagerReport) -> PagerReport | None:
    """`key` is what we gave the alert: the incident, or the incident and one question of it."""
    incident, _, alert = key.partition("/")
    return PagerReport(incident, alert, replace(command, alert=alert)) if incident else None
