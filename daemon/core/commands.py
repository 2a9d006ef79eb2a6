"""All commands of people in one table: what each needs, by what it may come, what is said then.

What pagers report (`RecordPagerReport`) and investigators find (`AddFinding`) are none of them, for
nobody gives these here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from daemon.core.diagnosis.commands import (
    AddHypothesis,
    AssignHypothesis,
    JudgeHypothesis,
    OrderDiagnosis,
    RequestHelp,
)
from daemon.core.recovery.commands import (
    ApproveStep,
    ContinueStep,
    ProposeStep,
    SkipStep,
    StartStepNow,
    StopStep,
    VetoStep,
)
from daemon.core.response.call_answers import DeclineCall, SnoozeCall
from daemon.core.response.collaboration_commands import OpenRoom, RecordTicket
from daemon.core.response.command import Command, Surface
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
from daemon.core.response.organizing import Merge, Reassign, Relate, SetSeverity, SplitAlerts
from daemon.core.response.role_commands import AnswerRequest, FillRole, LeaveRole
from daemon.core.response.update_commands import (
    DraftUpdate,
    EditUpdate,
    SendUpdate,
    SnoozeUpdates,
)


@dataclass(frozen=True)
class CommandSpec:
    """A row: the command, what is said when it is done, and by what it may come."""

    command: type[Command]
    done: str
    surfaces: frozenset[Surface]

    @property
    def needs(self) -> Literal["responder", "commander"]:
        """Whether every responder may give it, or the Commander alone."""
        return "commander" if self.command.commander_only else "responder"


_SITE: frozenset[Surface] = frozenset({"cli", "api", "page", "mcp"})
_STEERED: frozenset[Surface] = frozenset({"cli", "api", "page"})
_LINK: frozenset[Surface] = _SITE | {"link"}
_CHAT: frozenset[Surface] = _LINK | {"slack"}
_WEBHOOK: frozenset[Surface] = _SITE | {"webhook"}
_SNOOZED = "Put off. What they must know at once is told all the same."

COMMANDS: Mapping[str, CommandSpec] = {
    "ack": CommandSpec(Acknowledge, "You are on it.", _CHAT),
    "leave": CommandSpec(Leave, "You are off it.", _SITE),
    "pause": CommandSpec(
        PauseAutomation, "Stopped: nothing more starts by itself. What runs is finished.", _SITE
    ),
    "resume": CommandSpec(ResumeAutomation, "Automation goes on.", _SITE),
    "approve": CommandSpec(ApproveStep, "Approved.", _SITE),
    "start": CommandSpec(StartStepNow, "Ordered: it starts now, if nothing forbids it.", _SITE),
    "skip": CommandSpec(SkipStep, "Skipped; the next alternative is looked at.", _SITE),
    "veto": CommandSpec(VetoStep, "Vetoed: it will not run in this incident.", _SITE),
    "continue": CommandSpec(ContinueStep, "It goes on to its end.", _STEERED),
    "stop": CommandSpec(StopStep, "Stopped: what it did is taken back.", _STEERED),
    "propose": CommandSpec(ProposeStep, "Proposed; it runs once the Commander approves it.", _SITE),
    "role": CommandSpec(FillRole, "Taken, or asked for.", _SITE),
    "leave-role": CommandSpec(LeaveRole, "Given up.", _SITE),
    "answer": CommandSpec(AnswerRequest, "Answered.", _LINK),
    "no-plan": CommandSpec(
        DeclareNoPlan, "Diagnosis is open, and a dedicated commander is called.", _SITE
    ),
    "decline": CommandSpec(
        DeclineCall, "Noted; whoever is next is called, and all again if nobody is left.", _CHAT
    ),
    "snooze-call": CommandSpec(
        SnoozeCall, "You are called again then, unless enough have come.", _CHAT
    ),
    "escalate": CommandSpec(Escalate, "They are being called.", _SITE),
    "engage": CommandSpec(EngageTeam, "The team is being called in.", _SITE),
    "room": CommandSpec(OpenRoom, "The room and the call are being opened.", _SITE),
    "ticket": CommandSpec(RecordTicket, "The ticket stands in the timeline.", _SITE),
    "note": CommandSpec(Note, "Noted.", _SITE),
    "sentiment": CommandSpec(ReportSentiment, "Noted.", _WEBHOOK),
    "close": CommandSpec(Close, "Closed.", _SITE),
    "draft": CommandSpec(DraftUpdate, "Drafted.", _SITE),
    "send": CommandSpec(SendUpdate, "The update goes out now.", _LINK),
    "edit": CommandSpec(
        EditUpdate, "Changed; the channels that can are brought up to date.", _SITE
    ),
    "snooze": CommandSpec(SnoozeUpdates, _SNOOZED, _LINK),
    "dismiss": CommandSpec(DismissLastWord, "Dismissed; nobody is reminded any more.", _SITE),
    "cause": CommandSpec(RecordCause, "Recorded; the review has it.", _SITE),
    "standardize": CommandSpec(DecideStandardization, "Recorded; the review has it.", _SITE),
    "follow-up": CommandSpec(AddFollowUp, "Added; its owner is reminded of the day.", _SITE),
    "change-follow-up": CommandSpec(ChangeFollowUp, "Changed.", _SITE),
    "move-follow-up": CommandSpec(MoveFollowUp, "So it stands.", _SITE),
    "diagnose": CommandSpec(OrderDiagnosis, "The dossier is being gathered.", _SITE),
    "hypothesis": CommandSpec(AddHypothesis, "Put down.", _SITE),
    "judge": CommandSpec(JudgeHypothesis, "Judged.", _SITE),
    "own": CommandSpec(AssignHypothesis, "Assigned.", _SITE),
    "help": CommandSpec(RequestHelp, "The Commander is asked.", _SITE),
    "severity": CommandSpec(
        SetSeverity, "Noted; the higher of this and what is measured counts.", _SITE
    ),
    "relate": CommandSpec(Relate, "Related, here and there.", _SITE),
    "merge": CommandSpec(Merge, "Merged: everything goes on in the other one.", _SITE),
    "split": CommandSpec(SplitAlerts, "Split off, and you respond to it.", _SITE),
    "reassign": CommandSpec(Reassign, "Given to the team, which is being called.", _SITE),
}
