#!/usr/bin/env bash
# Installs exactly the npm packages of the lock file, and only when it changed.
set -euo pipefail
cd "$(dirname "$0")/.."

stamp=node_modules/.smart-estate-lock
if cmp -s package-lock.json "$stamp"; then
  exit 0
fi
if ! npm ci --no-progress; then
  # Some npm versions call a lock out of sync that lacks the optional packages
  # of other platforms; what they would write tells whether it truly is.
  before=$(cksum <package-lock.json)
  npm install --no-progress
  if [[ $(cksum <package-lock.json) != "$before" ]]; then
    printf 'package-lock.json does not fit package.json: commit the lock that npm install wrote\n' >&2
    exit 1
  fi
fi
cp package-lock.json "$stamp"
