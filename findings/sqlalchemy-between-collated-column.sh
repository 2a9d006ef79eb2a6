#!/usr/bin/env bash
# SQLAlchemy 2.1.9 with psycopg 3.3 on PostgreSQL 15: between() on a collated column is no SQL.
#
# Behaviour: to a parameter that is compared with a column of Text(collation="C") SQLAlchemy gives
#   the column's collation with its cast: `%(x)s::VARCHAR COLLATE "C"`. Nearly everywhere that is
#   valid. In BETWEEN it is not: PostgreSQL's grammar takes no COLLATE in its lower bound, so that
#   `column.between(a, b)` is a syntax error, and `column >= a, column <= b` is not. The same
#   statement runs on SQLite and shows nothing wrong in the text of its own that str() prints.
# Matters to: whoever gives columns a collation so that they sort alike in every database.
# Way out: two comparisons in the place of between().
#
# Seen 2026-11-30:
#   SQLAlchemy 2.1.9, psycopg 3.3.9, PostgreSQL 15.20
#   str(statement): t.x BETWEEN :x_1 AND :x_2
#   on PostgreSQL: t.x BETWEEN %(x_1)s::VARCHAR COLLATE "C" AND %(x_2)s::VARCHAR COLLATE "C"
#   >= and <=: 1 row
#   between(): syntax error at or near "COLLATE"
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
"$dir/venv/bin/pip" install -qq --no-compile --disable-pip-version-check \
  SQLAlchemy==2.1.9 'psycopg[binary]==3.3.9'
"${as[@]}" "$bin/initdb" -D data -U postgres -A trust --no-sync >/dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"${as[@]}" "$bin/pg_ctl" -D data -w -l log \
  -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off" \
  start >/dev/null
"$dir/venv/bin/python" - "$port" <<'PY'
import sys

import psycopg
import sqlalchemy as sa

engine = sa.create_engine(f"postgresql+psycopg://postgres@127.0.0.1:{sys.argv[1]}/postgres")
t = sa.Table("t", sa.MetaData(), sa.Column("x", sa.Text(collation="C")))
between = sa.select(t.c.x).where(t.c.x.between("a", "c"))
compared = sa.select(t.c.x).where(t.c.x >= "a", t.c.x <= "c")


def condition(text: str) -> str:
    """What comes after WHERE."""
    return " ".join(text.split()).partition("WHERE ")[2]


with engine.begin() as connection:
    version = connection.scalar(sa.text("SHOW server_version")).split()[0]
    print(f"SQLAlchemy {sa.__version__}, psycopg {psycopg.__version__}, PostgreSQL {version}")
    t.create(connection)
    connection.execute(t.insert(), [{"x": "b"}])
print("str(statement):", condition(str(between)))
print("on PostgreSQL:", condition(str(between.compile(engine))))
with engine.connect() as connection:
    rows = len(connection.execute(compared).all())
    print(f">= and <=: {rows} row")
    try:
        connection.execute(between)
        told = "no error"
    except sa.exc.ProgrammingError as error:
        told = str(error.orig).splitlines()[0]
    print("between():", told)
sys.exit(0 if rows == 1 and told == 'syntax error at or near "COLLATE"' else 1)
PY
