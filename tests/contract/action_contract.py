"""Moved to `recovery_actions.contract`; this name stays until nobody imports it."""

from __future__ import annotations

from recovery_actions.contract import HOSTILE, NOW, ActionContract, context, script, tree, until

__all__ = ["HOSTILE", "NOW", "ActionContract", "context", "script", "tree", "until"]
