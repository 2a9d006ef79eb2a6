"""How a story ended: what must be the same whether and wherever its daemon died."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.core.incident import events as e
from daemon.core.incident.fold import fold
from daemon.core.incident.state import Incident
from tests.simulation.crash_matrix.house import House

Ending = Mapping[str, object]
"""What is true in the end, by what it is about."""


def ending(house: House) -> Ending:
    """The end of a story, without the names and times that differ from run to run."""
    incidents = [fold(entries) for entries in house.stage.journal.entries.values()]
    names = {i.id: i.group_labels.get("service") or i.title for i in incidents}
    stormy = {i.id for i in incidents if i.storm is not None}
    told: dict[str, object] = {}
    for incident in incidents:
        about = names[incident.id]
        if about in told:
            about = f"{about}, opened again"
        told |= {f"{about}: {what}": value for what, value in _of(incident).items()}
    for name, action in house.actions.items():
        told[f"world: {name} was done"] = len(action.done)
    told["world: failing"] = house.stage.service.errors[-1][1]
    told["world: silences"] = sum(len(peer.ours) for peer in house.stage.alertmanagers)
    told["world: rooms made"] = len(house.chat.made)
    told["locks held"] = sum(run.finished is None for run in house.stage.journal.runs)
    told["actions counted"] = len(house.stage.journal.runs)
    told["marks"] = dict(house.stage.journal.marked)
    for name, phone in house.stage.phones.items():
        # Which incident of a storm is its oldest, and had a page of its own before it was one, is
        # decided by milliseconds; that it is called for is not.
        called = {
            ("the storm", "") if page.incident in stormy else (names[page.incident], page.page)
            for page in phone.pages
        }
        told[f"{name} was called"] = sorted(called)
    return told


def _of(incident: Incident) -> Ending:
    organized = incident.organization
    updates = incident.updates.by_name.values()
    return {
        "phase": incident.phase,
        "closed": incident.closed.reason if incident.closed else "",
        "Commander": incident.commander,
        "recovered by": incident.recovered_by,
        "recovered": incident.recovered_at is not None,
        "relapses": incident.relapses,
        "severity": incident.severity,
        "suspect": incident.suspicion.verdict if incident.suspicion else "",
        "steps": {n: (s.status, _result(s.outcome), s.verdict) for n, s in incident.steps.items()},
        "asks": {n: s.ask_reason for n, s in incident.steps.items() if s.ask_reason},
        "rehearsed": [n for n, s in incident.steps.items() if s.rehearsed],
        "alerts": {name: alert.status for name, alert in incident.alerts.items()},
        "merged": bool(organized.merged_into),
        "held": organized.held is not None,
        "declared": organized.declared is not None,
        "review": bool(incident.review),
        "samples": incident.recorded,
        "dossier": incident.causes.dossier is not None,
        # Whether the first one comes before the first decision or after it is a matter of
        # milliseconds where both are due at once, as when maintenance ends.
        "updated": {"at the end" if u.draft.stage == "late" else "before" for u in updates},
        "defects": len(incident.defects),
        "waiting pages": sorted(
            page.queued.page
            for page in incident.pages.values()
            if page.pending and incident.storm is None
        ),
    }


def _result(outcome: object) -> str:
    return getattr(outcome, "result", "")


def repeated(house: House) -> list[str]:
    """What was done more often than the deaths explain; a page or an update may reach somebody
    once more if the daemon died before it could write down that it had."""
    found = [
        f"{' '.join(what)} reached them {count} times, {house.unseen[what]} of which died unwritten"
        for what, count in house.reached().items()
        if count > 1 + house.unseen[what]
    ]
    for name, action in house.actions.items():
        twice = {token for token in action.done if action.done.count(token) > 1}
        found += [f"{name} was done twice for {token}" for token in twice]
    for incident, entries in house.stage.journal.entries.items():
        for kind in (e.IncidentOpened, e.IncidentClosed, e.ReviewWritten):
            count = sum(isinstance(entry.event, kind) for entry in entries)
            if count > 1:
                found.append(f"{incident} has {count} entries {kind.__name__}")
        for step in fold(entries).steps:
            for once in (e.StepStarted, e.StepFinished, e.StepVerified):
                own = (x.event for x in entries if isinstance(x.event, once))
                count = sum(event.step == step for event in own)
                if count > 1:
                    found.append(f"step {step} of {incident} has {count} entries {once.__name__}")
    return found


def differences(ended: Ending, should: Ending) -> list[str]:
    """In what two endings differ, in words."""
    return [
        f"{about}: {ended.get(about, 'nothing')!r}, and should be {should.get(about, 'nothing')!r}"
        for about in {**should, **ended}
        if ended.get(about) != should.get(about)
    ]
