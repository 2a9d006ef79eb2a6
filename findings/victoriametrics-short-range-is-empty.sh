#!/usr/bin/env bash
# VictoriaMetrics 1.79.5 (Debian's package): a range of the last half minute is empty.
#
# Behaviour: /api/v1/query_range answers 200 and no series at all if its whole range lies within
#   the last 30 s (-search.latencyOffset), for a constant such as vector(1) as well. A longer range
#   is answered up to its end, but from 30 s ago on it repeats one value, time() included. Neither
#   nocache=1 (which frees instant queries) nor latency_offset=1ms (which frees ranges in 1.112 and
#   1.145) changes that in 1.79; nothing in the answer tells.
# Matters to: whoever judges the last seconds by a range (a verification after a rollback, an onset,
#   a panel of the last 15 s): "no data" or a flat line where there are values. A monitor that takes
#   an empty answer for "nothing fails" calls it healthy.
# Way out: measure the lag once by a range of time(), and ask for what is newer by instant queries
#   with nocache=1, one for each step.
#
# Seen 2026-11-30:
#   victoria-metrics with -search.latencyOffset of 30s
#   vector(1), 20 s up to now: no series; with nocache=1: no series; with latency_offset=1ms: no series
#   vector(1), 60 s up to now: 61 points
#   time(), 60 s up to now: the value at its end is 30 s old; with nocache=1: 30 s old
#   time(), an instant with nocache=1: 0 s old
set -euo pipefail
if ! command -v victoria-metrics >/dev/null; then
    echo "SKIPPED: victoria-metrics is not in the PATH (Debian package of that name)"
    exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
# Nothing to install: Python's own library is enough.
python3 - <<'PY'
import json
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
BASE = f"http://127.0.0.1:{port}"
with open("log", "w") as log:
    server = subprocess.Popen(
        ["victoria-metrics", f"-httpListenAddr=127.0.0.1:{port}", "-storageDataPath=data"],
        stdout=log,
        stderr=log,
    )


def ask(path, **asked):
    query = urllib.parse.urlencode(asked)
    with urllib.request.urlopen(f"{BASE}{path}?{query}", timeout=10) as answer:
        return json.load(answer)["data"]["result"]


def over(query, seconds, **more):
    now = time.time()
    found = ask("/api/v1/query_range", query=query, start=now - seconds, end=now, step=1, **more)
    return now, found[0]["values"] if found else []


def age(query, seconds, **more):
    now, values = over(query, seconds, **more)
    return int(now - float(values[-1][1]) + 0.01) // 5 * 5  # 30 or 31, by where the second begins


try:
    for _ in range(100):
        try:
            flags = urllib.request.urlopen(f"{BASE}/metrics", timeout=2).read().decode()
            break
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    offset = next(line for line in flags.splitlines() if "search.latencyOffset" in line)
    offset = offset.partition("value=\"")[2].partition("\"")[0]
    print(f"victoria-metrics with -search.latencyOffset of {offset}")
    cases = [
        ("", {}),
        ("; with nocache=1", {"nocache": 1}),
        ("; with latency_offset=1ms", {"latency_offset": "1ms"}),
    ]
    short = [(name, over("vector(1)", 20, **more)[1]) for name, more in cases]
    told = "".join(f"{name}: {len(v) or 'no'} {'points' if v else 'series'}" for name, v in short)
    print(f"vector(1), 20 s up to now{told}")
    long = over("vector(1)", 60)[1]
    print(f"vector(1), 60 s up to now: {len(long)} points")
    plain, uncached = age("time()", 60), age("time()", 60, nocache=1)
    print(
        f"time(), 60 s up to now: the value at its end is {plain} s old; "
        f"with nocache=1: {uncached} s old"
    )
    [series] = ask("/api/v1/query", query="time()", time=time.time(), nocache=1)
    instant = round(time.time() - float(series["value"][1]))
    print(f"time(), an instant with nocache=1: {instant} s old")
    assert not any(values for _, values in short), "a short range has points now"
    assert len(long) > 55, "a long range has its points no more"
    assert plain == uncached == 30, "the end of a range is no longer repeated"
    assert instant <= 1, "an instant with nocache=1 is late"
finally:
    server.terminate()
    server.wait(20)
PY
