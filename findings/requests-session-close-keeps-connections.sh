#!/usr/bin/env bash
# requests 2.34.2 with urllib3 2.8.0: Session.close() leaves connections open while an answer lives.
#
# Behaviour: PoolManager.clear(), which HTTPAdapter.close() calls, only forgets its pools (its
#   docstring has it that it directs them all to close); a pool closes its connections when it is
#   collected. Each answer refers to the pool that it came by (Response.raw._pool), so as long as
#   one is kept, be it by a variable, a cache, the traceback of an exception or another thread,
#   close() and the end of `with requests.Session()` close nothing, though the answer was read to
#   its end and the connection is idle.
# Matters to: whoever relies on close() before a fork, a shutdown, a change of credentials or
#   certificates, or a server that waits for its clients to hang up; tests that hunt for open sockets.
# Way out: close the pools: for key in manager.pools.keys(): manager.pools[key].close(), for
#   adapter.poolmanager and each of adapter.proxy_manager.
#
# Seen 2026-11-30:
#   requests 2.34.2, urllib3 2.8.0
#     an answer is kept: after close() the server's connection is open
#       and when the answer is dropped: closed
#     no answer is kept: after close() the server's connection is closed
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/close.py" <<'PY'
import http.server
import threading
from importlib.metadata import version

import requests

ended = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def finish(self):
        super().finish()
        ended.set()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()


def seen():
    """What the server sees of the connection, within two seconds."""
    return "closed" if ended.wait(2) else "open"


def asked():
    ended.clear()
    session = requests.Session()
    session.trust_env = False
    answer = session.get(f"http://127.0.0.1:{server.server_port}/", timeout=5)
    assert answer.content == b"ok"
    return session, answer


print(f"requests {version('requests')}, urllib3 {version('urllib3')}")
session, answer = asked()
session.close()
found = [seen()]
print("  an answer is kept: after close() the server's connection is", found[0])
del answer
found.append(seen())
print("    and when the answer is dropped:", found[1])
session, answer = asked()
del answer
session.close()
found.append(seen())
print("  no answer is kept: after close() the server's connection is", found[2])
if found != ["open", "closed", "closed"]:
    raise SystemExit(f"CHANGED: {found}")
PY
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --no-compile requests==2.34.2 urllib3==2.8.0
"$dir/venv/bin/python" "$dir/close.py"
