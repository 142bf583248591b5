#!/usr/bin/env bash
# Checks what `make run` needs before anything is built, and installs
# PostgreSQL where it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/system-packages.sh

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

# at_least HAVE WANT: are these versions in order?
at_least() {
  [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]
}

check_tools() {
  command -v go >/dev/null || fail 'Go 1.26 or newer is needed and none was found: install it from https://go.dev/dl/'
  local go_version node_version
  # Outside the module: an old Go would try to download a new one.
  go_version=$(cd / && GOTOOLCHAIN=local go env GOVERSION)
  go_version=${go_version#go}
  at_least "${go_version%% *}" 1.26 || fail "Go 1.26 or newer is needed, this is $go_version: install a newer one from https://go.dev/dl/"
  command -v node >/dev/null || fail 'Node 20.19 or newer is needed and none was found: install it from https://nodejs.org/'
  node_version=$(node --version)
  at_least "${node_version#v}" 20.19 || fail "Node 20.19 or newer is needed, this is $node_version: install a newer one from https://nodejs.org/"
}

check_postgresql() {
  [[ -n ${DATABASE_URL:-} ]] && return 0
  pg_found && return 0
  [[ -n ${ESTATE_PG_BIN:-} ]] && fail "ESTATE_PG_BIN=$ESTATE_PG_BIN holds no initdb and postgres: correct it, or unset it"
  local install
  if command -v apt-get >/dev/null; then
    install='apt-get install postgresql'
  elif command -v dnf >/dev/null; then
    install='dnf install -y postgresql-server'
  elif command -v apk >/dev/null; then
    install='apk add postgresql'
  else
    fail 'PostgreSQL is needed: install its server, or set ESTATE_PG_BIN to the folder of initdb and postgres, or DATABASE_URL to an empty database'
  fi
  may_install || fail 'PostgreSQL is needed and installing it takes root. Run:' "  sudo $install" \
    'or set ESTATE_PG_BIN to the folder of initdb and postgres, or DATABASE_URL to an empty database.'
  printf 'PostgreSQL is missing; installing it from the system packages\n'
  if [[ $install == apt-get* ]]; then
    no_main_cluster
    apt_install postgresql
  else
    # shellcheck disable=SC2086 # a command and its words
    as_root $install </dev/null
  fi
  pg_found || fail "PostgreSQL was installed, but initdb and postgres are not where they were expected: set ESTATE_PG_BIN"
}

check_tools
check_postgresql
