"""What the daemon may do to the world: one file an action, and the table of them.

An action is one way of changing the world that a recovery plan can name. It meets an incident in
this order:

    allowed     do the settings permit these parameters? (asked by `stopgap check`, too)
    target      what is being changed: one lock, one cooldown and one budget for each
    preflight   look, change nothing, say in one sentence what would be done, or why not
    run         do it, and say how it ended
    check       after a crash: look whether it came true, instead of doing it again

To write one, make a class with those five methods, `name`, and `Params` (a frozen pydantic model
that refuses unknown fields; `daemon.core.units` has Frozen and Duration). `daemon.core.ports`
says what each method owes. In short: validate every parameter by type, since values may come
from an alert's labels; never use a shell; refuse with an enumerated reason and a sentence for
somebody at 3 a.m.; re-check at the moment of acting; make a second run harmless. A subclass of
`ActionContract` in tests/contract/action_contract.py tests all this.

An action of this package gets its line in `_BUILT_IN`. Another package names a callable
`(allow, base) -> Action` in its own pyproject.toml, and is found once it is installed:

    [project.entry-points."stopgap.actions"]
    feature_flag = "our_actions.flags:FeatureFlag"

Actions import `daemon.core`, the standard library and what they talk to; nothing else of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from pydantic import BaseModel

from daemon.core.outcome import Permanent
from daemon.core.ports import Action
from recovery_actions.release_rollback import ReleaseRollback
from recovery_actions.run_command import RunCommand

ENTRY_POINT_GROUP = "stopgap.actions"

ActionFactory = Callable[[Sequence[Sequence[str]], Path], Action]

_BUILT_IN: tuple[ActionFactory, ...] = (ReleaseRollback, RunCommand)
_METHODS = ("allowed", "target", "preflight", "run", "check")


def catalogue(allow: Sequence[Sequence[str]], base: Path) -> dict[str, Action]:
    """Every action by its name: our own, then those of installed packages.

    `allow` is `commands.allow` of the settings; `base` is the folder of stopgap.yaml, against
    which relative paths are resolved. Raises Permanent if a package's action is broken or takes
    a name that is in use.
    """
    actions = {action.name: action for action in (build(allow, base) for build in _BUILT_IN)}
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name):
        action = _load(entry, allow, base)
        if action.name in actions:
            raise Permanent(
                f"{_origin(entry)}: there is an action named {action.name} already; "
                "give it another name or uninstall the package"
            )
        actions[action.name] = action
    return actions


def _load(entry: EntryPoint, allow: Sequence[Sequence[str]], base: Path) -> Action:
    try:
        action: Action = entry.load()(allow, base)
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
