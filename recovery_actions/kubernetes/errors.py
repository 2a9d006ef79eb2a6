"""What an API server's refusal means, in words for a person at 3 a.m., without its secrets.

A message of the server may quote a whole object, with the environment variables in it; what
follows `Invalid value:` is therefore never repeated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import printable
from recovery_actions.kubernetes.names import Resource


class VersionConflict(Temporary):
    """Somebody else has changed the object: read it again, decide again."""


class NotDone(Temporary):
    """It was turned away before it could do anything. `wait`: seconds that we are asked to."""

    def __init__(self, text: str, wait: float = 1.0) -> None:
        super().__init__(text)
        self.wait = wait


class Forbidden(Permanent):
    """We may not; the text names the right that is missing."""


class Expired(Temporary):
    """A list that was read page by page has gone on without us: read it from the beginning."""


class Missing(Permanent):
    """There is no such object."""


_RBAC = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)"'
    r'(?: in API group "(?P<group>[^"]*)")?'
)
_FAILED_TEST = re.compile(
    r"the server rejected our request due to an error in our request|\btest(ing)?\b.*\bfailed\b",
    re.IGNORECASE | re.DOTALL,
)
_DENIED = re.compile(
    r"""admission webhook "[^"]+" denied the request|"""
    r"""ValidatingAdmissionPolicy '[^']+' with binding '[^']+' denied request""",
    re.IGNORECASE,
)
_LIMIT = 300
_LONGEST_WAIT = 60.0
"""Seconds; a server that asks for more is asked again all the same."""


def failure(
    status: int, body: Mapping[str, Any], verb: str, resource: Resource, retry_after: str = ""
) -> Temporary | Permanent:
    """The error that an answer other than 2xx stands for."""
    message = _message(body)
    if _DENIED.search(message):
        # A webhook chooses the status itself, a policy among 401, 403, 413 and 422: it is no
        # conflict, no right that is missing and no trouble of the server, but a word, and final.
        return Permanent(f"the cluster does not {verb} {resource.title} ({status}{message})")
    if status == 401:
        return Permanent(
            f"the cluster does not know us (401, {resource.title}): the credentials are wrong or "
            "have run out; renew those that `kubernetes: kubeconfig:` names"
        )
    if status == 403:
        return Forbidden(_forbidden(message, verb, resource))
    if status == 404:
        return Missing(f"there are no {resource.title} (404)")
    if status == 409 or (status == 422 and _is_failed_test(message, body)):
        return VersionConflict(f"somebody else has just changed {resource.title} ({status})")
    if status in (408, 410, 429) or status >= 500:
        text = f"the cluster cannot {verb} {resource.title} just now ({status}{message})"
        if status == 410:
            return Expired(text)
        return NotDone(text, _seconds(retry_after)) if status == 429 else Temporary(text)
    if 300 <= status < 400:
        return Permanent(f"what answers is no API server: it redirects ({status})")
    return Permanent(f"the cluster does not {verb} {resource.title} ({status}{message})")


def _is_failed_test(message: str, body: Mapping[str, Any]) -> bool:
    # A JSON patch whose `test` fails looks exactly like this, and so does one that is no patch.
    # Older servers pass on the words of their JSON patch library. What is invalid has causes.
    details = body.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    return _FAILED_TEST.search(message) is not None and not causes


def _seconds(retry_after: str) -> float:
    # A server may send a date, too; the API server never does.
    text = retry_after.strip()
    number = float(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 1.0
    return min(max(number, 1.0), _LONGEST_WAIT)


def _forbidden(message: str, verb: str, resource: Resource) -> str:
    found = _RBAC.search(message)
    if found is None:
        return f"the cluster forbids us to {verb} {resource.title} (403{message})"
    group, plural = found["group"] or "", found["resource"]
    return (
        f"we may not {found['verb']} {plural} in namespace {resource.namespace} (403): give "
        f'{found["user"]} a Role there with apiGroups ["{group}"], resources [{plural}], '
        f"verbs [{found['verb']}]"
    )


def _message(body: Mapping[str, Any]) -> str:
    """': and what the server says', as far as it may be repeated; empty if it says nothing."""
    text = body.get("message")
    if not isinstance(text, str) or not text:
        return ""
    head, cut, _ = text.partition("Invalid value:")
    details = body.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    fields = [
        f"{cause.get('field')} {cause.get('reason')}"
        for cause in (causes if isinstance(causes, list) else ())
        if isinstance(cause, dict)
    ]
    if cut:
        head = f"{head.rstrip(' :[')} is invalid: {', '.join(fields[:5]) or 'a value'}"
    return ": " + printable(head)[:_LIMIT]
