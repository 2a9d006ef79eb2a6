"""Small questions to an object of the API. Counters that are zero are absent there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Raw = Mapping[str, Any]

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"

_IMAGES_SHOWN = 3


def part(raw: Raw, *path: str) -> Raw:
    """A map inside an object; empty if there is none."""
    for name in path:
        inner = raw.get(name)
        if not isinstance(inner, Mapping):
            return {}
        raw = inner
    return raw


def several(raw: Raw, name: str) -> list[Raw]:
    """A list of maps inside a map; empty if there is none."""
    found = raw.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def number(raw: Raw, name: str, absent: int = 0) -> int:
    """A whole number in a map."""
    found = raw.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) else absent


def string(raw: Raw, name: str) -> str:
    """A text in a map; empty if there is none."""
    found = raw.get(name)
    return found if isinstance(found, str) else ""


def name_of(raw: Raw) -> str:
    """The object's name."""
    return string(part(raw, "metadata"), "name")


def uid_of(raw: Raw) -> str:
    """The object's uid, which no later object of the same name has."""
    return string(part(raw, "metadata"), "uid")


def annotations_of(raw: Raw) -> dict[str, str]:
    """The object's annotations."""
    return {str(k): str(v) for k, v in part(raw, "metadata", "annotations").items()}


def object_labels(raw: Raw) -> dict[str, str]:
    """The object's labels."""
    return {str(k): str(v) for k, v in part(raw, "metadata", "labels").items()}


def owned_by(raw: Raw, uid: str) -> bool:
    """Whether that owner controls the object."""
    owners = several(part(raw, "metadata"), "ownerReferences")
    return any(owner.get("controller") is True and owner.get("uid") == uid for owner in owners)


def parse_moment(text: object) -> datetime | None:
    """A time as the API writes it."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def created_at(raw: Raw) -> datetime | None:
    """When the object was made."""
    return parse_moment(part(raw, "metadata").get("creationTimestamp"))


def managers(raw: Raw, *fields: str) -> list[tuple[str, datetime]]:
    """Who has set that field (`f:spec`, `f:template`) and when their fields last changed, the
    newest last. A manager's time is that of its last change to any of its fields."""
    found = []
    for entry in several(part(raw, "metadata"), "managedFields"):
        owned: Any = entry.get("fieldsV1")
        for field in fields:
            owned = owned.get(field) if isinstance(owned, Mapping) else None
        at = parse_moment(entry.get("time"))
        if owned is not None and at is not None and not entry.get("subresource"):
            found.append((string(entry, "manager") or "unknown", at))
    return sorted(found, key=lambda one: one[1])


# ── the pod template ─────────────────────────────────────────────────────────────────────────


def template_of(raw: Raw) -> dict[str, Any]:
    """The pod template as it stands in the object."""
    return dict(part(raw, "spec", "template"))


def bare_template(template: Raw) -> dict[str, Any]:
    """A template as people write it: without what a controller or a patch adds to it."""
    metadata = dict(part(template, "metadata"))
    labels = {k: v for k, v in part(metadata, "labels").items() if k != HASH_LABEL}
    if "labels" in metadata:
        metadata["labels"] = labels
    if metadata.get("creationTimestamp", 0) is None:
        del metadata["creationTimestamp"]
    rest = {k: v for k, v in template.items() if k not in ("metadata", "$patch")}
    return {"metadata": metadata, **rest}


def digest(template: Raw) -> str:
    """A short text that is the same for equal templates only."""
    bare = without_nulls(bare_template(template))
    plain = json.dumps(bare, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()[:32]


def without_nulls(value: Any) -> Any:
    """The value without its nulls: to the API, absent and null are the same."""
    if isinstance(value, Mapping):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


def images(template: Raw) -> str:
    """The images of a template as people call them: 'app:2, side:1'."""
    named = [_short(string(one, "image")) for one in several(part(template, "spec"), "containers")]
    more = len(named) - _IMAGES_SHOWN
    return ", ".join(named[:_IMAGES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _short(image: str) -> str:
    path, at, checksum = image.rpartition("/")[2].partition("@")
    return path + at + checksum[:19]


# ── selectors ────────────────────────────────────────────────────────────────────────────────


def selector_of(raw: Raw) -> str:
    """The object's label selector, as a query wants it."""
    selector = part(raw, "spec", "selector")
    terms = [f"{key}={value}" for key, value in sorted(part(selector, "matchLabels").items())]
    for one in several(selector, "matchExpressions"):
        key, values = string(one, "key"), one.get("values")
        listed = ",".join(str(v) for v in values) if isinstance(values, list) else ""
        forms = {
            "In": f"{key} in ({listed})",
            "NotIn": f"{key} notin ({listed})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        terms.append(forms[string(one, "operator")])
    return ",".join(terms)


def condition(raw: Raw, kind: str) -> Raw:
    """A condition of the object's status; empty if it has none of that type."""
    found: Sequence[Raw] = several(part(raw, "status"), "conditions")
    return next((one for one in found if one.get("type") == kind), {})
