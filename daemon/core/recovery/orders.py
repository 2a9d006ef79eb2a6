"""A step that a person starts now: until when that counts, and what is said where it is held up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from daemon.core.incident.step_state import StepState
from daemon.core.recovery.guardrails import Freeze, Hindered, frozen_text
from daemon.core.recovery.step_answers import AskApproval
from daemon.core.values.units import clock_time, format_duration

ORDER_LASTS = timedelta(seconds=20)
"""For how long "start it now" counts while something holds it up, a freeze or the target's lock.
After that the Commander is asked again: a thaw must not set off what was meant for a moment."""


def order_lapses(state: StepState) -> datetime | None:
    """Until when "start it now" counts; None if nobody has said so."""
    if not state.ordered_now or state.approved_at is None:
        return None
    return state.approved_at + ORDER_LASTS


def order_overtaken(
    number: int, state: StepState, hindrance: Hindered | None, now: datetime
) -> AskApproval | None:
    """What a person wanted to start at once, and could not be: they are asked whether they still
    do."""
    if not state.ordered or state.approved_at is None or now < state.approved_at + ORDER_LASTS:
        return None
    text = (
        f"{state.approved_by} started it at {clock_time(state.approved_at)}, and it was held up "
        f"for over {format_duration(ORDER_LASTS)}; start it again if that is still right"
    )
    # The same sentence before and after what held it up is gone: it is one question.
    if state.asking and state.ask_reason == "order_lapsed":
        return AskApproval(number, "order_lapsed", state.refusal_text)
    besides = f" ({hindrance.text})" if hindrance is not None and hindrance.absolute else ""
    return AskApproval(number, "order_lapsed", f"{text}{besides}")


def held_up(state: StepState, freezes: Sequence[Freeze]) -> str:
    """Why a step that a person approved or started waits all the same, and until when what they
    said counts; empty if no freeze holds it up. `freezes`: those in force that concern it."""
    if not freezes or not state.approved_by or state.asking or state.status != "waiting":
        return ""
    return until_it_lapses(state, frozen_text(freezes[0]))


def until_it_lapses(state: StepState, hindrance: str) -> str:
    """What holds up a step; of one that a person starts now, also until when that counts."""
    lapses = order_lapses(state)
    if lapses is None:
        return hindrance
    return f"{hindrance}; the order lapses at {clock_time(lapses)} unless it can start before"
