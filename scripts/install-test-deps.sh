#!/usr/bin/env bash
# Installs what `make test` needs and this machine lacks: system packages
# (Debian 12 or newer) and the npm packages of the lock file.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/system-packages.sh

missing=()
pg_found || missing+=(postgresql)
command -v mosquitto >/dev/null || [[ -x /usr/sbin/mosquitto ]] || missing+=(mosquitto)
command -v mosquitto_pub >/dev/null || missing+=(mosquitto-clients)
command -v chromium >/dev/null || missing+=(chromium)
# The race detector and a reference device need a C compiler; nothing that ships does.
command -v cc >/dev/null || missing+=(gcc libc6-dev)
# Another reference device is in Python.
command -v python3 >/dev/null || missing+=(python3)

if ((${#missing[@]} > 0)); then
  if ! command -v apt-get >/dev/null || ! may_install; then
    printf 'the tests need more packages. Run as root:\n  apt-get install %s\n' "${missing[*]}" >&2
    exit 1
  fi
  printf 'installing %s\n' "${missing[*]}"
  no_main_cluster
  apt_install "${missing[@]}"
  # The guard kept the broker's own service from starting now; this keeps it
  # from starting with the machine.
  if [[ " ${missing[*]} " == *' mosquitto '* ]] && command -v systemctl >/dev/null; then
    as_root systemctl disable --quiet mosquitto 2>/dev/null || true
  fi
fi

scripts/npm-packages.sh
