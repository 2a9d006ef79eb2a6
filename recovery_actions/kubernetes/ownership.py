"""Who owns the fields of a workload, as its `managedFields` tell, and how they are given back.

Whoever changes a field owns it from then on, and a server-side apply of another value by anybody
else is a conflict (409) until it is forced. So a rollback by a plain patch would stop the next
`kubectl apply --server-side` or `helm upgrade`. A patch by server-side apply is no way out: it has
no preconditions but the resourceVersion, and cannot take away what others have added. What we
took is therefore given back afterwards, by writing the entries of `managedFields` as they would
be had the applier brought the old template back itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import printable
from recovery_actions.kubernetes import objects
from recovery_actions.kubernetes.client import JSON_PATCH, MANAGER, ClusterClient
from recovery_actions.kubernetes.errors import NotDone
from recovery_actions.kubernetes.names import Workload
from recovery_actions.kubernetes.objects import Raw
from recovery_actions.kubernetes.patches import OUR_PREFIX, Patch
from recovery_actions.kubernetes.waiting import PollPace

FieldPath = tuple[str, ...]
"""Where a field is, in the words of `fieldsV1`: `f:name` is a key, `k:{…}` a member of a list."""

_TEMPLATE = ("f:spec", "f:template")
_REPLICAS = ("f:spec", "f:replicas")
_HOLDS = (("f:spec", "f:strategy"), ("f:spec", "f:updateStrategy"), ("f:spec", "f:paused"))
"""What a rollback in parts changes beside the template, for as long as it waits."""
_ANNOTATIONS = ("f:metadata", "f:annotations")
_MAPS = ("f:labels", "f:annotations")
_ITSELF = "."
_TRIES = 5
_AGAIN = 0.2
"""Seconds until the next try; a workload whose pods crash is written several times a second."""
_NAMED = 3
"""How many fields are named in a sentence."""


# ── sets of fields ───────────────────────────────────────────────────────────────────────────


def owned_fields(entry: Raw) -> set[FieldPath]:
    """The fields that an entry of `managedFields` owns."""
    return set(_listed(objects.part(entry, "fieldsV1"), ()))


def _listed(fields: Raw, at: FieldPath) -> Iterator[FieldPath]:
    below = [key for key in fields if key != _ITSELF]
    if at and (not below or _ITSELF in fields):
        yield at
    for key in below:
        yield from _listed(objects.part(fields, key), (*at, key))


def _fields_v1(owned: Iterable[FieldPath]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    places = []
    for path in owned:
        place = root
        for key in path:
            place = place.setdefault(key, {})
        places.append(place)
    for place in places:
        if place:  # a field of its own, with others below
            place[_ITSELF] = {}
    return root


# ── whose template it is ─────────────────────────────────────────────────────────────────────


def meddlers(raw: Raw, asked: Raw) -> list[str]:
    """Who, other than we, has set something in the pod template that is not as we `asked`, the
    newest last. What a webhook adds is nobody's, and what it changes of ours stays ours."""
    found = [entry for entry in _entries(raw) if not _is_ours(entry) and _unlike(entry, raw, asked)]
    found.sort(key=lambda entry: objects.string(entry, "time"))
    return [objects.string(entry, "manager") or "unknown" for entry in found]


def still_asked(raw: Raw, asked: Raw) -> bool:
    """Whether the pod template is what we `asked` for, apart from what admission made of it:
    whatever it added, and other values of our labels and annotations.

    False as well where nothing is known about owners.
    """
    known = any(objects.part(entry, "fieldsV1", *_TEMPLATE) for entry in _entries(raw))
    if not known or _lacks(objects.template_of(raw), asked):
        return False
    return not any(
        _unlike(entry, raw, asked, "f:spec" if _is_ours(entry) else "") for entry in _entries(raw)
    )


def _unlike(entry: Raw, raw: Raw, asked: Raw, within: str = "") -> bool:
    """Whether an entry owns something in the template, or `within` that part of it, that is not
    as we asked."""
    fields, live = objects.part(entry, "fieldsV1", *_TEMPLATE), objects.template_of(raw)
    if within:
        fields = {within: fields[within]} if within in fields else {}
    return bool(fields) and any(_differ(fields, live, asked))


def appliers(raw: Raw) -> list[str]:
    """Who has the pod template by server-side apply; who has most of it comes first."""
    return [name for name, _ in _appliers(raw)]


def _appliers(raw: Raw, like: Raw | None = None) -> list[tuple[str, set[FieldPath]]]:
    """Who applies the template, and what each of them owns; `like`: whose entries are of the same
    version of the API, so that fields can go from one to the other."""
    found = []
    for entry in _entries(raw):
        owned = owned_fields(entry)
        in_template = sum(path[:2] == _TEMPLATE for path in owned)
        same = like is None or entry.get("apiVersion") == like.get("apiVersion")
        if _applies(entry) and in_template and same:
            found.append((-in_template, objects.string(entry, "manager"), owned))
    return [(name, owned) for _, name, owned in sorted(found, key=lambda one: one[:2])]


def _applies(entry: Raw) -> bool:
    return entry.get("operation") == "Apply" and not entry.get("subresource")


def _entries(raw: Raw) -> list[Raw]:
    entries = objects.several(objects.part(raw, "metadata"), "managedFields")
    return [entry for entry in entries if not entry.get("subresource")]


def _differ(fields: Raw, live: object, asked: object) -> Iterator[bool]:
    if not fields:
        yield objects.without_nulls(live) != objects.without_nulls(asked)
    elif _ITSELF in fields:
        yield (live is None) != (asked is None)
    for key in fields:
        if key != _ITSELF:
            yield from _differ(objects.part(fields, key), _at(live, key), _at(asked, key))


def _at(value: object, key: str) -> object:
    """What is at one step of a path; None if nothing is."""
    kind, name = key[:2], key[2:]
    if isinstance(value, Mapping):
        return value.get(name) if kind == "f:" else None
    if not isinstance(value, list) or kind not in ("k:", "v:"):
        return None
    wanted = json.loads(name)
    if kind == "v:":
        return wanted if wanted in value else None
    for one in value:
        if isinstance(one, Mapping) and all(one.get(k) == v for k, v in wanted.items()):
            return one
    return None


def _lacks(live: object, asked: object) -> bool:
    """Whether something that was asked for is not there, whatever its value."""
    if isinstance(asked, Mapping):
        there = live if isinstance(live, Mapping) else {}
        return any(_lacks(there.get(key), inner) for key, inner in asked.items())
    if isinstance(asked, list) and asked:
        if not isinstance(live, list):
            return True
        named = {one.get("name"): one for one in live if isinstance(one, Mapping)}
        return any(
            _lacks(named.get(one["name"]), one)
            for one in asked
            if isinstance(one, Mapping) and "name" in one
        )
    return asked is not None and live is None


# ── giving back ──────────────────────────────────────────────────────────────────────────────


async def hand_back_fields(
    client: ClusterClient,
    workload: Workload,
    asked: Raw | None,
    before: Raw | None,
    pace: PollPace,
) -> str:
    """Give the fields that our patch took back to whoever applies the workload, and say in a
    sentence what that means for the next deployment; empty if nobody applies it.

    `asked` is the template of our patch, None if it is no longer ours. `before` is the workload
    ahead of it, None if that is not known any more: then the template goes to who has most of
    it. It may be done again.
    """
    if before is not None and not appliers(before):
        return ""
    names, trouble = "whoever applies it", ""
    for _ in range(_TRIES):
        try:
            raw = await client.get(workload.resource)
            found = appliers(raw)
            if not found:
                return ""
            names = " and ".join(map(printable, found))
            patch = _handover(raw, asked, before)
            if patch is not None:
                await client.patch(workload.resource, patch.kind, patch.body)
        except Temporary as error:
            trouble = str(error)
            await pace.sleep(error.wait if isinstance(error, NotDone) else _AGAIN)
        except Permanent as error:
            trouble = str(error)
            break
        else:
            if patch is None and before is not None:
                return ""  # nothing was taken
            return (
                f"the fields are {names}'s again, so its next server-side apply meets no "
                "conflict; it brings whatever its files say, so see that they hold what is wanted"
            )
    return (
        f"the fields could not be given back ({trouble}): the next server-side apply by {names} "
        f"is in conflict with {MANAGER} and needs --force-conflicts"
    )


def owes_fields(raw: Raw, asked: Raw | None) -> bool:
    """Whether we still own what an applier should."""
    return _handover(raw, asked, None) is not None


def _handover(raw: Raw, asked: Raw | None, before: Raw | None) -> Patch | None:
    """What makes the appliers the owners of what we took; None if nothing is to be given."""
    mine = next((entry for entry in _entries(raw) if _is_ours(entry)), None)
    heirs = [name for name, _ in _appliers(raw, mine)] if mine else []
    if mine is None or not heirs:
        return None
    given: dict[str, set[FieldPath]] = {}
    given_up: set[FieldPath] = set()
    for path in _taken(mine, raw, asked):
        had = [name for name, owned in _appliers(before or {}) if path in owned and name in heirs]
        # Replicas that nobody had applied would go with the next apply that leaves them out.
        for name in had or ([] if path == _REPLICAS or _is_hold(path) else heirs[:1]):
            given.setdefault(name, set()).add(path)
        if not had and _is_hold(path):
            given_up.add(path)  # as a value that the server fills in, it is nobody's
    if not given and not given_up:
        return None
    left = owned_fields(mine).difference(given_up, *given.values())
    entries = []
    for entry in objects.several(objects.part(raw, "metadata"), "managedFields"):
        name = objects.string(entry, "manager")
        if entry is mine:
            entries += [{**entry, "fieldsV1": _fields_v1(left)}] if left else []
        elif _applies(entry) and name in given:
            owned = _fields_v1(owned_fields(entry) | given[name])
            entries.append({**entry, "time": mine.get("time"), "fieldsV1": owned})
        else:
            entries.append(dict(entry))
    version = objects.string(objects.part(raw, "metadata"), "resourceVersion")
    body: list[dict[str, Any]] = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": version},
        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
    ]
    return Patch(JSON_PATCH, body)


def _taken(mine: Raw, raw: Raw, asked: Raw | None) -> Iterator[FieldPath]:
    """What we own that an applier would, had he brought the old template back: all but our own
    labels, and what admission has made of it. Whatever else, what held a part of it."""
    live = objects.template_of(raw)
    for path in owned_fields(mine):
        if _is_hold(path):
            yield path
        if asked is None:
            continue
        noted = path[:2] == _ANNOTATIONS and not path[-1].startswith(f"f:{OUR_PREFIX}")
        if noted or path == _REPLICAS or (path[:2] == _TEMPLATE and _agrees(path[2:], live, asked)):
            yield path


def _is_hold(path: FieldPath) -> bool:
    return path[:2] in _HOLDS


def _is_ours(entry: Raw) -> bool:
    return (entry.get("manager"), entry.get("operation")) == (MANAGER, "Update")


def _agrees(path: FieldPath, live: object, asked: object) -> bool:
    for key in path:
        live, asked = _at(live, key), _at(asked, key)
    if path and (path[-1].startswith("k:") or path[-1] in _MAPS):
        return (live is None) == (asked is None)
    return bool(objects.without_nulls(live) == objects.without_nulls(asked))


# ── deployments by `kubectl apply` of old ────────────────────────────────────────────────────


def left_by_next_apply(raw: Raw, before: Raw, after: Raw) -> str:
    """What the next client-side `kubectl apply` does not take away, in a sentence: it goes by
    the configuration that it applied last, which knows nothing of what a rollback brought."""
    applied = "kubectl.kubernetes.io/last-applied-configuration"
    if applied not in objects.annotations_of(raw) or appliers(raw):
        return ""
    named = list(_only_in(after, before, ""))
    if not named:
        return ""
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return (
        f"the next `kubectl apply` does not take away {', '.join(named[:_NAMED])}{more}, which "
        "came back with the older template: if it is not wanted, remove it by hand"
    )


def _only_in(one: object, other: object, at: str) -> Iterator[str]:
    if other is None:
        yield at
    elif isinstance(one, Mapping) and isinstance(other, Mapping):
        for key, inner in objects.without_nulls(one).items():
            yield from _only_in(inner, other.get(key), f"{at}.{key}" if at else str(key))
    elif isinstance(one, list) and isinstance(other, list):
        named = {item.get("name"): item for item in other if isinstance(item, Mapping)}
        for item in one:
            if isinstance(item, Mapping) and "name" in item:
                yield from _only_in(item, named.get(item["name"]), f"{at}[{item['name']}]")
