"""What Prometheus, and what answers like it, means when it refuses a query.

The status alone does not tell: a query that only waited too long is 503 in Prometheus 2.42 and 422
or 400 in 2.53 and 3.5; VictoriaMetrics answers 422 to everything; Thanos does so where a store is
away.
"""

from __future__ import annotations

import json
import re

from daemon.adapters.prometheus_answers import quoting_hint
from daemon.core.values.outcome import Permanent, Temporary

_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_TRANSIENT_TYPES = frozenset(
    {"timeout", "canceled", "cancelled", "internal", "unavailable", "too_many_requests"}
)
"""Values of `errorType`."""
_TRANSIENT = re.compile(
    r"query timed out in|timeout exceeded|deadline exceeded|context canceled"
    r"|couldn't start executing|too many outstanding requests|expanding series: rpc error"
    r"|code = (?:Unavailable|DeadlineExceeded|ResourceExhausted|Canceled|Aborted|Unknown|Internal)",
    re.IGNORECASE,
)
_LONGEST = 300
"""Characters of what the server says that are handed on."""


def query_refusal(status: int, body: bytes, shown: str) -> Temporary | Permanent:
    """The error for an answer of that status, of those that the session lets pass. `shown`: the
    address, without credentials."""
    kind, text = _said(body)
    short = " ".join(f"{status} {kind}: {text}".replace(" :", ":").split())[:_LONGEST]
    if _TRANSIENT.search(text) or kind in _TRANSIENT_TYPES:
        # Asked again it may well answer: nothing is wrong with the query.
        return Temporary(f"Prometheus at {shown} was too busy to answer: {short}")
    if status in _TRANSIENT_STATUS:
        return Temporary(f"Prometheus at {shown} answered {short}")
    if status in {404, 410} and not kind:
        return Permanent(
            f"{shown} has no PromQL there ({short}); is `prometheus.url` right? Mimir and Cortex "
            "answer under …/prometheus, VictoriaMetrics' cluster under …/select/0/prometheus"
        )
    return Permanent(f"Prometheus refused the query: {short}{quoting_hint(text)}")


def _said(body: bytes) -> tuple[str, str]:
    """(errorType, error) of the answer; of what is no such answer, its text as the error."""
    try:
        found = json.loads(body)
        kind, text = str(found.get("errorType", "")), str(found["error"])
    except (ValueError, KeyError, AttributeError, TypeError):
        return "", body.decode(errors="replace").strip()
    # VictoriaMetrics repeats the status as the kind.
    return ("" if kind.isdigit() else kind), text
