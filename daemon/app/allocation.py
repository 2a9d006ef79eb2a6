"""How the C library's allocator is told to keep its memory together."""

from __future__ import annotations

import ctypes

_M_ARENA_MAX = -8
ARENAS = 2
"""So many heaps. By itself glibc gives each thread one of its own, up to eight a processor, and
what was freed in one is of no use in another: some 20 MB after a storm, for threads that wait."""


def few_arenas() -> bool:
    """Let all threads share a few heaps, where the C library knows of more; whether it does."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_M_ARENA_MAX, ARENAS) == 1
