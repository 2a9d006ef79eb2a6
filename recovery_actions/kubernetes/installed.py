"""Whether the client of Kubernetes is there: it is large, so not everybody installs it."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec


@cache
def missing_client() -> str | None:
    """What to install where it is missing, or None. Loads nothing."""
    if find_spec("kubernetes_asyncio") is not None:
        return None
    return (
        "this needs the client of Kubernetes, which is not installed; "
        "pip install 'stopgap[kubernetes]'"
    )
