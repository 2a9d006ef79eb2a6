"""What the daemon's answers say, in sentences. Texts by others are made harmless on the way."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from daemon.core.people.role_names import ROLE_NAMES
from daemon.core.values.formats import clock_time, printable

View = Mapping[str, Any]
"""A part of what the API says of an incident."""

ROLE_TITLES: dict[str, str] = dict(ROLE_NAMES.items())
"""Every role with its title, in the order in which people read them."""
_OFFICES = {
    "commander": "command",
    "communicator": "communication",
    "fast_recovery": "fast recovery",
    "diagnosis": "the diagnosis",
}
SUGGESTED_AT_MOST = 3


def title(role: str) -> str:
    """What a role is called."""
    return ROLE_TITLES.get(role) or printable(role)


def moment(stamp: str) -> str:
    """A time of the API for a sentence: 14:03:20 UTC."""
    return clock_time(datetime.fromisoformat(stamp))


def asking(request: View) -> str:
    """What somebody is asked, and by when."""
    role, until = request["role"], moment(request["until"])
    asked_person, taker = printable(request["asked"]), printable(request["taker"])
    if request["how"] == "takeover":
        office = _OFFICES.get(role, title(role))
        return (
            f"{asked_person} is asked to give up {office} to {taker}; "
            f"it goes through at {until} if there is no answer"
        )
    return f"{asked_person} is asked to be {title(role)}; answer by {until}"


def how_to_answer(incident: str, request: View) -> str:
    """The command that answers."""
    return f"stopgap answer {incident} {printable(request['request'])} yes"


def holder(incident: View, role: str) -> str:
    """Who has the role, for the eye; `stopgap` holds fast recovery until a person takes it."""
    return printable(incident["roles"].get(role) or "") or "vacant"


def roles_in_short(incident: View) -> str:
    """All the roles in one line."""
    return ", ".join(f"{name}: {holder(incident, role)}" for role, name in ROLE_TITLES.items())


def suggested(incident: View, role: str) -> str:
    """Who could take a vacant role, and why; empty if nobody comes to mind."""
    found: Sequence[View] = incident.get("suggestions", {}).get(role, ())
    return ", ".join(
        f"{printable(one['person'])} ({printable(one['why'])})" for one in found[:SUGGESTED_AT_MOST]
    )


def clock_line(reading: View) -> str:
    """One item of the ten-minute clock; empty if this incident does not need it."""
    text, due, took = printable(reading["text"]), moment(reading["due_at"]), reading["took"]
    match reading["state"]:
        case "met":
            return f"✓ {text}: after {printable(str(took))}"
        case "late" if took is not None:
            return f"✗ {text}: late, after {printable(str(took))}; it was due by {due}"
        case "late":
            return f"✗ {text}: late, it was due by {due}"
        case "running":
            return f"… {text}: due by {due}"
        case _:
            return ""


def engaged_line(engaged: View) -> str:
    """An expert team that was called in."""
    who = printable(engaged["answered_by"] or "")
    return (
        f"{printable(engaged['team'])} is called in: {f'{who} is here' if who else 'no answer yet'}"
    )


def meeting_lines(incident: View) -> list[str]:
    """Where people meet, and what does not work about that."""
    meeting = incident.get("meeting")
    if not meeting:  # nobody has asked for it, or the daemon is older than this command
        return []
    lines = []
    for name in ("room", "call"):
        place = meeting[name]
        if place:
            where = " ".join(filter(None, (place["name"], place["url"])))
            ended = " (archived)" if name == "room" and meeting["archived_at"] else ""
            lines.append(f"{name}: {printable(where) or 'asked for'}{ended}")
    return [*lines, *map(printable, meeting["troubles"])]


def helper_lines(incident: View) -> list[str]:
    """Who else could help, and the command that asks them; of vendors those that are involved."""
    one = printable(incident["id"])
    lines = [
        f"{printable(helper['team'])}: {printable(helper['why'])}: "
        f"stopgap engage {one} {printable(helper['team'])} {shlex.quote(printable(helper['ask']))}"
        for helper in incident.get("help", ())
    ]
    for vendor in incident.get("vendors", ()):
        name = printable(vendor["name"])
        if vendor["tickets"]:
            lines.append(f"{name}: ticket {printable(', '.join(vendor['tickets']))}")
        elif vendor["because"] and incident["status"] == "open":
            because, key = printable(vendor["because"]), printable(vendor["vendor"])
            lines.append(f"{name}: {because} is involved: stopgap engage {one} --vendor {key}")
    return lines


def step_commands(incident: View) -> list[str]:
    """The commands that the steps of the plan take now, as the daemon says."""
    one = printable(incident["id"])
    return [
        f"{_occasion(step)}: stopgap step {one} {step['step']} {one_of(step['allowed'])}"
        for step in incident.get("steps", ())
        if step.get("allowed")
    ]


def _occasion(step: View) -> str:
    if step["waits_for"]:
        return "yours to decide"
    return "still to be stopped" if step["status"] == "running" else "possible"


def one_of(choices: Sequence[str]) -> str:
    """A choice, for a sentence: approve, skip, or veto."""
    return ", or ".join(part for part in (", ".join(choices[:-1]), choices[-1]) if part)


OBSERVES = "observes only: Stopgap says what it would do, and does nothing by itself"
STAGES: Mapping[str, str] = {
    "early": "nothing was decided yet",
    "middle": "recovery or diagnosis is under way",
    "late": "restored, or over",
}
"""What the stages of an incident mean."""


def briefing_lines(step: View, open_: bool) -> list[str]:
    """What to know before deciding on a step: what it does, whether it was tried, why it is asked,
    the risk; or what a rule that only observes would do. Empty unless it is to be decided."""
    if not open_ or step["status"] != "waiting":
        return []
    if step.get("would"):
        return [f"Stopgap {printable(step['would'])}; it is yours to do"]
    if not step["waits_for"] or "label" not in step:  # the latter: an older daemon
        return []
    lines = [f"does: {printable(step['label'])}"]
    tried = step["dry_run"]
    if tried is not None:
        how = "passed" if tried["passed"] else f"refused: {printable(tried['trouble'])}"
        lines.append(f"dry run at {moment(tried['at'])}: {how}")
    if step["asked_because"]:
        lines.append(f"asked because {printable(step['asked_because'])}")
    if step["risk"]:
        lines.append(f"risk: {printable(step['risk'])}")
    return lines


def finding_lines(diagnosis: View, *, queries: bool = False) -> list[str]:
    """The findings about the cause, each on a line; with the query of each behind it."""
    lines = []
    for found in diagnosis["findings"]:
        by = "" if found["source"] == "stopgap" else f"{printable(found['source'])}: "
        link = f" [{printable(found['link'])}]" if found["link"] else ""
        lines.append(f"{by}{printable(found['text'])}{link}")
        if queries and found["query"]:
            lines.append(f"  {printable(found['query'])}")
    return lines


def hypothesis_line(one: View) -> str:
    """A hypothesis: its name, its state, what it says, and who looks into it."""
    owner = f" — {printable(one['owner'])} looks into it" if one["owner"] else ""
    state = printable(one["state"]).replace("_", " ")
    return f"{printable(one['hypothesis'])} ({state}): {printable(one['text'])}{owner}"


def how_to_send(incident: str, update: View) -> str:
    """The command that sends a draft."""
    return f"stopgap update {incident} send {printable(update['update'])}"


def timeline_of(detail: View) -> Sequence[View]:
    """The timeline in short, the oldest first; a daemon older than this command has each entry."""
    lines: Sequence[View] = detail.get("lines") or detail["timeline"]
    return lines


def paragraphs(text: str) -> list[str]:
    """A text of several lines by others: its lines, each without control characters."""
    return [printable(line) for line in text.splitlines()]
