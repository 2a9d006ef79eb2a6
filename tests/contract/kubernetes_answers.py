"""What the small API server makes of a request: refusals, patches, selectors."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

from tests.contract.kubernetes_pods import Raw, copied

KINDS = {"deployments": "Deployment", "statefulsets": "StatefulSet", "daemonsets": "DaemonSet"}
CORE = ("pods", "events")
MOST_OPERATIONS = 10_000
REJECTED = "the server rejected our request due to an error in our request"
OUTDATED = "The provided continue parameter is too old to display a consistent list result."

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
}


class Refusal(Exception):
    """An answer other than 2xx. `details` as the server has them; None where it has none."""

    def __init__(
        self, status: int, message: str, details: Raw | None = None, reason: str = ""
    ) -> None:
        super().__init__(message)
        self.status, self.details = status, details
        seconds = (details or {}).get("retryAfterSeconds")
        self.headers = {"Retry-After": str(seconds)} if seconds else {}
        self.reason = reason or REASONS[status]

    @property
    def body(self) -> Raw:
        """The Status object."""
        body: Raw = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        body |= {"message": str(self), "reason": self.reason, "code": self.status}
        return body if self.details is None else {**body, "details": self.details}


def about(plural: str, name: str) -> Raw:
    """The details that name an object."""
    group = {} if plural in CORE else {"group": "apps"}
    return {**({"name": name} if name else {}), **group, "kind": plural}


def qualified(plural: str) -> str:
    """A resource with its group, as messages have it."""
    return plural if plural in CORE else f"{plural}.apps"


def foreign(data: bytes) -> frozenset[str]:
    """Strings that are not written as Go writes them: `<`, `>`, `&`, U+2028 and U+2029 escaped,
    and nothing else that need not be. The API server compares a `test` byte for byte, and holds
    such a string for another one (kubernetes/apiserver#100)."""
    found = set()
    for literal in re.findall(r'"(?:[^"\\]|\\.)*"', data.decode()):
        text = json.loads(literal)
        written = json.dumps(text, ensure_ascii=False)
        for character in "<>&\u2028\u2029":
            written = written.replace(character, f"\\u{ord(character):04x}")
        if written != literal:
            found.add(text)
    return frozenset(found)


def _strings(value: Any) -> set[str]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return {value} if isinstance(value, str) else set().union(*map(_strings, inner))


class Number(float):
    """A number as it was written, which is how a `test` compares it: `0.50` is not `0.5`."""

    def __new__(cls, written: str) -> Number:
        made = super().__new__(cls, written)
        made.written = written
        return made

    written: str


def operations_of(data: bytes) -> list[Raw]:
    """The operations of a JSON patch. 413 if they are too many."""
    read: list[Raw] = json.loads(data, parse_float=Number)
    if len(read) > MOST_OPERATIONS:
        text = f"The allowed maximum operations in a JSON patch is {MOST_OPERATIONS}"
        raise Refusal(413, f"{text}, got {len(read)}", {})
    return read


def json_patched(before: Raw, operations: list[Raw], misread: frozenset[str] = frozenset()) -> Raw:
    """A JSON patch; 422 if a test fails or a place is not there. See `foreign` for `misread`."""
    after = copied(before)
    for one in operations:
        keys = [k.replace("~1", "/").replace("~0", "~") for k in one["path"].split("/")[1:]]
        place: Any = after
        try:
            for key in keys[:-1]:
                place = place[int(key) if isinstance(place, list) else key]
            if one["op"] == "test" and _strings(one["value"]) & misread:
                raise KeyError("not the same bytes")
            _operate(one, place, keys[-1])
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise Refusal(422, REJECTED, {}) from error
    return after


def _operate(one: Raw, place: Any, key: Any) -> None:
    new = _plain(copied(one.get("value")))
    op = one["op"]
    if isinstance(place, list):
        key = len(place) if key == "-" and op == "add" else int(key)  # -1 is the last
    if op == "add" and isinstance(place, list):
        place.insert(key, new)
    elif op == "add" or (op == "replace" and isinstance(place, dict)):
        place[key] = new  # a key that is absent is replaced as well, with a warning
    elif op == "test":
        there = place.get(key) if isinstance(place, dict) else place[key]
        if not _same(there, one.get("value")):
            raise KeyError(key)
    elif op == "replace":
        place[key] = new
    elif op == "remove":
        del place[key]  # must be there
    else:
        raise KeyError(op)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return float(value) if isinstance(value, Number) else value


def _same(there: Any, tested: Any) -> bool:
    """As the server compares: numbers by how they are written, and null is like absent."""
    if isinstance(there, dict) and isinstance(tested, dict):
        keys = {k for one in (there, tested) for k, v in one.items() if v is not None}
        return all(_same(there.get(key), tested.get(key)) for key in keys)
    if isinstance(there, list) and isinstance(tested, list):
        same = len(there) == len(tested)
        return same and all(itertools.starmap(_same, zip(there, tested, strict=True)))
    if isinstance(tested, Number):
        return _written(there) == tested.written
    return type(there) is type(tested) and there == tested


def _written(number: Any) -> str:
    whole = isinstance(number, float) and number.is_integer()
    return json.dumps(int(number) if whole else number)


def defaulted(plural: str, body: Raw) -> None:
    """Fill in what a server fills in beside the pod template."""
    spec = body.get("spec", {})
    spec.setdefault("revisionHistoryLimit", 10)
    if plural == "deployments":
        rolling = {"maxUnavailable": "25%", "maxSurge": "25%"}
        spec.setdefault("strategy", {"type": "RollingUpdate", "rollingUpdate": rolling})
        spec.setdefault("progressDeadlineSeconds", 600)
        spec.setdefault("replicas", 1)
    elif plural == "statefulsets":
        spec.setdefault("podManagementPolicy", "OrderedReady")
        strategy = spec.setdefault("updateStrategy", {"type": "RollingUpdate"})
        if strategy.get("type") != "OnDelete":
            strategy.setdefault("type", "RollingUpdate")
            strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)
        spec.setdefault("replicas", 1)
    else:
        rolling = {"maxUnavailable": 1, "maxSurge": 0}
        spec.setdefault("updateStrategy", {"type": "RollingUpdate", "rollingUpdate": rolling})


def chosen(selector: str, raw: Raw) -> bool:
    """Whether a field selector of a query fits."""
    for term in filter(None, selector.split(",")):
        path, _, value = term.partition("=")
        place: Any = raw
        for key in path.split("."):
            place = place.get(key, {}) if isinstance(place, dict) else {}
        if place != value:
            return False
    return True


def conflict(causes: list[tuple[str, str]]) -> Refusal:
    """What a server-side apply is told that meets fields of others: (whose, which field)."""
    many = len(causes) > 1
    if many:
        said = "\n".join(f"- {field}" for _, field in causes)
        owners = "; ".join(dict.fromkeys(owner for owner, _ in causes))
        text = f"Apply failed with {len(causes)} conflicts: {owners}:\n{said}"
    else:
        text = f"Apply failed with 1 conflict: {causes[0][0]}: {causes[0][1]}"
    told = [
        {"reason": "FieldManagerConflict", "message": owner, "field": field}
        for owner, field in causes
    ]
    return Refusal(409, text, {"causes": told})


def policy_denial(plural: str, name: str, words: str, status: int = 422) -> Refusal:
    """The denial of a ValidatingAdmissionPolicy."""
    said = f"ValidatingAdmissionPolicy 'freeze' with binding 'freeze-demo' denied request: {words}"
    details = {**about(plural, name), "causes": [{"message": said}]}
    return Refusal(status, f'{qualified(plural)} "{name}" is forbidden: {said}', details)


def webhook_denial(words: str, status: int) -> Refusal:
    """The denial of a validating webhook, which chooses the status itself."""
    return Refusal(status, f'admission webhook "freeze.example.org" denied the request: {words}')


def valid(plural: str, name: str, before: Raw, after: Raw) -> None:
    """Raises the Refusal of a spec that makes no sense."""
    kind, replicas = KINDS.get(plural, plural), after["spec"].get("replicas", 1)
    if not isinstance(replicas, int):
        raise Refusal(422, f' "" is invalid: patch: Invalid value: {json.dumps(after)!r}', {})
    if replicas < 0:
        wrong = f"Invalid value: {replicas}: must be greater than or equal to 0"
        cause = {"reason": "FieldValueInvalid", "message": wrong, "field": "spec.replicas"}
        details = {"name": name, "group": "apps", "kind": kind, "causes": [cause]}
        raise Refusal(422, f'{kind}.apps "{name}" is invalid: spec.replicas: {wrong}', details)
    if after["spec"].get("selector") != before["spec"].get("selector"):
        text = f'{kind}.apps "{name}" is invalid: spec.selector: field is immutable'
        raise Refusal(422, text, {"name": name, "group": "apps", "kind": kind})


def selects(selector: str, labels: Raw) -> bool:
    """Whether a label selector of a query fits."""
    return all(_fits(term.strip(), labels) for term in re.split(r",(?![^(]*\))", selector) if term)


def _fits(term: str, labels: Raw) -> bool:
    if among := re.fullmatch(r"(\S+) (in|notin) \(([^)]*)\)", term):
        inside = labels.get(among[1]) in {value.strip() for value in among[3].split(",")}
        return inside if among[2] == "in" else not inside
    if equal := re.fullmatch(r"([^=!]+?)(==|=|!=)(.*)", term):
        return (labels.get(equal[1]) == equal[3]) != (equal[2] == "!=")
    return term[1:] not in labels if term.startswith("!") else term in labels


def strategic(before: Any, change: Any) -> Any:
    """A strategic merge patch: lists of named things are merged by their names."""
    if isinstance(before, list) and isinstance(change, list) and _named(before) and _named(change):
        after = {one["name"]: one for one in before}
        for one in change:
            if one.get("$patch") == "delete":
                after.pop(one["name"], None)
            else:
                after[one["name"]] = strategic(after.get(one["name"], {}), one)
        return list(after.values())
    if not isinstance(before, dict) or not isinstance(change, dict):
        return copied(change)
    if change.get("$patch") == "replace":
        return {k: copied(v) for k, v in change.items() if k != "$patch"}
    after = {k: v for k, v in copied(before).items() if change.get(k, v) is not None}
    changed = {k: strategic(after.get(k, {}), v) for k, v in change.items() if v is not None}
    return after | changed


def _named(things: list[Any]) -> bool:
    return bool(things) and all(isinstance(one, dict) and "name" in one for one in things)


def only(part: str, before: Raw, after: Raw) -> Raw:
    """The status has a subresource of its own, and nothing else is changed there."""
    if part == "status":
        changed = {key: after[key] for key in ("metadata", "status") if key in after}
        return {**copied(before), **changed}
    status = {"status": copied(before["status"])} if "status" in before else {}
    return {key: value for key, value in after.items() if key != "status"} | status
