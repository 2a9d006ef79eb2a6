"""A copy with a few fields changed is what the library's would be, and keeps nothing worked out."""

from __future__ import annotations

import dataclasses
import inspect
import pkgutil
from functools import cached_property
from importlib import import_module

import daemon.core
from daemon.core.values.replace import replace


@dataclasses.dataclass(frozen=True)
class Pair:
    left: int
    right: int = 2


def test_it_is_the_library_s() -> None:
    pair = Pair(1)
    assert replace(pair, left=3) == dataclasses.replace(pair, left=3) == Pair(3, 2)
    assert pair == Pair(1, 2)


def test_where_it_is_used_no_value_keeps_what_was_worked_out_of_another() -> None:
    """A `cached_property` would go over into the copy: an incident's title of before, say."""
    looked_at = 0
    for found in pkgutil.walk_packages(daemon.core.__path__, "daemon.core."):
        module = import_module(found.name)
        if getattr(module, "replace", None) is not replace:
            continue
        for name, kind in vars(module).items():
            if not inspect.isclass(kind) or not dataclasses.is_dataclass(kind):
                continue
            looked_at += 1
            kept = [n for n, v in inspect.getmembers_static(kind) if isinstance(v, cached_property)]
            assert not kept, f"{found.name}: {name} keeps {kept}"
    assert looked_at > 20, "the incident and its parts"
