#!/usr/bin/env bash
# Runs the acceptance tests with the Prometheus and Alertmanager of each of three Debian suites:
# 12 (bookworm), 13 (trixie) and testing. Their packages are fetched once, from the mirror that
# this machine's apt already uses, and unpacked into a folder that is kept; nothing is installed.
#   deploy/test_servers.sh [PYTEST-ARGUMENT…]      default: tests/acceptance
# SUITES="trixie testing" takes some of them; SERVERS=folder keeps them elsewhere than .servers;
# MIRROR=address takes another mirror; FETCH=only runs no test.
set -euo pipefail
cd "$(dirname "$0")/.."

SUITES=${SUITES:-bookworm trixie testing}
SERVERS=$(realpath -m "${SERVERS:-.servers}")
PACKAGES=(prometheus prometheus-alertmanager)
KEYS=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf 'servers: %s\n' "$*" >&2; }

by_hand() {
  say "$1"
  say "where they are fetched otherwise, each is a line by hand:"
  say "  PROMETHEUS_BIN=/path/prometheus ALERTMANAGER_BIN=/path/prometheus-alertmanager \\"
  say "    .venv/bin/python -m pytest -m acceptance tests/acceptance"
  exit 1
}

# The mirror of Debian's main archive in this machine's apt sources.
mirror() {
  local found
  found=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' \
    'Created-By: Packages' 'Component: main' 'Label: Debian' 2>/dev/null | head -1)}
  # Before the first `apt-get update` no source has told its label yet.
  [ -n "$found" ] || found=$(apt-get indextargets --format '$(REPO_URI)' \
    'Created-By: Packages' 'Component: main' 2>/dev/null | grep -E '/debian/?$' | head -1 || true)
  printf '%s' "$found"
}

# apt with a state of its own for one suite, so that the machine's sources stay as they are.
apt_of() {
  local state=$SERVERS/$1/apt
  shift
  apt-get -qq \
    -o Dir::State="$state/state" -o Dir::State::status="$state/status" \
    -o Dir::Cache="$state/cache" -o Dir::Etc::SourceList="$state/sources.list" \
    -o Dir::Etc::SourceParts=- -o APT::Sandbox::User="$(id -un)" \
    -o APT::Update::Post-Invoke= -o Acquire::Languages=none "$@"
}

fetch() {
  local suite=$1 folder=$SERVERS/$1 from
  [ -f "$folder/ready" ] && return
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    by_hand "there is no apt here, so Debian's packages cannot be had"
  from=$(mirror)
  [ -n "$from" ] || by_hand "no Debian mirror is among this machine's apt sources; MIRROR=address"
  say "fetching ${PACKAGES[*]} of $suite"
  rm -rf "$folder"
  mkdir -p "$folder/apt/state/lists/partial" "$folder/apt/cache/archives/partial"
  : >"$folder/apt/status"
  local trust=
  [ ! -f "$KEYS" ] || trust="[signed-by=$KEYS] "
  printf 'deb %s%s %s main\n' "$trust" "$from" "$suite" >"$folder/apt/sources.list"
  apt_of "$suite" update || by_hand "the mirror $from does not serve the suite $suite"
  (cd "$folder" && apt_of "$suite" download "${PACKAGES[@]}") ||
    by_hand "$from has not all of ${PACKAGES[*]} in $suite"
  local package
  for package in "$folder"/*.deb; do dpkg-deb -x "$package" "$folder/root"; done
  rm -rf "$folder/apt"
  touch "$folder/ready"
}

failed=()
for suite in $SUITES; do
  fetch "$suite"
  bin=$SERVERS/$suite/root/usr/bin
  export PROMETHEUS_BIN=$bin/prometheus ALERTMANAGER_BIN=$bin/prometheus-alertmanager
  for server in "$PROMETHEUS_BIN" "$ALERTMANAGER_BIN"; do
    "$server" --version 2>&1 | head -1 | cut -d' ' -f1-3 >&2 ||
      by_hand "$server does not run on this machine (its C library may be too old)"
  done
  [ "${FETCH:-}" = only ] && continue
  say "── $suite ──"
  .venv/bin/python -m pytest -m acceptance "${@:-tests/acceptance}" || failed+=("$suite")
done
[ ${#failed[@]} = 0 ] || { say "failed with the servers of: ${failed[*]}"; exit 1; }
