"""What the daemon may do to the world: one file an action, and the table of them.

An action is one way of changing the world that a recovery plan can name. It meets an incident in
this order:

    allowed     do the settings permit these parameters? (asked by `stopgap check`, too)
    target      what is being changed: one lock, one cooldown and one budget for each
    preflight   look, change nothing, say in one sentence what would be done, or why not
    run         do it, and say how it ended
    check       after a crash: look whether it came true, instead of doing it again

To write one, make a class with those five methods, `name`, and `Params` (a frozen pydantic model
that refuses unknown fields; `daemon.core.values.units` has Frozen and Duration).
`daemon.core.ports.actions` says what each method owes. In short: validate every parameter by type,
since values may come from an alert's labels; never use a shell; refuse with an enumerated reason
and a sentence for somebody at 3 a.m.; re-check at the moment of acting, and ask
`context.must_act` right before each thing that is done; make a second run harmless.
A subclass of `recovery_actions.contract.ActionContract` tests all this, in another package as in
this one. An action with a method `show` has what it tells put into the evidence before it is run.
One that can stop midway asks `context.stages` whether it goes on: the metrics or the Commander say.

An action of this package gets its line in `_BUILT_IN`. Another package names a callable
`(workshop) -> Action` in its own pyproject.toml, and is found once it is installed:

    [project.entry-points."stopgap.actions"]
    feature_flag = "our_actions.flags:FeatureFlag"

The workshop hands it the settings, what is allowed, secrets and an HTTP client; its own options
stand under its name in stopgap.yaml, `actions: {feature_flag: {project: shop}}`, and come to it
as `workshop.options.get("feature_flag", {})`. tests/contract/test_third_party.py is an example.

Actions import `daemon.core`, the standard library and what they talk to; nothing else of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from pydantic import BaseModel

from daemon.core.ports.actions import Action
from daemon.core.values.lazy_mapping import LazyMapping
from daemon.core.values.outcome import Permanent
from recovery_actions.workshop import Workshop

ENTRY_POINT_GROUP = "stopgap.actions"

_BUILT_IN = {
    "release_rollback": "ReleaseRollback",
    "run_command": "RunCommand",
    "kubernetes_rollback": "KubernetesRollback",
    "kubernetes_restart": "KubernetesRestart",
    "kubernetes_scale": "KubernetesScale",
    "argocd_rollback": "ArgoCDRollback",
    "argo_rollouts_abort": "ArgoRolloutsAbort",
    "helm_rollback": "HelmRollback",
    "git_revert": "GitRevert",
    "http_call": "HttpCall",
}
"""Each action, which is also its file, and its class."""
_METHODS = ("allowed", "target", "preflight", "run", "check")


def catalogue(workshop: Workshop) -> Mapping[str, Action]:
    """Every action by its name: our own, then those of installed packages. Ours are loaded when
    they are first asked for: a daemon holds those that its rules name.

    Raises Permanent if a package's action is broken or takes a name that is in use.
    """
    makers: dict[str, Callable[[], Action]] = {
        name: partial(_built_in, name, workshop) for name in _BUILT_IN
    }
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name):
        action = _load(entry, workshop)
        if action.name in makers:
            raise Permanent(
                f"{_origin(entry)}: there is an action named {action.name} already; "
                "give it another name or uninstall the package"
            )
        makers[action.name] = partial(_same, action)
    return LazyMapping(makers)


def _built_in(name: str, workshop: Workshop) -> Action:
    module = import_module(f"recovery_actions.{name}")
    action: Action = getattr(module, _BUILT_IN[name])(workshop)
    return action


def _same(action: Action) -> Action:
    return action


def _load(entry: EntryPoint, workshop: Workshop) -> Action:
    try:
        action: Action = entry.load()(workshop)
        fault = _fault(action)
    except Exception as error:  # other people's code may raise anything
        raise Permanent(f"{_origin(entry)} is broken: {type(error).__name__}: {error}") from error
    if fault:
        raise Permanent(f"{_origin(entry)} is not an action: {fault}")
    return action


def _fault(action: object) -> str:
    """What an object lacks to be an action; empty if nothing."""
    name = getattr(action, "name", None)
    if not isinstance(name, str) or not name:
        return "its `name` is not a text"
    params = getattr(action, "Params", None)
    if not (isinstance(params, type) and issubclass(params, BaseModel)):
        return "its `Params` is not a pydantic model"
    missing = [method for method in _METHODS if not callable(getattr(action, method, None))]
    return f"it has no method {' or '.join(missing)}" if missing else ""


def _origin(entry: EntryPoint) -> str:
    package = f" of {entry.dist.name}" if entry.dist else ""
    return f"entry point {entry.name} = {entry.value}{package} ({ENTRY_POINT_GROUP})"
