#!/usr/bin/env bash
# Fuzzes every decoder that faces a network: each target in turn, for 1 s or as long as
# asked: scripts/fuzz.sh [-t 60s] [PACKAGE...]. A failing input is written below the package's
# testdata/fuzz: commit it with the fix, and every go test runs it from then on.
set -euo pipefail
cd "$(dirname "$0")/.."

each=1s
if [[ ${1-} == -t ]]; then
  each=$2
  shift 2
fi
patterns=("$@")
((${#patterns[@]} > 0)) || patterns=(./...)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
corpus=$(go env GOCACHE)/fuzz
targets=0 total=0 failed=()

# run TARGET: in the package's folder. Up to Go 1.26 the fuzzer may take the end of its time
# for a failure (go.dev/issue/75804); a real one names the line or the input.
run() {
  if "$work/fuzz.test" -test.run '^$' -test.fuzz "^$1\$" -test.fuzztime "$each" -test.fuzzminimizetime 50x \
    -test.fuzzcachedir "$corpus/$package" >"$work/out" 2>&1; then
    return 0
  fi
  grep -q 'context deadline exceeded' "$work/out" && ! grep -q -e 'Failing input' -e 'panic:' -e '_test.go:' "$work/out"
}

while read -r package dir; do
  mapfile -t here < <(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$dir"/*_test.go)
  ((${#here[@]} > 0)) || continue
  go test -c -fuzz . -o "$work/fuzz.test" "$package"
  for target in "${here[@]}"; do
    targets=$((targets + 1))
    if (cd "$dir" && run "$target"); then
      count=$(sed -n 's/.*execs: \([0-9]*\).*/\1/p' "$work/out" | tail -n 1)
      total=$((total + ${count:-0}))
      printf '%-24s %-20s %9d runs\n' "${package#estate/}" "$target" "${count:-0}"
    else
      failed+=("$package $target")
      cat "$work/out"
    fi
  done
done < <(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{.Dir}}{{end}}' "${patterns[@]}" | grep .)

printf '%d targets, %d runs, %d failed, %d s\n' "$targets" "$total" "${#failed[@]}" "$SECONDS"
((targets > 0 && ${#failed[@]} == 0))
