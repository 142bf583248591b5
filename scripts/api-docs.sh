#!/usr/bin/env bash
# Puts swagger-ui into the programs, for /docs/. Without it, as where the npm registry
# cannot be reached, /docs/ is a plain list of the same operations.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! scripts/npm-packages.sh || ! go generate ./internal/httpapi; then
  printf 'swagger-ui could not be installed: /docs/ will be a plain list\n' >&2
fi
