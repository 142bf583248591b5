#!/usr/bin/env bash
# Fails when generating again changes anything. It compares the tree before and
# after, so it also works with uncommitted changes.
set -euo pipefail
cd "$(dirname "$0")/.."

state() {
  git diff HEAD | cksum
  git ls-files --others --exclude-standard -z | xargs -0 -r cksum
}
before=$(state)
make --no-print-directory generate
if [[ $(state) != "$before" ]]; then
  printf 'generated files were not fresh: commit what make generate wrote\n' >&2
  git --no-pager diff --stat HEAD >&2
  exit 1
fi
