#!/usr/bin/env bash
# Everything: what CI runs. Works in a fresh clone, as root, without input.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

# race: packages that are pure or light; on SQLite tests -race costs 14 times.
race=(./sync/... ./schema/... ./internal/auth/... ./internal/lab/faultproxy/... ./internal/synclink/... ./internal/media/...)

counts=$(mktemp)
trap 'rm -f "$counts"' EXIT
export ESTATE_BIN=$PWD/bin
# As the programs are built, so that each package is compiled once; the race detector alone
# needs a C compiler.
export CGO_ENABLED=0

javascript() {
  local found
  found=$(compgen -G 'web/*/package.json' || true; compgen -G 'tests/*/package.json' || true)
  if [[ -z $found ]]; then
    printf 'no npm workspace has tests of its own\n'
    return 0
  fi
  npm test --workspaces --if-present
}

env_race() { CGO_ENABLED=1 "$@"; }

step 'what the tests need' scripts/install-test-deps.sh
step 'gofmt' formatted
step 'build' make --no-print-directory build TRIMPATH=
step 'vet' go vet ./...
step 'lint' scripts/golangci-lint.sh run ./...
step 'architecture' go_test "$counts" ./internal/archtest
mapfile -t unit < <(packages ./... | grep -v '^estate/internal/archtest$')
step 'tests' go_test "$counts" -p 2 -timeout 10m "${unit[@]}"
mapfile -t light < <(packages "${race[@]}")
step 'tests under the race detector' env_race go_test "$counts" -race -short -p 2 -timeout 10m "${light[@]}"
step 'fuzz' scripts/fuzz.sh
step 'end to end' go_test "$counts" -p 1 -count 1 -timeout 12m ./tests/...
step 'generated files' scripts/generated-fresh.sh
step 'OpenAPI and AsyncAPI' scripts/lint-openapi.sh
step 'JavaScript' javascript
finish "$counts"
