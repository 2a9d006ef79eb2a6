"""`dataclasses.replace` for values that are only ever copied with a few fields changed.

The library's own calls `__init__` with every field, which for an incident takes ten times as
long as all else that an event does to it. Ours are frozen dataclasses without slots and without
`__post_init__`, so a copy of the fields is the same; mypy checks names and types as before.
Nor have they a `cached_property`, which the copy would keep as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from dataclasses import replace
else:
    T = TypeVar("T")

    def replace(instance: T, /, **changes: Any) -> T:
        """The value with these fields changed."""
        changed = object.__new__(type(instance))
        changed.__dict__.update(instance.__dict__, **changes)
        return changed


__all__ = ["replace"]
