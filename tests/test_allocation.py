"""The heaps of the C library that threads of the daemon share."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import ctypes, sys, threading
from daemon.app.allocation import few_arenas

if sys.argv[1] == "few":
    assert few_arenas()
libc, both = ctypes.CDLL(None), threading.Barrier(9, timeout=60)
libc.malloc.restype = ctypes.c_void_p

def hold():
    assert libc.malloc(ctypes.c_size_t(5000))
    both.wait()
    both.wait()

for _ in range(8):
    threading.Thread(target=hold).start()
both.wait()
out = ctypes.c_void_p.in_dll(libc, "stdout")
libc.malloc_info(0, out)
libc.fflush(out)
both.wait()
"""


def test_many_threads_share_two_heaps() -> None:
    heaps = {}
    for kind in ("few", "many"):
        program = (sys.executable, "-c", PROGRAM, kind)
        told = subprocess.run(program, check=True, capture_output=True, text=True).stdout
        heaps[kind] = told.count("<heap nr=")
    assert heaps["few"] <= 2 < heaps["many"]
