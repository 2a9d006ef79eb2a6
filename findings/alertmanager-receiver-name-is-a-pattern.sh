#!/usr/bin/env bash
# Alertmanager 0.25.0 (Debian's package): a receiver's name comes quoted as a regular expression.
#
# Behaviour: the webhook's `receiver` is not the name as configured but its regular expression:
#   "shop.eu (night)" is told as "shop\.eu \(night\)". The API's answers have the plain name, but
#   its `?receiver=` is a regular expression again: asked with the plain name, it answers 200 and
#   an empty list, or the alerts of a receiver whose name merely fits the pattern.
# Matters to: whoever maps deliveries to receivers of the configuration, or asks the API for what
#   a receiver has: an empty list reads as "nothing fires".
# Way out: take the backslashes out of what the webhook says; quote what `?receiver=` asks for.
#
# Seen 2026-11-29:
#   Alertmanager 0.25.0
#   shop.eu (night): the webhook says shop\.eu \(night\), the API shop.eu (night)
#   a.b: the webhook says a\.b, the API a.b
#   aXb: the webhook says aXb, the API aXb
#   ?receiver=shop.eu (night) lists the alerts of []
#   ?receiver=shop\.eu \(night\) lists the alerts of ['shop.eu (night)']
#   ?receiver=a.b lists the alerts of ['a.b', 'aXb']
#   ?receiver=a\.b lists the alerts of ['a.b']
set -euo pipefail
if ! command -v prometheus-alertmanager >/dev/null; then
    echo "SKIPPED: prometheus-alertmanager is not in the PATH (Debian package of that name)"
    exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
# Nothing to install: Python's own library is enough.
python3 - <<'PY'
import http.server
import json
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

NAMES = ["shop.eu (night)", "a.b", "aXb"]
told = []


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
threading.Thread(target=hook.serve_forever, daemon=True).start()
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
with open("am.yml", "w") as config:
    routes = [{"receiver": name, "matchers": [f'to="{name}"']} for name in NAMES]
    hooks = [{"url": f"http://127.0.0.1:{hook.server_port}/"}]
    route = {"group_by": ["..."], "group_wait": "0s", "receiver": NAMES[0], "routes": routes}
    receivers = [{"name": name, "webhook_configs": hooks} for name in NAMES]
    json.dump({"route": route, "receivers": receivers}, config)  # JSON is YAML


def call(path, body=None):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v2/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=5) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def wait(what, seconds=20):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if found := what():
                return found
        except OSError:
            pass
        time.sleep(0.2)
    raise SystemExit("CHANGED or too slow: Alertmanager did not get so far")


with open("log", "w") as log:
    server = subprocess.Popen(
        [
            "prometheus-alertmanager",
            "--config.file=am.yml",
            "--storage.path=data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ],
        stderr=log,
    )
try:
    print("Alertmanager", wait(lambda: call("status"))["versionInfo"]["version"])
    call("alerts", [{"labels": {"alertname": "Down", "to": name}} for name in NAMES])
    wait(lambda: len(told) >= len(NAMES))
    hooked = {one["groupLabels"]["to"]: one["receiver"] for one in told}
    grouped = {one["labels"]["to"]: one["receiver"]["name"] for one in call("alerts/groups")}
    asked = {}
    for pattern in (NAMES[0], hooked[NAMES[0]], "a.b", hooked["a.b"]):
        found = call("alerts?receiver=" + urllib.parse.quote(pattern))
        asked[pattern] = sorted(one["labels"]["to"] for one in found)
finally:
    server.terminate()
    server.wait(10)
for name in NAMES:
    print(f"{name}: the webhook says {hooked[name]}, the API {grouped[name]}")
for pattern, names in asked.items():
    print(f"?receiver={pattern} lists the alerts of {names}")
wanted = {
    "shop.eu (night)": [],
    r"shop\.eu \(night\)": ["shop.eu (night)"],
    "a.b": ["a.b", "aXb"],
    r"a\.b": ["a.b"],
}
quoted = {"shop.eu (night)": r"shop\.eu \(night\)", "a.b": r"a\.b", "aXb": "aXb"}
if hooked != quoted or grouped != {name: name for name in NAMES} or asked != wanted:
    raise SystemExit("CHANGED: receivers are named, or asked for, otherwise than described")
PY
