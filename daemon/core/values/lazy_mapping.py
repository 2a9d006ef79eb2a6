"""A table whose values are made one by one, each when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

_Value = TypeVar("_Value")


class LazyMapping(Mapping[str, _Value]):
    """Each name with what its maker returns, called once at most unless threads ask at the same
    time; they get the same value even so. The names, and whether there is one, are known without.

    What a maker raises comes to whoever asked for the value, each time anew.
    """

    def __init__(self, makers: Mapping[str, Callable[[], _Value]]) -> None:
        self._makers = makers
        self._made: dict[str, _Value] = {}

    def __getitem__(self, name: str) -> _Value:
        if name not in self._made:
            # Made outside of it: what a maker asks of this table in turn is not in its way.
            value = self._makers[name]()
            self._made.setdefault(name, value)
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)
