"""The pods of the double, and its kubelets and scheduler: a pod takes a step to start, and one
to end. What becomes of it stands in the name of its image:

    bad             it crashes, again and again
    unready         it runs, and its readiness probe fails
    unschedulable   there is no node for it
    anything else   it becomes ready
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

Raw = dict[str, Any]
T = TypeVar("T")
NAMESPACE = "demo"
CONTROLLER = "kube-controller-manager"
NO_NODE = "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available."


def copied(raw: T) -> T:
    """What is JSON, copied as it would be over the wire: several times as quick as a deep copy."""
    found: T = json.loads(json.dumps(raw))
    return found


class QuotaExceeded(Exception):
    """The server takes no further pod."""


class Kubelets:
    """They work on `objects`. `quota`: so many pods may be there, None for any number."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Raw] = {}
        self.clock = datetime(2025, 3, 9, 12, 0, tzinfo=UTC)
        self.quota: int | None = None
        self._serial = 0

    def add(self, plural: str, body: Raw, manager: str = "unknown") -> Raw:
        """Create an object."""
        raise NotImplementedError

    def all(self, plural: str) -> list[Raw]:
        """All objects of a collection, by name."""
        return [raw for (kind, _, _), raw in sorted(self.objects.items()) if kind == plural]

    def pods_of(self, raw: Raw) -> list[Raw]:
        """The pods that it controls, those that are ending as well."""
        return [pod for pod in self.all("pods") if owner(pod) == raw["metadata"]["uid"]]

    def make_pod(self, name: str, of: Raw, template: Raw, labels: dict[str, str]) -> Raw:
        """A pod that nobody has started yet. Raises QuotaExceeded."""
        used = len(self.all("pods"))
        if self.quota is not None and used >= self.quota:
            raise QuotaExceeded(
                f'pods "{name}" is forbidden: exceeded quota: pods-of-demo, requested: pods=1, '
                f"used: pods={used}, limited: pods={self.quota}"
            )
        metadata = {
            "name": name,
            "labels": {**template["metadata"]["labels"], **labels},
            "ownerReferences": owned_by(of),
        }
        pod = self.add("pods", {"metadata": metadata, "spec": template["spec"]}, CONTROLLER)
        pod["status"] = {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}]}
        return pod

    def serial(self) -> str:
        """What tells the name of one pod from that of the next."""
        self._serial += 1
        return f"{self._serial:05}"

    def end_pod(self, pod: Raw) -> None:
        """Ask it to end; it goes on, ready as it was, until a kubelet has ended it."""
        pod["metadata"].setdefault("deletionTimestamp", stamp(self.clock))

    def tell(self, about: Raw, kind: str, message: str) -> None:
        """An event of type Warning, or the same once more."""
        name = f"{about['metadata']['name']}.{kind.lower()}"
        event = self.objects.get(("events", NAMESPACE, name))
        if event is None:
            involved = {"kind": kind, "name": about["metadata"]["name"]}
            involved |= {"uid": about["metadata"]["uid"], "namespace": NAMESPACE}
            body = {"metadata": {"name": name}, "involvedObject": involved, "type": "Warning"}
            event = self.add("events", {**body, "reason": "FailedCreate", "count": 0}, CONTROLLER)
        if event.get("message") != message:
            event |= {"message": message, "count": event["count"] + 1}
        event["lastTimestamp"] = stamp(self.clock)

    def run_pods(self) -> bool:
        """A step of the kubelets; whether there was anything to do."""
        busy = False
        for pod in self.all("pods"):
            if is_terminating(pod):
                del self.objects["pods", NAMESPACE, pod["metadata"]["name"]]
                busy = True
            elif "status" in pod and len(pod["status"]) == 2:  # as `make_pod` made it
                pod["status"] = _started(pod)
                busy = True
        return busy

    def tick(self) -> None:
        """A second passes."""
        self.clock += timedelta(seconds=1)


def _started(pod: Raw) -> Raw:
    image = pod["spec"]["containers"][0]["image"]
    ready: Raw = {"type": "Ready", "status": "True"}
    scheduled: Raw = {"type": "PodScheduled", "status": "True"}
    if "unschedulable" in image:
        scheduled |= {"status": "False", "reason": "Unschedulable", "message": NO_NODE}
        ready["status"] = "False"
        return {"phase": "Pending", "conditions": [ready, scheduled], "qosClass": "BestEffort"}
    state: Raw = {"running": {}}
    restarts = 0
    if "unready" in image:
        said = "containers with unready status: [app]"
        ready |= {"status": "False", "reason": "ContainersNotReady", "message": said}
    elif "bad" in image:
        state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
        ready["status"], restarts = "False", 3
    container = {"name": "app", "state": state, "restartCount": restarts}
    return {
        "phase": "Running",
        "conditions": [ready, scheduled],
        "containerStatuses": [container | {"ready": ready["status"] == "True"}],
    }


def stamp(at: datetime) -> str:
    """A time as the API writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def owned_by(raw: Raw) -> list[Raw]:
    """The reference to the object that controls another."""
    return [{"uid": raw["metadata"]["uid"], "controller": True}]


def owner(raw: Raw) -> str:
    """The uid of whoever controls it."""
    return "".join(one["uid"] for one in raw["metadata"].get("ownerReferences", []))


def is_ready(pod: Raw) -> bool:
    """Whether it takes part in the service; one that is ending does, too."""
    return bool(pod["status"]["conditions"][0]["status"] == "True")


def is_terminating(pod: Raw) -> bool:
    """Whether it is ending."""
    return "deletionTimestamp" in pod["metadata"]
