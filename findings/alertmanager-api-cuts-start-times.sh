#!/usr/bin/env bash
# Alertmanager 0.25.0 (Debian's package): the API cuts an alert's start to milliseconds, the webhook
# does not.
#
# Behaviour: one alert has two starts: .123999999 in the webhook, .123 in /api/v2/alerts and
#   /api/v2/alerts/groups (cut off, not rounded). So the API's is the earlier one. The end differs
#   too: a firing alert has none (year 1) in the webhook, but some minutes from now in the API.
# Matters to: whoever compares what was delivered with what is listed, by (fingerprint, startsAt):
#   without cutting, nothing matches, and each listed alert looks like an older firing.
# Way out: cut both to milliseconds; do not round.
#
# Seen 2026-11-29:
#   Alertmanager 0.25.0
#   sent    2026-11-29T10:00:00.123999999Z
#   webhook 2026-11-29T10:00:00.123999999Z ends 0001-01-01T00:00:00Z
#   alerts  2026-11-29T10:00:00.123Z ends 2026-11-29T17:06:44.739Z
#   groups  2026-11-29T10:00:00.123Z ends 2026-11-29T17:06:44.739Z
#   the same fingerprint: True
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
import datetime
import http.server
import json
import socket
import subprocess
import threading
import time
import urllib.request

SENT = "2026-11-29T10:00:00.123999999Z"
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
    config.write(f"""
route: {{receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 1s}}
receivers: [{{name: hook, webhook_configs: [{{url: 'http://127.0.0.1:{hook.server_port}/'}}]}}]
""")


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
    call("alerts", [{"labels": {"alertname": "Down"}, "startsAt": SENT}])
    hooked = wait(lambda: told)[0]["alerts"][0]
    listed = call("alerts")[0]
    grouped = call("alerts/groups")[0]["alerts"][0]
finally:
    server.terminate()
    server.wait(10)
print("sent   ", SENT)
print("webhook", hooked["startsAt"], "ends", hooked["endsAt"])
print("alerts ", listed["startsAt"], "ends", listed["endsAt"])
print("groups ", grouped["startsAt"], "ends", grouped["endsAt"])
print("the same fingerprint:", hooked["fingerprint"] == listed["fingerprint"])
short = "2026-11-29T10:00:00.123Z"
ahead = datetime.datetime.fromisoformat(listed["endsAt"].replace("Z", "+00:00"))
if not (
    (hooked["startsAt"], listed["startsAt"], grouped["startsAt"]) == (SENT, short, short)
    and hooked["endsAt"].startswith("0001-")
    and ahead > datetime.datetime.now(datetime.timezone.utc)
):
    raise SystemExit("CHANGED: the times of webhook and API differ otherwise than described")
PY
