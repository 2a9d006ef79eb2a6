"""The buttons of an incident's page: each form, read into a command of the core."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any, get_args

from daemon.core.diagnosis.commands import (
    AddHypothesis,
    AssignHypothesis,
    JudgeHypothesis,
    OrderDiagnosis,
    RequestHelp,
)
from daemon.core.incident import events as e
from daemon.core.incident.dossier import HypothesisState
from daemon.core.people.role_names import ROLE_NAMES
from daemon.core.recovery.commands import (
    USUAL_DEADLINE,
    ApproveStep,
    ContinueStep,
    ProposeStep,
    SkipStep,
    StartStepNow,
    StopStep,
    VetoStep,
)
from daemon.core.response.call_answers import SNOOZES, DeclineCall, SnoozeCall
from daemon.core.response.collaboration_commands import OpenRoom, RecordTicket
from daemon.core.response.command import Command, NotPossible
from daemon.core.response.commands import (
    Acknowledge,
    Close,
    DeclareNoPlan,
    EngageTeam,
    Escalate,
    Leave,
    Note,
    PauseAutomation,
    ReportSentiment,
    ResumeAutomation,
)
from daemon.core.response.last_word import DismissLastWord
from daemon.core.response.learning_commands import (
    AddFollowUp,
    ChangeFollowUp,
    DecideStandardization,
    MoveFollowUp,
    RecordCause,
)
from daemon.core.response.role_commands import AnswerRequest, FillRole, LeaveRole
from daemon.core.response.update_commands import (
    USUAL_SNOOZE,
    DraftUpdate,
    EditUpdate,
    SendUpdate,
    SnoozeUpdates,
)
from daemon.core.values.units import parse_duration
from daemon.core.values.yaml_document import Mistakes, one_document
from daemon.web.body import revision_read
from daemon.web.site.layout import FormFields
from daemon.web.site.organizing_forms import ORGANIZING_FORMS

PARAMS_LENGTH = 10_000
"""Characters of the parameters of a proposal; no action needs so many."""
_NUMBER = re.compile(r"[0-9]{1,4}")


def _number(form: FormFields, name: str) -> int:
    if not _NUMBER.fullmatch(form[name]):
        raise NotPossible(f"the form names no {name}; open the page again")
    return int(form[name])


def _role(form: FormFields) -> e.Role:
    given = form["role"]
    if given not in ROLE_NAMES:
        raise NotPossible(f"{given!r} is no role; choose one of the list")
    return given


def _accepted(form: FormFields) -> bool:
    if form["accept"] not in {"yes", "no"}:
        raise NotPossible("the form says neither yes nor no; open the page again")
    return form["accept"] == "yes"


def _proposal(form: FormFields) -> ProposeStep:
    try:
        params = _params(form["params"])
        within = parse_duration(form["within"]) if form["within"] else USUAL_DEADLINE
    except Mistakes as error:
        raise NotPossible(f"the parameters cannot be read: {error.mistakes[0].text}") from None
    except NotPossible:
        raise
    except ValueError as error:
        raise NotPossible(f"the time cannot be read: {error}") from None
    if not isinstance(params, dict):
        raise NotPossible("the parameters are lines like `name: value`")
    return ProposeStep(form["action"], params, within, form["reason"])


def _params(written: str) -> Any:
    """What is written there as YAML. Raises NotPossible, Mistakes; aliases cannot multiply it."""
    if len(written) > PARAMS_LENGTH:
        raise NotPossible(f"the parameters are longer than {PARAMS_LENGTH} characters")
    return one_document(written, "the parameters").data


def _due(form: FormFields) -> date | None:
    try:
        return date.fromisoformat(form["due"]) if form["due"] else None
    except ValueError:
        raise NotPossible(f"{form['due']!r} is no day; write it like 2026-12-24") from None


def _cause(form: FormFields) -> RecordCause:
    category = next((c for c in get_args(e.CauseCategory) if c == form["category"]), None)
    if category is None:
        raise NotPossible(f"{form['category']!r} is no category; choose one of the list")
    return RecordCause(form["text"], category, form["change"])


def _standard(form: FormFields) -> DecideStandardization:
    standard = next((k for k in get_args(e.StandardKind) if k == form["standard"]), None)
    if standard is None:
        raise NotPossible(f"{form['standard']!r} is nothing that rules learn; choose from the list")
    return DecideStandardization(standard, bool(form["applied"]), reason=form["reason"])


def _move(form: FormFields) -> MoveFollowUp:
    status = next((s for s in get_args(e.FollowUpStatus) if s == form["status"]), None)
    if status is None:
        raise NotPossible(f"{form['status']!r} is no state; choose one of the list")
    return MoveFollowUp(_number(form, "number"), status, form["reason"])


def _change_follow_up(form: FormFields) -> ChangeFollowUp:
    number = _number(form, "number")
    return ChangeFollowUp(number, form["title"] or None, form["owner"] or None, _due(form))


def _judgement(form: FormFields) -> JudgeHypothesis:
    given = form["state"]
    states: Mapping[str, HypothesisState] = {name: name for name in get_args(HypothesisState)}
    if given not in states:
        raise NotPossible(f"{given!r} is no state; choose one of the list")
    return JudgeHypothesis(form["hypothesis"], states[given], form["evidence"])


def _snooze(form: FormFields) -> SnoozeUpdates:
    return SnoozeUpdates(form["audience"], _lasting(form, USUAL_SNOOZE), form["reason"])


def _lasting(form: FormFields, usual: timedelta) -> timedelta:
    try:
        return parse_duration(form["for"]) if form["for"] else usual
    except ValueError as error:
        raise NotPossible(str(error)) from None


FORMS: Mapping[str, Callable[[FormFields], Command]] = {
    "ack": lambda form: Acknowledge(),
    "leave": lambda form: Leave(),
    "pause": lambda form: PauseAutomation(form["reason"] or "stopped on the page"),
    "resume": lambda form: ResumeAutomation(),
    "approve": lambda form: ApproveStep(_number(form, "step"), form["content"]),
    "start": lambda form: StartStepNow(_number(form, "step"), form["content"]),
    "skip": lambda form: SkipStep(_number(form, "step"), form["reason"]),
    "veto": lambda form: VetoStep(_number(form, "step")),
    "continue": lambda form: ContinueStep(_number(form, "step")),
    "stop": lambda form: StopStep(_number(form, "step")),
    "propose": _proposal,
    "role": lambda form: FillRole(_role(form), form["person"] or None),
    "leave-role": lambda form: LeaveRole(_role(form)),
    "answer": lambda form: AnswerRequest(form["request"], _accepted(form)),
    "no-plan": lambda form: DeclareNoPlan(form["reason"]),
    "decline": lambda form: DeclineCall(form["reason"]),
    "snooze-call": lambda form: SnoozeCall(_lasting(form, SNOOZES[0])),
    "escalate": lambda form: Escalate(_number(form, "tier")),
    "engage": lambda form: EngageTeam(form["team"], form["reason"]),
    "room": lambda form: OpenRoom(),
    "ticket": lambda form: RecordTicket(form["vendor"], form["ticket"]),
    "note": lambda form: Note(form["text"]),
    "sentiment": lambda form: ReportSentiment(form["text"]),
    "close": lambda form: Close(form["reason"]),
    "draft": lambda form: DraftUpdate(form["audience"]),
    "send": lambda form: SendUpdate(form["update"], revision_read(form["revision"]), form["text"]),
    "edit": lambda form: EditUpdate(form["update"], form["text"]),
    "snooze": _snooze,
    "dismiss": lambda form: DismissLastWord(form["audience"], form["reason"]),
    "cause": _cause,
    "standardize": _standard,
    "follow-up": lambda form: AddFollowUp(form["title"], form["owner"], _due(form)),
    "change-follow-up": _change_follow_up,
    "move-follow-up": _move,
    "diagnose": lambda form: OrderDiagnosis(form["reason"]),
    "hypothesis": lambda form: AddHypothesis(form["text"], form["owner"]),
    "judge": _judgement,
    "own": lambda form: AssignHypothesis(form["hypothesis"], form["person"]),
    "help": lambda form: RequestHelp(form["team"], form["reason"]),
    **ORGANIZING_FORMS,
}
"""The command of each button, by the name in `daemon.core.commands`; each raises NotPossible with
a sentence for whoever pressed it."""

SECTIONS: Mapping[str, str] = {
    **dict.fromkeys(("approve", "start", "skip", "veto", "continue", "stop", "propose"), "plan"),
    **dict.fromkeys(("role", "leave-role", "answer", "escalate", "engage"), "people"),
    **dict.fromkeys(("room", "ticket"), "together"),
    **dict.fromkeys(("note", "sentiment"), "timeline"),
    **dict.fromkeys(("diagnose", "hypothesis", "judge", "own", "help"), "diagnosis"),
    **dict.fromkeys(("draft", "send", "edit", "dismiss"), "updates"),
    **dict.fromkeys(
        ("cause", "standardize", "follow-up", "change-follow-up", "move-follow-up"), "learning"
    ),
    **dict.fromkeys(ORGANIZING_FORMS, "organize"),
}
"""The part of the page to go back to, if it is not the top."""
