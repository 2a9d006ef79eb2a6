"""What `changes:` of a rule can name. A kind of watch is loaded when a rule names it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from daemon.adapters.change_sources.metric_watches import METRIC_WATCHES
from daemon.app.clock import now
from daemon.core.alertmanager import Labels
from daemon.core.ports.changes import ListsTargets, Watch
from daemon.core.ports.metrics import MetricsServers
from daemon.core.rules.rule import Rule
from daemon.core.values.lazy_mapping import LazyMapping
from daemon.core.values.outcome import Permanent
from recovery_actions.workshop import Workshop

_WORLD_WATCHES = {
    "releases": ("recovery_actions.releases", "ReleaseWatch"),
    "kubernetes": ("recovery_actions.kubernetes.watch", "KubernetesWatch"),
    "argocd": ("recovery_actions.argocd", "ArgoCDWatch"),
}


def _world_watch(module: str, name: str) -> Any:
    return getattr(import_module(module), name)


WATCHES: Mapping[str, Any] = LazyMapping(
    {
        **{kind: partial(_world_watch, *place) for kind, place in _WORLD_WATCHES.items()},
        **{kind: partial(METRIC_WATCHES.__getitem__, kind) for kind in METRIC_WATCHES},
    }
)
"""Each has its Params."""


def listing_watches() -> frozenset[str]:
    """The kinds whose targets can be listed."""
    return frozenset(kind for kind in WATCHES if isinstance(WATCHES[kind], ListsTargets))


def watch_for(
    rule: Rule, kind: str, params: Mapping[str, Any], workshop: Workshop, servers: MetricsServers
) -> Watch:
    """A watch of what a rule names. Raises Permanent if its parameters do not fit, Temporary if
    the settings do not have the rule's Prometheus."""
    try:
        checked = WATCHES[kind].Params.model_validate(dict(params))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Permanent(f"changes of kind {kind} cannot be watched: {first['msg']}") from None
    if kind in METRIC_WATCHES:
        server = servers.of(rule)
        return METRIC_WATCHES[kind].make(checked, server.metrics, now, server.name)
    watch: Watch = WATCHES[kind](checked, workshop)
    return watch


def existing_targets(kind: str, params: Mapping[str, Any], base: Path) -> Sequence[Labels]:
    """The values of the `$names` in what a rule names for which there is a target; none if that
    kind of watch cannot tell. Raises Temporary."""
    watch = WATCHES[kind]
    return watch.existing(params, base) if isinstance(watch, ListsTargets) else ()


class _AnyParameters:
    """An action or watch checked without settings: what is allowed and installed is not known."""

    def __init__(self, known: Any) -> None:
        self.Params = known.Params


def unrestricted(known: Mapping[str, Any]) -> Mapping[str, Any]:
    """Actions or watches for checking rules without settings, which alone say what is allowed."""

    def freed(name: str) -> Callable[[], _AnyParameters]:
        return lambda: _AnyParameters(known[name])

    return LazyMapping({name: freed(name) for name in known})
