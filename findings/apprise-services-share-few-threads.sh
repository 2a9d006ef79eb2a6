#!/usr/bin/env bash
# apprise 2.3.0: all services of a process share one small pool of threads, whichever thread calls.
#
# Behaviour: notify() of a single service does not run in the thread that calls it but in a
#   ThreadPoolExecutor of apprise's own (CPUs + 4 threads), for each service has a deadline of 60 s
#   (the asset's service_timeout) that a pool is needed for. So many sends that hang, through any
#   object and from any thread, keep every other service waiting until one of them ends.
# Matters to: whoever calls apprise from threads of his own, so that a provider that is down does
#   not hold up the others: it does.
# Way out: AppriseAsset(service_timeout=0), one Apprise object for each service: notify() then
#   runs in the calling thread. (Several services in one object use the pool all the same.)
#
# Seen 2026-11-30:
#   apprise 2.3.0
#   beside (CPUs + 4) sends of another service that hang for 3 s, one that works took
#     with the defaults:      3 s
#     with service_timeout=0: under 1 s
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --no-compile apprise==2.3.0
"$dir/venv/bin/python" - <<'PY'
import http.server
import logging
import os
import threading
import time
from importlib.metadata import version

from apprise import Apprise, AppriseAsset

logging.getLogger("apprise").setLevel(logging.CRITICAL)
MANY = (os.cpu_count() or 1) + 4
free = threading.Event()
arrived = threading.Semaphore(0)


class Service(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        if self.path.startswith("/hangs"):
            arrived.release()
            free.wait(20)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


server = Server(("127.0.0.1", 0), Service)
threading.Thread(target=server.serve_forever, daemon=True).start()


def sender(path, **how):
    made = Apprise(asset=AppriseAsset(**how))
    made.add(f"json://127.0.0.1:{server.server_port}/{path}?rto=15")
    return made


def seconds_beside_hanging(**how):
    free.clear()
    hanging = [
        threading.Thread(target=sender("hangs", **how).notify, args=("x",)) for _ in range(MANY)
    ]
    for one in hanging:
        one.start()
    for _ in hanging:
        if not arrived.acquire(timeout=10):
            raise SystemExit("CHANGED: fewer sends than that are under way at once")
    threading.Timer(3, free.set).start()
    began = time.monotonic()
    if not sender("works", **how).notify("y"):
        raise SystemExit("CHANGED: the service that works was not told")
    took = time.monotonic() - began
    for one in hanging:
        one.join()
    return took


shared, own = seconds_beside_hanging(), seconds_beside_hanging(service_timeout=0)
print("apprise", version("apprise"))
print("beside (CPUs + 4) sends of another service that hang for 3 s, one that works took")
print("  with the defaults:     ", "3 s" if shared >= 2.5 else f"{shared:.1f} s")
print("  with service_timeout=0:", "under 1 s" if own < 1 else f"{own:.1f} s")
if shared < 2.5 or own >= 1:
    raise SystemExit("CHANGED: services no longer wait for each other")
PY
