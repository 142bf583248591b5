#!/usr/bin/env bash
# The two-minute inner loop: what most mistakes show in.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

counts=$(mktemp)
trap 'rm -f "$counts"' EXIT

step 'gofmt' formatted
step 'vet' go vet ./...
step 'architecture' go_test "$counts" ./internal/archtest
mapfile -t short < <(packages ./... | grep -v '^estate/internal/archtest$')
step 'short tests' go_test "$counts" -short -timeout 3m "${short[@]}"
finish "$counts"
