#!/usr/bin/env bash
# Lints the OpenAPI document that is generated from the code that serves it, and the AsyncAPI
# document of firmware-docs with the schemas that it refers to.
set -euo pipefail
cd "$(dirname "$0")/.."

for document in internal/httpapi/openapi.json firmware-docs/asyncapi.yaml; do
  if [[ ! -e $document ]]; then
    printf '%s is missing: make generate writes the first\n' "$document" >&2
    exit 1
  fi
  REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true npx --no-install redocly lint --config redocly.yaml "$document"
done
