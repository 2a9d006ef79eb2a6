"""Who owns which field of an object, as a server keeps it in `managedFields`.

A set of fields is a tree as in `fieldsV1`: `f:name` for a key, `k:{"name":"app"}` for a member of
a list that is merged by keys; `{}` is a field that is owned, `.` one that has owned fields below.
What a server takes as one piece (selectors, lists of plain values) has nothing below it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from tests.contract.kubernetes_pods import Raw, copied

Path = tuple[str, ...]

_MERGED_BY = {
    "ports": ("containerPort", "protocol"),
    "volumeMounts": ("mountPath",),
} | dict.fromkeys(("containers", "initContainers", "volumes", "env", "imagePullSecrets"), ("name",))
_ONE_PIECE = {"selector", "nodeSelector"}
_IDENTITY = {"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp"} | {
    "managedFields",
    "deletionTimestamp",
}


def paths(raw: Raw) -> dict[Path, Any]:
    """The fields of an object that somebody may own, with their values; None for the branches
    that are owned as such (members of lists, and maps of labels and annotations)."""
    return dict(_paths({k: v for k, v in raw.items() if k in ("metadata", "spec")}, ()))


def _paths(value: Any, at: Path) -> Iterator[tuple[Path, Any]]:
    name = at[-1][2:] if at else ""
    if at == ("f:metadata",):
        value = {k: v for k, v in value.items() if k not in _IDENTITY}
        if not value:
            return
    if isinstance(value, dict) and value and name not in _ONE_PIECE:
        if name in ("labels", "annotations") or (at and at[-1].startswith("k:")):
            yield at, None
        for key, inner in value.items():
            if inner is not None:
                yield from _paths(inner, (*at, f"f:{key}"))
    elif isinstance(value, list) and (keys := _MERGED_BY.get(name)) and value:
        for one in value:
            yield from _paths(one, (*at, member(one, keys)))
    else:
        yield at, value


def member(one: Raw, keys: tuple[str, ...]) -> str:
    """How a member of a list is called there."""
    known = {"protocol": "TCP", **one}
    named = {key: known[key] for key in sorted(keys) if key in known}
    return "k:" + json.dumps(named, separators=(",", ":"))


def tree(owned: set[Path]) -> Raw:
    """The set as `fieldsV1`."""
    root: Raw = {}
    for path in sorted(owned):
        place = root
        for key in path:
            place = place.setdefault(key, {})
    for path in owned:
        place = root
        for key in path:
            place = place[key]
        if place:
            place["."] = {}
    return root


def owned_in(fields: Any, at: Path = ()) -> set[Path]:
    """The set that a `fieldsV1` holds."""
    if not fields:
        return {at} if at else set()
    found = {at} if "." in fields else set()
    for key, inner in fields.items():
        if key != ".":
            found |= owned_in(inner, (*at, key))
    return found


def entry_of(raw: Raw, manager: str, operation: str) -> Raw | None:
    """The entry of a manager, apart from those of subresources."""
    for one in raw["metadata"].get("managedFields", []):
        same = (one["manager"], one["operation"]) == (manager, operation)
        if same and not one.get("subresource"):
            found: Raw = one
            return found
    return None


def put_entry(raw: Raw, manager: str, operation: str, owned: set[Path], at: str) -> None:
    """Write what a manager owns by now; nothing at all is no entry."""
    entries = raw["metadata"].setdefault("managedFields", [])
    entry = entry_of(raw, manager, operation)
    if entry is None:
        if not owned:
            return
        entry = {"manager": manager, "operation": operation, "apiVersion": "apps/v1"}
        entry |= {"fieldsType": "FieldsV1", "fieldsV1": {}, "time": at}
        entries.append(entry)
    if not owned:
        entries.remove(entry)
    elif owned_in(entry["fieldsV1"]) != owned:
        entry |= {"fieldsV1": tree(owned), "time": at}


def updated(before: Raw, after: Raw, manager: str, at: str) -> None:
    """Note in `after` whose fields its changes are: whoever changes a field owns it alone."""
    was, now = paths(before), paths(after)
    changed = {path for path, value in now.items() if path not in was or was[path] != value}
    gone = set(was) - set(now)
    for entry in list(after["metadata"].get("managedFields", [])):
        is_mine = (entry["manager"], entry["operation"]) == (manager, "Update")
        had = owned_in(entry["fieldsV1"])
        if is_mine or entry.get("subresource") or not had & (changed | gone):
            continue
        entry["fieldsV1"] = tree(had - changed - gone)
        if not had - changed - gone:
            after["metadata"]["managedFields"].remove(entry)
    mine = entry_of(after, manager, "Update")
    owned = owned_in(mine["fieldsV1"]) if mine else set()
    put_entry(after, manager, "Update", (owned - gone) | changed, at)
    if mine and changed:
        mine["time"] = at


class ApplyConflict(Exception):
    """Fields that others own, with the manager of each: what `--force-conflicts` would take."""

    def __init__(self, causes: list[tuple[str, str]]) -> None:
        super().__init__("conflict")
        self.causes = causes


def applied(before: Raw, config: Raw, manager: str, force: bool, at: str) -> Raw:
    """A server-side apply: what is in the configuration is set, what the manager had applied
    before and has left out is taken away. Raises ApplyConflict."""
    after, wanted, live = copied(before), paths(config), paths(before)
    differing = {path for path, value in wanted.items() if value != live.get(path, ...)}
    causes = []
    for entry in list(after["metadata"].get("managedFields", [])):
        if entry.get("subresource") or (entry["manager"], entry["operation"]) == (manager, "Apply"):
            continue
        had = owned_in(entry["fieldsV1"])
        lost = {path for path in had & differing if wanted[path] is not None}
        causes += [(_called(entry), dotted(path)) for path in sorted(lost)]
        if lost:
            put_entry(after, entry["manager"], entry["operation"], had - lost, at)
    if causes and not force:
        raise ApplyConflict(causes)
    mine = entry_of(after, manager, "Apply")
    left_out = (owned_in(mine["fieldsV1"]) if mine else set()) - set(wanted)
    others = [
        owned_in(one["fieldsV1"])
        for one in after["metadata"].get("managedFields", [])
        if one is not mine and not one.get("subresource")
    ]
    for path in sorted(left_out, key=len):
        kept = (p for one in others for p in one)
        if not any(p[: len(path)] == path for p in (*kept, *wanted)):
            _remove(after, path)
    for path, value in wanted.items():
        _set(after, path, value)
    put_entry(after, manager, "Apply", set(wanted), at)
    return after


def _called(entry: Raw) -> str:
    version = f" using {entry['apiVersion']}" if entry["operation"] == "Update" else ""
    return f'conflict with "{entry["manager"]}"{version}'


def dotted(path: Path) -> str:
    """A path as messages have it: .spec.template.spec.containers[name="app"].image"""
    said = ""
    for key in path:
        if key.startswith("f:"):
            said += f".{key[2:]}"
        else:
            named = json.loads(key[2:])
            said += f"[{','.join(f'{k}={json.dumps(v)}' for k, v in named.items())}]"
    return said


def _step(place: Any, key: str, make: bool) -> Any:
    if key.startswith("f:"):
        return place.setdefault(key[2:], {}) if make else place.get(key[2:])
    named = json.loads(key[2:])
    for one in place:
        if all({"protocol": "TCP", **one}.get(k) == v for k, v in named.items()):
            return one
    if not make:
        return None
    place.append(dict(named))
    return place[-1]


def _set(raw: Raw, path: Path, value: Any) -> None:
    place: Any = raw
    for key, following in itertools.pairwise(path):
        if following.startswith("k:") and not isinstance(place.get(key[2:]), list):
            place[key[2:]] = []
        place = _step(place, key, True)
    if path[-1].startswith("k:"):
        _step(place, path[-1], True)
    elif value is not None:
        place[path[-1][2:]] = copied(value)
    else:
        place.setdefault(path[-1][2:], {})


def _remove(raw: Raw, path: Path) -> None:
    place: Any = raw
    for key in path[:-1]:
        place = _step(place, key, False)
        if place is None:
            return
    if path[-1].startswith("k:"):
        found = _step(place, path[-1], False)
        if found is not None:
            place.remove(found)
        if not place:
            _remove(raw, path[:-1])
    elif isinstance(place, dict):
        place.pop(path[-1][2:], None)
