"""Templates are compiled once in a process: hundreds of tests make an application of their own."""

from __future__ import annotations

from functools import partialmethod
from types import CodeType

import jinja2
from jinja2.bccache import Bucket


class _Compiled(jinja2.BytecodeCache):
    """What was compiled, by its file and its text."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._known.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key, bucket.checksum] = bucket.code


def compile_once() -> None:
    """From now on every environment of templates knows what another one has compiled."""
    made = partialmethod(jinja2.Environment.__init__, bytecode_cache=_Compiled())
    jinja2.Environment.__init__ = made  # type: ignore[method-assign,assignment]
