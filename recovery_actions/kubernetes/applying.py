"""Patches a workload at the moment of acting: look again, patch, and if in doubt look again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from daemon.core.ports.actions import Refused
from daemon.core.values.outcome import Outcome, Permanent, Temporary
from recovery_actions.kubernetes.client import ClusterClient
from recovery_actions.kubernetes.errors import Forbidden, Missing, NotDone, VersionConflict
from recovery_actions.kubernetes.names import Workload
from recovery_actions.kubernetes.objects import Raw
from recovery_actions.kubernetes.patches import Patch
from recovery_actions.kubernetes.waiting import PollPace
from recovery_actions.reasons import NotReady, as_outcome, ending

_TRIES = 5
"""How often a patch is tried that met a conflict, or an answer that did not come."""


@dataclass(frozen=True)
class Found:
    """What a look gave: the patch to send, or None if it stands there already.

    `late`: what was overdue before our change, see `rollout_status`.
    """

    late: str
    patch: Patch | None = None


ReadWorkload = Callable[[], Awaitable[Found | Refused | Outcome]]
"""Reads the workload afresh; raises as the client does."""


async def apply_patch(
    client: ClusterClient,
    workload: Workload,
    look: ReadWorkload,
    pace: PollPace,
    deed: str,
    patched: Callable[[Raw], None] | None = None,
) -> Outcome | str:
    """Patch what `look` finds, or find it patched: what was overdue before, or how it ended.

    A patch that got no answer may have arrived, so the next look decides what to make of it.
    `deed` completes the sentence 'it could not be …'; `patched` gets the workload as the server
    has made it of the patch, if it answered. The outcome is `refused` with the reason
    of `look`, `no_such_workload`, `forbidden` or, if each try met a conflict,
    `changed_meanwhile`; `failed` with `patch_failed` or `unreachable`; or `unknown` with
    `unreachable`.
    """
    unsure = False
    trouble: Exception = Temporary("nobody has tried")
    for attempt in range(_TRIES):
        if attempt:
            await pace.sleep(trouble.wait if isinstance(trouble, NotDone) else 1.0)
        sending = False
        try:
            found = await look()
            if isinstance(found, Outcome):
                return found
            if isinstance(found, Refused):
                return as_outcome(found)
            if found.patch is not None:
                sending = True
                raw = await client.patch(workload.resource, found.patch.kind, found.patch.body)
                if patched is not None:
                    patched(raw)
        except Temporary as error:
            unsure = unsure or (sending and not isinstance(error, VersionConflict | NotDone))
            trouble = error
        except Missing as error:
            return as_outcome(NotReady("no_such_workload", str(error)))
        except Forbidden as error:
            return as_outcome(NotReady("forbidden", str(error)))
        except Permanent as error:
            text = f"{workload.title} could not be {deed}: {error}"
            return ending(result="failed", reason="patch_failed", detail=text)
        else:
            return found.late
    if unsure:
        text = f"whether {workload.title} was {deed} is not known: {trouble}"
        return ending(result="unknown", reason="unreachable", detail=text)
    text = f"{workload.title} could not be {deed}: {trouble}"
    if isinstance(trouble, VersionConflict):
        text += f", {_TRIES} times in a row; it was left alone, look who works on it"
        return ending(result="refused", reason="changed_meanwhile", detail=text)
    return ending(result="failed", reason="unreachable", detail=text)
