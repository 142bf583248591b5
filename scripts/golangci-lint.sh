#!/usr/bin/env bash
# Runs the linter, built once into bin/tools from the exact version below. Its
# command is not the module's root, so `go run` of it would need it in go.mod.
set -euo pipefail
cd "$(dirname "$0")/.."

version=v2.15.0
module=github.com/golangci/golangci-lint/v2
tool=$PWD/bin/tools/golangci-lint
stamp=$tool-$version

if [[ ! -x $tool || ! -e $stamp ]]; then
  printf 'building golangci-lint %s\n' "$version"
  mkdir -p bin/tools
  dir=$(go mod download -json "$module@$version" | node -p 'JSON.parse(require("node:fs").readFileSync(0, "utf8")).Dir')
  CGO_ENABLED=0 go -C "$dir" build -trimpath -o "$tool" ./cmd/golangci-lint 2>&1 | { grep -v '^go: downloading' || true; }
  touch "$stamp"
fi
if [[ ${1:-} == run ]]; then
  shift
  set -- run --allow-parallel-runners "$@" # two clones on one machine must not stop each other
fi
exec "$tool" "$@"
