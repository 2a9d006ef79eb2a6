"""What the buttons of an incident's page do: each is one deed of the core, made from a form."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from daemon.core.incident import events as e
from daemon.core.incident.state import Incident
from daemon.core.people.role_names import ROLE_NAMES
from daemon.core.recovery import commands as steering
from daemon.core.recovery.plan import content_of, plan_of
from daemon.core.response import commands as deeds
from daemon.core.response import roles
from daemon.core.response.roles import NotPossible
from daemon.core.rules.rule import Rule, StepSpec
from daemon.core.values.units import parse_duration
from daemon.core.values.yaml_document import Mistakes, one_document
from daemon.repository import DecideEvents
from daemon.web.context import WebContext
from daemon.web.site.layout import FormFields

_VIA = "page"
PARAMS_LENGTH = 10_000
"""Characters of the parameters of a proposal; no action needs so many."""
_COUNT = re.compile(r"[0-9]{1,4}")
Events = Sequence[e.Event]


@dataclass(frozen=True)
class FormRequest:
    """A button that was pressed: by whom, in which context, and what the form says.

    Everything here raises NotPossible with a sentence for that person.
    """

    context: WebContext
    who: str
    form: FormFields

    @property
    def step(self) -> int:
        """The step that is meant."""
        return self._number("step")

    @property
    def tier(self) -> int:
        """The tier that is meant."""
        return self._number("tier")

    @property
    def revision(self) -> int | None:
        """The draft that was read; None if the form names none that can be."""
        given = self.form["revision"]
        return int(given) if _COUNT.fullmatch(given) else None

    def role(self) -> e.Role:
        """The role that is meant."""
        given = self.form["role"]
        if given not in ROLE_NAMES:
            raise NotPossible(f"{given!r} is no role; choose one of the list")
        return given

    def rule(self, incident: Incident) -> Rule | None:
        """The rule in force."""
        return self.context.rules().rules.get(incident.rule)

    def unchanged(self, incident: Incident) -> None:
        """Raises NotPossible if the step is not the one that was read."""
        rule = self.rule(incident)
        if rule is None or self.step not in plan_of(incident, rule):
            return  # the deed itself says so
        if content_of(incident, rule, self.step) != self.form["content"]:
            raise NotPossible(f"step {self.step} was edited while you read it; read it again")

    def _number(self, name: str) -> int:
        given = self.form[name]
        if not _COUNT.fullmatch(given):
            raise NotPossible(f"the form names no {name}; open the page again")
        return int(given)


def _ack(asked: FormRequest) -> DecideEvents:
    return lambda i: deeds.acknowledge(i, asked.who, _VIA)


def _leave(asked: FormRequest) -> DecideEvents:
    return lambda i: deeds.unacknowledge(i, asked.who, _VIA)


def _pause(asked: FormRequest) -> DecideEvents:
    return lambda i: deeds.pause(i, asked.who, asked.form["reason"] or "stopped on the page")


def _resume(asked: FormRequest) -> DecideEvents:
    return lambda i: deeds.resume(i, asked.who)


def _approve(asked: FormRequest) -> DecideEvents:
    def change(incident: Incident) -> Events:
        asked.unchanged(incident)
        return steering.approve(incident, asked.rule(incident), asked.step, asked.who)

    return change


def _start(asked: FormRequest) -> DecideEvents:
    def change(incident: Incident) -> Events:
        asked.unchanged(incident)
        return steering.start(incident, asked.rule(incident), asked.step, asked.who)

    return change


def _skip(asked: FormRequest) -> DecideEvents:
    reason = asked.form["reason"]
    return lambda i: steering.skip(i, asked.rule(i), asked.step, asked.who, reason)


def _veto(asked: FormRequest) -> DecideEvents:
    return lambda i: steering.veto(i, asked.rule(i), asked.step, asked.who)


def _propose(asked: FormRequest) -> DecideEvents:
    form = asked.form
    try:
        params = _params(form["params"])
        within = parse_duration(form["within"] or "10m")
    except Mistakes as error:
        raise NotPossible(f"the parameters cannot be read: {error.mistakes[0].text}") from None
    except ValueError as error:
        raise NotPossible(f"the time cannot be read: {error}") from None
    if not isinstance(params, dict):
        raise NotPossible("the parameters are lines like `name: value`")
    try:
        spec = StepSpec.model_validate({"action": form["action"], "with": params, "within": within})
    except ValidationError as error:
        raise NotPossible(error.errors(include_url=False)[0]["msg"]) from None

    def change(incident: Incident) -> Events:
        unfit = asked.context.unfit(spec, incident)
        if unfit:
            raise NotPossible(unfit)
        rule = asked.rule(incident)
        return steering.propose(
            incident, rule, spec.action, params, spec.within, form["reason"], asked.who
        )

    return change


def _params(written: str) -> Any:
    """What is written there as YAML. Raises NotPossible, Mistakes; aliases cannot multiply it."""
    if len(written) > PARAMS_LENGTH:
        raise NotPossible(f"the parameters are longer than {PARAMS_LENGTH} characters")
    return one_document(written, "the parameters").data


def _role(asked: FormRequest) -> DecideEvents:
    """Take a role, or ask somebody else to."""
    role, roster, clock = asked.role(), asked.context.roster(), asked.context.repository.clock
    person = asked.form["person"] or asked.who
    if person not in roster.people:
        raise NotPossible(f"{person!r} is not in the roster")
    return lambda i: roles.fill(i, roster, role, person, asked.who, clock())


def _leave_role(asked: FormRequest) -> DecideEvents:
    role = asked.role()
    return lambda i: roles.step_down(i, role, asked.who)


def _answer(asked: FormRequest) -> DecideEvents:
    form, clock = asked.form, asked.context.repository.clock
    patience = asked.context.roster().timing.answer
    accept = form["accept"] == "yes"
    return lambda i: roles.answer_request(
        i, form["request"], asked.who, accept=accept, now=clock(), patience=patience
    )


def _no_plan(asked: FormRequest) -> DecideEvents:
    return lambda i: deeds.no_plan(i, asked.who, asked.form["reason"])


def _escalate(asked: FormRequest) -> DecideEvents:
    roster, clock = asked.context.roster(), asked.context.repository.clock
    return lambda i: deeds.jump(i, roster, asked.tier, asked.who, clock())


def _engage(asked: FormRequest) -> DecideEvents:
    roster, links, form = asked.context.roster(), asked.context.links, asked.form
    return lambda i: deeds.engage(
        i, roster, form["team"], asked.who, form["reason"], links.document(i.id)
    )


def _note(asked: FormRequest) -> DecideEvents:
    return lambda i: deeds.say(i, asked.form["text"])


def _sentiment(asked: FormRequest) -> DecideEvents:
    return lambda i: deeds.sentiment(i, asked.who, asked.form["text"])


def _close(asked: FormRequest) -> DecideEvents:
    return lambda i: deeds.close(i, asked.who, asked.form["reason"])


def _draft(asked: FormRequest) -> DecideEvents:
    context, audience = asked.context, asked.form["audience"]

    def change(incident: Incident) -> Events:
        rule = asked.rule(incident)
        description = rule.description if rule else ""
        return deeds.draft_now(
            incident, context.roster(), audience, description, context.repository.clock()
        )

    return change


def _send(asked: FormRequest) -> DecideEvents:
    form = asked.form
    revision = asked.revision
    text = form["text"].replace("\r\n", "\n")  # forms end their lines as mail does

    def change(incident: Incident) -> Events:
        update = incident.word.updates.get(form["update"])
        if update is not None and not update.sent and revision != update.draft.revision:
            raise NotPossible("the draft has changed while you read it; this is the new one")
        same = update is None or text == update.text.strip()
        return deeds.send(incident, form["update"], asked.who, revision, None if same else text)

    return change


def _edit(asked: FormRequest) -> DecideEvents:
    form = asked.form
    text = form["text"].replace("\r\n", "\n")
    return lambda i: deeds.edit(i, form["update"], asked.who, text)


def _snooze(asked: FormRequest) -> DecideEvents:
    form, roster, clock = asked.form, asked.context.roster(), asked.context.repository.clock
    try:
        last = parse_duration(form["for"] or "15m")
    except ValueError as error:
        raise NotPossible(str(error)) from None
    return lambda i: deeds.snooze(
        i, roster, form["audience"], asked.who, last, form["reason"], clock()
    )


@dataclass(frozen=True)
class Button:
    """A deed, what is said when it is done, and the part of the page to go back to."""

    make: Callable[[FormRequest], DecideEvents]
    done: str
    part: str = "now"


BUTTONS: Mapping[str, Button] = {
    "ack": Button(_ack, "You are on it."),
    "leave": Button(_leave, "You are off it."),
    "pause": Button(_pause, "Stopped: nothing more starts by itself. What runs is finished."),
    "resume": Button(_resume, "Automation goes on."),
    "approve": Button(_approve, "Approved.", "plan"),
    "start": Button(_start, "Ordered: it starts now, if nothing forbids it.", "plan"),
    "skip": Button(_skip, "Skipped; the next alternative is looked at.", "plan"),
    "veto": Button(_veto, "Vetoed: it will not run in this incident.", "plan"),
    "propose": Button(_propose, "Proposed; it runs once the Commander approves it.", "plan"),
    "role": Button(_role, "Taken, or asked for.", "people"),
    "leave-role": Button(_leave_role, "Given up.", "people"),
    "answer": Button(_answer, "Answered.", "people"),
    "no-plan": Button(_no_plan, "Diagnosis is open, and a dedicated commander is called."),
    "escalate": Button(_escalate, "They are being called.", "people"),
    "engage": Button(_engage, "The team is being called in.", "people"),
    "note": Button(_note, "Noted.", "timeline"),
    "sentiment": Button(_sentiment, "Noted.", "timeline"),
    "close": Button(_close, "Closed."),
    "draft": Button(_draft, "Drafted.", "updates"),
    "send": Button(_send, "The update goes out now.", "updates"),
    "edit": Button(_edit, "Changed; the channels that can are brought up to date.", "updates"),
    "snooze": Button(_snooze, "Put off. What they must know at once is told all the same."),
}
