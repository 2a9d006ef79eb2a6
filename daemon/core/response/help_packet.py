"""What somebody is told who is called in to help: a team of ours everything, a vendor the least."""

from __future__ import annotations

from daemon.core.incident.state import Incident
from daemon.core.incident.step_state import StepState
from daemon.core.measurement.problem import Problem
from daemon.core.people.vendors import Vendor
from daemon.core.response.paging import headline
from daemon.core.response.rooms import places_line
from daemon.core.values.drill_key import marked
from daemon.core.values.units import percent, printable, quantity

PACKET_LENGTH = 4000
"""Characters of what an engaged team is told."""


def help_packet(incident: Incident, person: str, ask: str, document: str) -> str:
    """What a team that is called in needs to know: what is asked of them, the symptom with its
    numbers, since when, what was tried, what is suspected and found, and where everything is."""
    problem = incident.confirmed or incident.problem
    who = person or "somebody"
    lines = [f"{who} asks for your help: {ask.strip() or headline(incident)}"]
    if problem is not None:
        lines.append(f"Problem: {problem.text}")
        if incident.title != incident.statement:
            lines.append(f"Now: {incident.title}")
        if problem.onset is not None:
            lines.append(f"Since: {problem.onset:%Y-%m-%d %H:%M} UTC, by the metrics")
        lines += [f"Query: {query}" for query in problem.queries[:3]]
    lines += [
        f"Tried: {step.action} on {step.target}: {step.so_far}"
        for step in incident.steps.values()
        if step.action
    ]
    if incident.suspicion is not None:
        lines.append(f"Suspect: {incident.suspicion.text}")
    known = incident.causes
    found = (*(known.dossier.findings[:3] if known.dossier is not None else ()), *known.findings)
    lines += [f"Found: {one.describe()}" for one in found if one.kind != "suspect"]
    lines += filter(None, (places_line(incident), f"Everything: {document}"))
    return "\n".join(lines)[:PACKET_LENGTH]


def vendor_ticket(incident: Incident, vendor: Vendor, description: str, ask: str) -> str:
    """A ticket's text to copy, which goes outside: no person, no target, no label, no query and no
    address of ours is in it. `description` is the rule's, made for the public; `ask` is what a
    person wants of them, as they wrote it."""
    problem = incident.confirmed or incident.problem
    begun = problem.onset if problem is not None and problem.onset else incident.opened_at
    measured = f"{problem.symptom} far from normal" if problem and problem.symptom else ""
    said = " ".join(description.split()).rstrip(".")
    subject = printable(said or measured or "a service of ours is impaired")
    if incident.drill is not None:
        subject = marked(f"do not send this: {subject}")
    since = f"since {begun:%Y-%m-%d %H:%M} UTC"
    lines = [f"Subject: {subject} {since}", ""]
    if vendor.contract:
        lines.append(f"Contract: {vendor.contract}")
    lines.append(f"Our reference: {incident.id}")
    if incident.severity:
        lines.append(f"Severity to us: {incident.severity} (sev1 is the gravest)")
    lines += ["", f"What we see: {subject}, {since}."]
    if problem is not None:
        lines += _numbers(problem)
    if incident.recovered_at is not None:
        lines.append(f"It ended at {incident.recovered_at:%Y-%m-%d %H:%M} UTC.")
    tried = [_tried(step) for _, step in sorted(incident.steps.items()) if step.acted]
    lines.append(f"What we tried: {'; '.join(tried) or 'nothing was changed on our side so far'}.")
    provides = f" with {vendor.what}" if vendor.what else ""
    asked = " ".join(ask.split()) or (
        f"do you see or know of anything wrong{provides} {since}? If so: what is affected, what "
        "can we do meanwhile, and when will it be over?"
    )
    lines += ["", f"What we ask: {asked}"]
    return "\n".join(lines)


def _numbers(problem: Problem) -> list[str]:
    lines = []
    show = percent if problem.kind == "counts" else quantity
    if problem.level is not None and problem.baseline is not None:
        symptom = printable(problem.symptom or "our measurement")
        lines.append(
            f"Measured at {problem.at:%H:%M} UTC: {symptom} {show(problem.level)}; "
            f"normal is {show(problem.baseline)}."
        )
    elif problem.level is not None and problem.bounds:
        symptom = printable(problem.symptom or "our measurement")
        lines.append(
            f"Measured at {problem.at:%H:%M} UTC: {symptom} {show(problem.level)}; "
            f"it is a problem if {problem.bounds}."
        )
    failed = round(problem.failed_per_minute or 0)
    if failed:
        requests = "request" if failed == 1 else "requests"
        lines.append(f"About {quantity(failed)} {requests} a minute failed.")
    return lines


def _tried(step: StepState) -> str:
    what = step.action.replace("_", " ") or "a change"
    came = {
        "recovered": "it helped",
        "self_recovered": "it ended by itself",
        "partial": "it helped in part",
        "unchanged": "nothing changed",
        "worse": "it got worse",
        "inconclusive": "no clear effect",
    }
    return f"{what} ({came.get(step.verdict or '', 'its effect is being measured')})"
