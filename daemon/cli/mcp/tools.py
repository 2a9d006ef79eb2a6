"""The tools that an assistant gets: each asks the daemon's API in the name of one person.

What a tool may do is what the person's token may do; nothing is decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

from daemon.cli.client import CommandFailure, incident_path

Ask = Callable[[str, str, dict[str, Any] | None, Mapping[str, str]], Any]
"""Asks the API: method, path, body, headers. Raises CommandFailure."""
Kind = Literal["read", "propose", "act"]
"""What a tool does: it changes nothing; it adds what people then decide about; it does what the
person could do."""
_EXPLAINS: tuple[str, ...] = (
    "Step",
    "Problem",
    "Approval",
    "ChangeReported",
    "Diagnosis",
    "Recover",
    "Relapsed",
)
_EXPLAINS += ("Autonomy", "IncidentPaused", "IncidentResumed", "IncidentClosed", "NoPlanDeclared")
"""With what the kinds of the entries begin that tell of decisions."""

_COMPARED = ("begin", "end", "baseline_from", "baseline_until")
"""The impaired time of a dossier, and what it is compared with."""

_MOST = 60
"""So many rows an answer has that could have any number; an assistant reads all that it is given,
and forgets what it knew."""
_FIRST = 20
"""So many of them are the first decisions."""
_MOST_TEXT = 60_000
"""Characters of a text that could be of any length."""


class ToolRefused(Exception):
    """The daemon said no, or is not there; the text says why, and the mend."""


@dataclass(frozen=True)
class Tool:
    """A tool: its name is the function's, its description the docstring."""

    kind: Kind
    function: Callable[..., Awaitable[Any]]

    @property
    def name(self) -> str:
        """What the assistant calls it by."""
        return self.function.__name__


class Tools:
    """All tools, on one daemon."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def all(self) -> list[Tool]:
        """Every tool, in the order in which assistants see them."""
        reads = (
            self.list_incidents,
            self.show_incident,
            self.explain_incident,
            self.read_timeline,
            self.read_review,
            self.read_dossier,
            self.list_updates,
            self.list_follow_ups,
            self.figures,
            self.who_is_on_call,
            self.list_rules,
            self.list_actions,
            self.list_freezes,
            self.list_changes,
            self.daemon_status,
        )
        proposals = (self.propose_step, self.add_note, self.add_finding)
        deeds = (
            self.acknowledge,
            self.approve_step,
            self.veto_step,
            self.skip_step,
            self.pause_automation,
            self.resume_automation,
            self.freeze,
            self.thaw,
            self.send_update,
        )
        return [
            *(Tool("read", one) for one in reads),
            *(Tool("propose", one) for one in proposals),
            *(Tool("act", one) for one in deeds),
        ]

    # ── reading ──────────────────────────────────────────────────────────────────────────────

    async def list_incidents(
        self,
        status: Literal["open", "closed", ""] = "open",
        text: str = "",
        severity: Literal["sev1", "sev2", "sev3", "sev4", ""] = "",
        limit: int = 20,
    ) -> Any:
        """List incidents, the newest first. `text` is looked for in title, id, rule, team and
        service; an empty `status` lists open and closed ones."""
        query = {"status": status, "q": text, "severity": severity, "limit": limit}
        return await self._get("list_incidents", "/api/v1/incidents", query)

    async def show_incident(self, incident: str) -> Any:
        """One incident as it stands: the measured problem, the suspect, the plan with each step's
        status, who commands, what is asked of whom, what comes next. `seq` in it is what acting
        tools want as `seen`."""
        found = await self._get("show_incident", incident_path(incident))
        return found["incident"]

    async def explain_incident(self, incident: str) -> Any:
        """Why the daemon did what it did in an incident, and why it did not do the rest: problem,
        suspect and plan with their reasons, and each decision in order, with its numbers."""
        found = await self._get("explain_incident", incident_path(incident))
        shown, timeline = found["incident"], found["timeline"]
        told = ("id", "statement", "severity", "phase", "suspicion", "steps", "doing", "coming")
        decisions = [
            {"at": entry["at"], "text": entry["text"]}
            for entry in timeline
            if entry["kind"].startswith(_EXPLAINS)
        ]
        # What is refused again and again for the same reason is one decision.
        once = [
            one
            for before, one in zip([None, *decisions], decisions, strict=False)
            if before is None or before["text"] != one["text"]
        ]
        return {
            **{name: shown[name] for name in told if name in shown},
            **_bounded("decisions", once, first=_FIRST),
        }

    async def read_timeline(self, incident: str, after: int = 0, limit: int = 100) -> Any:
        """What happened in an incident, the oldest first, after the entry with that number."""
        query = {"after": after, "limit": limit}
        return await self._get("read_timeline", incident_path(incident, "timeline"), query)

    async def read_review(self, incident: str) -> str:
        """The review of an incident, in Markdown; the end of a very long one is cut."""
        text = str(await self._get("read_review", incident_path(incident, "review")))
        if len(text) <= _MOST_TEXT:
            return text
        whole_lines = text[:_MOST_TEXT].rpartition("\n")[0]
        return f"{whole_lines}\n\n[cut here, of {len(text)} characters; read_timeline has the rest]"

    async def read_dossier(self, incident: str) -> Any:
        """What is known of an incident's cause: the findings, each with the query or link that
        shows it, the hypotheses with state, owner and evidence, the teams that were asked for, and
        what could not be looked at. `compared` says which times; it is null before a dossier was
        gathered."""
        found = await self._get("read_dossier", incident_path(incident, "diagnosis"))
        dossier = found["dossier"]
        compared = None if dossier is None else {name: dossier[name] for name in _COMPARED}
        findings = found["diagnosis"]["findings"]
        own = sum(1 for one in findings if one["source"] == "stopgap")
        return {
            **found["diagnosis"],
            **_bounded("findings", findings, first=own),
            "compared": compared,
        }

    async def list_updates(self, incident: str) -> Any:
        """The updates of an incident: for whom, their text, what was sent and what is due."""
        return await self._get("list_updates", incident_path(incident, "updates"))

    async def list_follow_ups(self, owner: str = "", team: str = "", overdue: bool = False) -> Any:
        """The open follow-ups of all incidents, what is due first first; those of an owner or a
        team, or only the overdue ones."""
        query = {"owner": owner, "team": team, "overdue": "true" if overdue else ""}
        return await self._get("list_follow_ups", "/api/v1/follow-ups", query)

    async def figures(self, lasts: str = "30d", until: str = "") -> Any:
        """How the team and the daemon do over a period such as 90d, up to now or to a time such as
        2026-12-24T18:00Z, and over the one before it: times to detect, acknowledge and recover in
        seconds, impact that was saved, and decisions that people overruled or undid."""
        return await self._get("figures", "/api/v1/figures", {"for": lasts, "until": until})

    async def who_is_on_call(self, at: str = "") -> Any:
        """Who would be called, now or at a time such as 2026-12-24T18:00Z, and gaps in it."""
        return await self._get("who_is_on_call", "/api/v1/oncall", {"at": at} if at else {})

    async def list_rules(self) -> Any:
        """The rules in force, with the approvals of their steps."""
        return await self._get("list_rules", "/api/v1/rules")

    async def list_actions(self) -> Any:
        """The catalogue of recovery actions, with the JSON Schema of their parameters."""
        return await self._get("list_actions", "/api/v1/actions")

    async def list_freezes(self) -> Any:
        """What is frozen now, and what will be by the calendar."""
        return await self._get("list_freezes", "/api/v1/freeze")

    async def list_changes(self) -> Any:
        """The deployments and other changes that were seen or reported lately."""
        return await self._get("list_changes", "/api/v1/changes")

    async def daemon_status(self) -> Any:
        """How the daemon does: version, store, Prometheus, Alertmanager, rules, calendars."""
        return await self._get("daemon_status", "/api/v1/system")

    # ── proposing: people decide about it ────────────────────────────────────────────────────

    async def propose_step(
        self, incident: str, action: str, params: dict[str, Any], reason: str, within: str = "10m"
    ) -> Any:
        """Add an alternative to an incident's plan. It runs only if the Commander approves it.
        `action` and `params` are of `list_actions`; say in `reason` what speaks for it."""
        body = {"action": action, "with": params, "within": within, "reason": reason}
        return await self._do("propose_step", incident_path(incident, "steps"), body)

    async def add_note(self, incident: str, text: str) -> Any:
        """Put a note on an incident's timeline, for the people who work on it."""
        return await self._do("add_note", incident_path(incident, "notes"), {"text": text})

    async def add_finding(
        self,
        incident: str,
        text: str,
        source: str,
        query: str = "",
        link: str = "",
        hypothesis: str = "",
    ) -> Any:
        """Add what you found out about an incident's cause, in a sentence with its numbers. Cite
        what shows it: the `query`, or an http `link`. `source` is the name of who found it, yours;
        `hypothesis` the one that it speaks about, such as h1. People judge it; nothing is done."""
        body = {
            "source": source,
            "text": text,
            "query": query,
            "link": link,
            "hypothesis": hypothesis,
        }
        return await self._request("add_finding", "POST", incident_path(incident, "findings"), body)

    # ── acting, as the person ────────────────────────────────────────────────────────────────

    async def acknowledge(self, incident: str, seen: int) -> Any:
        """Say that the person responds to an incident; the first who does becomes Commander."""
        return await self._do("acknowledge", incident_path(incident, "ack"), {}, seen)

    async def approve_step(self, incident: str, step: int, seen: int) -> Any:
        """Let a step of the plan run, as the Commander. It changes production."""
        path = incident_path(incident, "steps", str(step), "approve")
        return await self._do("approve_step", path, {}, seen)

    async def veto_step(self, incident: str, step: int, seen: int) -> Any:
        """Forbid a step of the plan in this incident."""
        path = incident_path(incident, "steps", str(step), "veto")
        return await self._do("veto_step", path, {}, seen)

    async def skip_step(self, incident: str, step: int, reason: str, seen: int) -> Any:
        """Pass a step over, as the Commander; the next alternative is looked at."""
        path = incident_path(incident, "steps", str(step), "skip")
        return await self._do("skip_step", path, {"reason": reason}, seen)

    async def pause_automation(self, incident: str, reason: str, seen: int) -> Any:
        """Stop the automation of an incident: nothing more starts by itself."""
        path = incident_path(incident, "pause")
        return await self._do("pause_automation", path, {"reason": reason}, seen)

    async def resume_automation(self, incident: str, seen: int) -> Any:
        """Let the automation of an incident go on."""
        return await self._do("resume_automation", incident_path(incident, "resume"), {}, seen)

    async def freeze(self, reason: str, scope: str = "global", lasts: str = "1h") -> Any:
        """Let no recovery action start in a scope: global, team:NAME or target:NAME."""
        body = {"reason": reason, "scope": scope, "for": lasts}
        return await self._request("freeze", "PUT", "/api/v1/freeze", body)

    async def thaw(self, scope: str = "global") -> Any:
        """Lift a freeze."""
        return await self._request("thaw", "DELETE", "/api/v1/freeze", {"scope": scope})

    async def send_update(self, incident: str, update: str, revision: int, seen: int) -> Any:
        """Release an update to its audience, in the revision that was read."""
        path = incident_path(incident, "updates", update, "send")
        return await self._do("send_update", path, {"revision": revision}, seen)

    # ── asking the daemon ────────────────────────────────────────────────────────────────────

    async def _get(self, tool: str, path: str, query: Mapping[str, Any] | None = None) -> Any:
        given = {name: value for name, value in (query or {}).items() if value != ""}
        return await self._request(
            tool, "GET", f"{path}?{urlencode(given)}" if given else path, None
        )

    async def _do(self, tool: str, path: str, body: dict[str, Any], seen: int | None = None) -> Any:
        """A command; with `seen`, only if nothing has happened since that entry."""
        expected = {} if seen is None else {"If-Match": f'"{seen}"'}
        after = await self._request(tool, "POST", path, body, expected)
        return after["incident"]

    async def _request(
        self,
        tool: str,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        more = {"X-Stopgap-Tool": tool, **(headers or {})}
        try:
            return await asyncio.to_thread(self._ask, method, path, body, more)
        except CommandFailure as error:
            raise ToolRefused(str(error)) from None


def _bounded(name: str, rows: Sequence[Any], first: int) -> dict[str, Any]:
    """The `first` rows and the newest others; `left_out` tells how many are missing."""
    first = min(first, _MOST)
    left_out = len(rows) - _MOST
    if left_out <= 0:
        return {name: list(rows)}
    return {name: [*rows[:first], *rows[first + left_out :]], f"{name}_left_out": left_out}
