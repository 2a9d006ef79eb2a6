"""What a review begins with: the incident in plain words, and its figures."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.measurement.problem import Problem
from daemon.core.people.role_names import ROLE_NAMES
from daemon.core.reporting.review.document import Grid, Paragraph, Section
from daemon.core.reporting.review.model import Review
from daemon.core.reporting.review.words import (
    about,
    after,
    as_sentence,
    in_words,
    level_words,
    listed,
    plural,
    step_name,
    without_codes,
)
from daemon.core.response.paging import without_rule
from daemon.core.values.drill_key import DRILL_MARK, marked
from daemon.core.values.units import printable, quantity


def review_title(incident: Incident) -> str:
    """The heading; a drill's says first that it is one."""
    problem = incident.confirmed
    title = incident.opened.title.removeprefix(DRILL_MARK).lstrip()
    if problem is not None and problem.baseline is not None and problem.level is not None:
        name = _name(incident)
        usual, level = (level_words(x, problem.kind) for x in (problem.baseline, problem.level))
        title = f"{name}: " if name else ""
        title += f"{problem.symptom} {usual} → {level}"
    heading = f"Incident {incident.id}: {title}"
    return heading if incident.drill is None else marked(heading)


def summary_section(review: Review) -> Section:
    """The incident in a few sentences."""
    return Section("Summary", (Paragraph(" ".join(_sentences(review))),))


def figures_section(review: Review) -> Section:
    """What a reader looks up first."""
    return Section("", (Grid(("At a glance", ""), tuple(_rows(review))),))


def _sentences(review: Review) -> Iterator[str]:
    incident = review.incident
    yield _began(review)
    yield from _impact(incident)
    suspicion = incident.suspicion
    if suspicion is not None and suspicion.change is not None:
        yield as_sentence(f"What had changed just before: {suspicion.text}")
    yield from _ended(review)
    yield from _people(review)
    yield "All times are UTC."


def _began(review: Review) -> str:
    incident = review.incident
    problem, name = incident.confirmed, _name(incident)
    day = f"{incident.opened_at.day} {incident.opened_at:%B %Y}"
    if problem is None:
        declared, split = incident.organization.declared, incident.organization.split_from
        came = "an alert came in"
        if declared is not None:
            came = f"{declared.person} declared it by hand"
        elif split is not None:
            came = f"{split.person} split it off from {split.other}"
        opened = f"On {day} at {incident.opened_at:%H:%M:%S} {came}: "
        told = as_sentence(f"{opened}{printable(incident.opened.title)}")
        if not incident.rule:
            why = f"{without_rule(incident).capitalize()}, so nothing was measured."
            return f"{told} {why}"
        if incident.problem is None:
            return f"{told} Prometheus was never read for it."
        return f"{told} " + as_sentence(f"No problem was confirmed: {incident.problem.text}")
    began = problem.onset or problem.begun_by or incident.opened_at
    began = min(began, incident.opened_at)
    day = f"{began.day} {began:%B %Y}"
    what = f"the {problem.symptom or 'service'}" + (f" of {name}" if name else "")
    if problem.begun_by is not None and problem.onset is None:
        was = f"On {day} at {problem.begun_by:%H:%M:%S} {what} was as bad already"
        return as_sentence(f"{was}, and nobody knows since when: {problem.text}")
    if problem.baseline is None or problem.level is None:
        return as_sentence(f"On {day} at {began:%H:%M:%S} {what} turned worse: {problem.text}")
    usual, level = (level_words(x, problem.kind) for x in (problem.baseline, problem.level))
    verb = "fell" if problem.level < problem.baseline else "rose"
    return f"On {day} at {began:%H:%M:%S} {what} {verb} from {usual} to {level}."


def _impact(incident: Incident) -> Iterator[str]:
    tally = incident.impact
    if tally.began is None or incident.confirmed is None:
        return
    if tally.ended:
        lasted = "That lasted"
    else:
        lasted = "So far that lasted" if incident.closed is None else "That lasted at least"
    lasted += f" {in_words(tally.lasted)}"
    if tally.failed is not None and incident.confirmed.kind == "counts":
        lasted += f", and {about(tally.failed)} requests failed"
    yield f"{lasted}."


def _ended(review: Review) -> Iterator[str]:
    incident = review.incident
    winner = incident.steps.get(incident.recovered_by)
    if incident.recovered_at is not None:
        proven = f"the metrics showed at {review.when(incident.recovered_at)}"
        if winner is not None and winner.started_at is not None:
            by = "Stopgap" if winner.automatic else (winner.approved_by or "a person")
            decided = "started" if winner.automatic else "ordered"
            yield (
                f"At {review.when(winner.started_at)} {by} {decided} {step_name(winner)}, "
                f"which restored service, as {proven}."
            )
        else:
            yield f"Service came back without a step of the plan, as {proven}."
    if incident.relapses:
        times = "once" if incident.relapses == 1 else plural(incident.relapses, "time")
        yield f"In between, the problem came back {times}."
    if incident.closed is None:
        yield "The incident is still open."
    elif incident.recovered_at is None and incident.closed_at is not None:
        yield _closed(incident, incident.closed, review.when(incident.closed_at))


def _closed(incident: Incident, closed: e.IncidentClosed, when: str) -> str:
    """How it was closed without a recovery that was measured."""
    into = incident.organization.merged_into
    if into:
        return f"At {when} it was merged into the incident {into}, whose review tells the rest."
    person, said, why = closed.text.removeprefix("closed by ").partition(": ")
    if closed.reason == "by_person" and said:
        return as_sentence(f"{person} closed the incident at {when}: {why}")
    return as_sentence(f"The incident was closed at {when}: {without_codes(closed.text)}")


def _people(review: Review) -> Iterator[str]:
    incident = review.incident
    if incident.acknowledged_at is None or not review.first_responder:
        if not incident.organization.merged_into:
            yield "Nobody responded."
        return
    took = after(incident.acknowledged_at - incident.opened_at)
    yield f"{review.first_responder} responded {took}."


def _rows(review: Review) -> Iterator[tuple[str, str]]:
    incident, tally = review.incident, review.incident.impact
    problem = incident.confirmed
    if incident.severity:
        yield "Severity", incident.severity
    if problem is not None and tally.began is not None:
        yield "Trouble began", review.when(tally.began)
    yield "Incident opened", review.when(incident.opened_at)
    if incident.recovered_at is not None:
        yield "Service restored", review.when(incident.recovered_at)
    if incident.closed_at is not None:
        yield "Incident closed", review.when(incident.closed_at)
    if problem is not None and tally.began is not None:
        yield from _measured(review, problem)
    winner = incident.steps.get(incident.recovered_by)
    if winner is not None and incident.recovered_at is not None:
        yield "Restored by", step_name(winner)
    people = _roles(review)
    if people:
        yield "People", people
    if incident.opened.team:
        yield "Team", incident.opened.team
    yield "Rule", incident.rule or "none matched"


def _measured(review: Review, problem: Problem) -> Iterator[tuple[str, str]]:
    tally = review.incident.impact
    yield (
        "Duration of impact",
        in_words(tally.lasted) + ("" if tally.ended else ", and not over"),
    )
    if problem.kind == "counts":
        failed = "not known" if tally.failed is None else about(tally.failed)
        yield "Failed requests", failed
    if tally.worst_level is not None and tally.worst_at is not None:
        level = level_words(tally.worst_level, problem.kind)
        usual = (
            ""
            if problem.baseline is None
            else f"; usual: {level_words(problem.baseline, problem.kind)}"
        )
        usual += f"; a problem if {problem.bounds}" if problem.bounds else ""
        yield "Worst level", f"{level} at {review.when(tally.worst_at)}{usual}"
    for impact in problem.impact:
        if impact.value is not None:
            yield impact.name, quantity(impact.value)


def _roles(review: Review) -> str:
    """Who was there, with the roles that they had at the end."""
    incident = review.incident
    holders = [incident.people.holder(role) for role in ROLE_NAMES]
    names = dict.fromkeys(filter(None, (*holders, *incident.responders, *review.responders)))
    return listed([_with_roles(incident, name) for name in names])


def _with_roles(incident: Incident, name: str) -> str:
    titles = [ROLE_NAMES[role] for role in incident.people.roles_of(name)]
    return f"{name} ({', '.join(titles)})" if titles else name


def _name(incident: Incident) -> str:
    return printable(" ".join(incident.group_labels.values()))
