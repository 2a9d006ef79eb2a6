"""An incident with all at once that an incident's page can show before "more"."""

from __future__ import annotations

import json
from datetime import timedelta

from daemon.core.incident import events as e
from daemon.core.measurement.problem import Impact
from daemon.core.people.roster import Roster
from daemon.core.values.yaml_document import one_document
from tests.contract.rig import ADA, ROSTER, Rig
from tests.core.build import MINUTE, blamed, impaired, make_problem
from tests.stories.stage import alert, body

EXPERTS = ROSTER.replace(
    "database: {owners: [cy],", 'database: {owners: [cy], expert_in: ["release:shop"],'
).replace(
    "audiences: {room: {channels: [room]}}",
    "audiences: {room: {channels: [room]}, customers: {channels: [room], wording: public}}",
)
STORM = "4 services began to alert within 5m (4 are a storm)"
OUTSIDE = {
    "runbook_url": "https://wiki.example/checkout",
    "dashboard_url": "https://grafana.example/d/checkout",
    "summary": "Customers cannot check out",
    "description": "More than 5 % of the checkouts failed. Look at the provider's status first.",
}


class RichRig(Rig):
    """With an expert team and two audiences."""

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self.roster = one_document(EXPERTS, "roster.yaml").read(Roster)


async def enrich(rig: Rig) -> None:
    """One of a storm: measured, with a suspect, what it costs, who could help, a room and a call,
    links, two drafts and a step that is asked about. Ada was called, and nobody has come."""
    told = json.loads(body({**alert(service="cart"), "annotations": OUTSIDE}))
    told["externalURL"] = "https://alertmanager.example"
    told["alerts"][0]["generatorURL"] = "https://prometheus.example/graph"
    rig.id = await rig.delivers(json.dumps(told).encode())
    at = rig.now
    change = blamed().change
    assert change is not None
    suspect = change.model_copy(update={"at": at - 5 * MINUTE})
    text = "release:shop: v41 → v42, 1m before the onset"
    rig.later(minutes=1)
    await rig.happens(
        e.ProblemDefined(
            problem=make_problem(
                at=at, impact=(Impact(name="orders lost per minute", value=1240.0),)
            ),
            suspicion=blamed().model_copy(update={"change": suspect, "text": text}),
        ),
        e.RecoveryMeasured(step=0, reading=impaired(rig.now, 0.22)),
        e.StormJoined(storm="1123-1400-other", began=at),
        e.PageQueued(page="r0.t0.ada", person="ada", purpose="escalation", text="come"),
        e.StepRefused(step=1, reason="storm", text=STORM),
        e.ApprovalRequested(step=1, reason="storm", text=STORM),
        e.StepRehearsed(
            step=1,
            action="rollback",
            target="shop",
            content="",
            passed=True,
            label="v2 → v1 on shop, then restart",
            text="go back to v1",
        ),
        e.RoomRequested(person="bo"),
        e.RoomOpened(part="room", service="slack", url="https://slack.example/C", name="#inc-1123"),
        e.RoomOpened(part="call", service="jitsi", url="https://meet.example/inc-1123"),
    )
    for audience in ("room", "customers"):
        status, _ = await rig.does("updates", ADA, audience=audience)
        assert status == 200
    for number in range(1, 7):
        name = f"1123-1400-{number}"
        opened = e.IncidentOpened(
            key=name, rule="", group_labels={}, title=f"Fails s{number}", team="payments"
        )
        await rig.repository.open(name, name, [opened, *rig.storms.opening(name, name)])
    rig.now += timedelta(seconds=20)
