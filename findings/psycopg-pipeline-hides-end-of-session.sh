#!/usr/bin/env bash
# psycopg 3.3.9 on PostgreSQL 15: a pipeline hides why its session ended, after the COMMIT landed.
#
# Behaviour: outside a pipeline, a session that the server ends (shutdown, failover,
#   pg_terminate_backend) raises AdminShutdown with SQLSTATE 57P01, and the connection counts as
#   closed. If the server says so between the answer to the last statement of a pipeline and the
#   answer to its Sync, which come in different packets on a slow network, then leaving the block
#   raises a bare OperationalError, "cannot exit pipeline mode while busy", with no SQLSTATE; the
#   server's reason is its __context__ alone; and the connection says of itself that it is neither
#   closed nor broken. Here the last statement is the COMMIT, which has landed.
# Matters to: whoever tells by SQLSTATE or by connection.closed whether to try a transaction again
#   (it would be done twice), or whether to give a connection back to a pool.
# Way out: whatever an error is that comes out of a pipeline with a COMMIT in it, the outcome is
#   unknown: look in the database; and never use that connection again.
#
# Seen 2026-11-30:
#   psycopg 3.3.9, PostgreSQL 15.18
#   plain:    AdminShutdown, SQLSTATE 57P01; closed: True
#   pipeline: OperationalError, SQLSTATE None: cannot exit pipeline mode while busy
#             its context: AdminShutdown, SQLSTATE 57P01
#             closed: False, broken: False; rows committed: 1
set -euo pipefail
dir=$(mktemp -d)
chmod 755 "$dir"
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1) # Debian: apt-get install postgresql
as=()
if [ "$(id -u)" = 0 ]; then
  as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
  install -d -o postgres "$dir/server"
else
  mkdir "$dir/server"
fi
cd "$dir/server"
stop() {
  "${as[@]}" "$bin/pg_ctl" -D "$dir/server/data" -m immediate stop >/dev/null 2>&1 || true
  cd /
  rm -rf "$dir"
}
trap stop EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --no-compile --disable-pip-version-check 'psycopg[binary]==3.3.9'
"${as[@]}" "$bin/initdb" -D data -U postgres -A trust --no-sync >/dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"${as[@]}" "$bin/pg_ctl" -D data -w -l log \
  -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off" \
  start >/dev/null
"$dir/venv/bin/python" - "$port" <<'PY'
import socket
import sys
import threading

import psycopg

PORT = int(sys.argv[1])
EXECUTE = b"E\0\0\0\x09\0\0\0\0\0"


def connect(port, **more):
    return psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", **more)


boss = connect(PORT, autocommit=True)
boss.execute("CREATE TABLE t (x int)")


def rows():
    return boss.execute("SELECT count(*) FROM t").fetchone()[0]


def end(session):
    boss.execute("SELECT pg_terminate_backend(%s, 5000)", [session])


def told(error):
    return f"{type(error).__name__}, SQLSTATE {error.sqlstate}"


def delayed(listener, session):
    """A network that is slow just after the COMMIT: what the client sends behind it comes too late,
    and what the server has said by then arrives at once."""
    client, _ = listener.accept()
    server = socket.create_connection(("127.0.0.1", PORT))
    slow = threading.Event()

    def back():
        while data := server.recv(65536):
            if slow.is_set():
                while more := server.recv(65536):
                    data += more
            client.sendall(data)

    answers = threading.Thread(target=back, daemon=True)
    answers.start()
    while data := client.recv(65536):
        before, commit, behind = data.partition(b"COMMIT")
        if not commit:
            server.sendall(data)
            continue
        slow.set()
        server.sendall(before + commit + behind.partition(EXECUTE)[0] + EXECUTE)
        while not rows():
            pass
        end(session[0])
        answers.join()
        while client.recv(65536):
            pass
        return


print(f"psycopg {psycopg.__version__}, PostgreSQL {boss.info.server_version // 10000}"
      f".{boss.info.server_version % 10000}")
connection = connect(PORT)
end(connection.info.backend_pid)
try:
    connection.execute("SELECT 1")
except psycopg.Error as error:
    plain = told(error)
print(f"plain:    {plain}; closed: {connection.closed}")

listener, session = socket.create_server(("127.0.0.1", 0)), []
threading.Thread(target=delayed, args=(listener, session), daemon=True).start()
connection = connect(listener.getsockname()[1], autocommit=True)
session.append(connection.info.backend_pid)
try:
    with connection.pipeline():
        connection.execute("BEGIN")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.execute("COMMIT")
except psycopg.Error as error:
    hidden, reason = f"{told(error)}: {error}", told(error.__context__)
state = connection.closed, connection.broken, rows()
print(f"pipeline: {hidden}\n          its context: {reason}")
print("          closed: {}, broken: {}; rows committed: {}".format(*state))
as_seen = (
    plain == reason == "AdminShutdown, SQLSTATE 57P01"
    and hidden == "OperationalError, SQLSTATE None: cannot exit pipeline mode while busy"
    and state == (False, False, 1)
)
sys.exit(0 if as_seen else 1)
PY
