#!/usr/bin/env bash
# Lints the OpenAPI document that is generated from the code that serves it.
set -euo pipefail
cd "$(dirname "$0")/.."

document=internal/httpapi/openapi.json
if [[ ! -e $document ]]; then
  printf '%s is missing: make generate writes it\n' "$document" >&2
  exit 1
fi
REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true npx --no-install redocly lint --config redocly.yaml "$document"
