#!/usr/bin/env bash
# Fuzzes every decoder that faces a network: each target in turn, for 1 s or as long as
# asked: scripts/fuzz.sh [-t 60s] [PACKAGE...]. A failing input is written below the package's
# testdata/fuzz: commit it with the fix, and every go test runs it from then on.
#
# The inputs that earlier runs found interesting are replayed before anything is fuzzed, and
# take more than a second: only who asks for a time gets them. A target that did not come
# past its seeds, as on a busy machine, is given ten times the time; if it still did not, it
# was not fuzzed, which is a failure.
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
export TMPDIR=$work # what the fuzzer's workers leave behind, which are killed, goes with it
corpus=$work/corpus
[[ $each == 1s ]] || corpus=$(go env GOCACHE)/fuzz
targets=0 total=0 failed=()

# run TARGET TIME: in the package's folder. Up to Go 1.26 the fuzzer may take the end of its time
# for a failure (go.dev/issue/75804); a real one names the line or the input.
run() {
  if "$work/fuzz.test" -test.run '^$' -test.fuzz "^$1\$" -test.fuzztime "$2" -test.fuzzminimizetime 50x \
    -test.fuzzcachedir "$corpus/$package" >"$work/out" 2>&1; then
    return 0
  fi
  grep -q 'context deadline exceeded' "$work/out" && ! grep -q -e 'Failing input' -e 'panic:' -e '_test.go:' "$work/out"
}

# fuzzed: how many inputs the last run tried beyond its seeds.
fuzzed() {
  awk '/gathering baseline coverage/ { split($0, half, "/"); seeds = half[2] + 0 }
    match($0, /execs: [0-9]+/) { runs = substr($0, RSTART + 7) + 0 }
    END { print (runs > seeds ? runs - seeds : 0) }' "$work/out"
}

# longer TIME: ten times as much.
longer() { printf '%d%s' $((${1%%[a-z]*} * 10)) "${1##*[0-9]}"; }

# fuzz TARGET: fails where an input fails, and where none was tried.
fuzz() {
  run "$1" "$each" || return
  (($(fuzzed) > 0)) || run "$1" "$(longer "$each")" || return
  (($(fuzzed) > 0))
}

while read -r package dir; do
  mapfile -t here < <(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$dir"/*_test.go)
  ((${#here[@]} > 0)) || continue
  go test -c -fuzz . -o "$work/fuzz.test" "$package"
  for target in "${here[@]}"; do
    targets=$((targets + 1))
    if (cd "$dir" && fuzz "$target"); then
      total=$((total + $(fuzzed)))
      printf '%-24s %-20s %9d runs\n' "${package#estate/}" "$target" "$(fuzzed)"
    else
      failed+=("$package $target")
      cat "$work/out"
    fi
  done
done < <(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{.Dir}}{{end}}' "${patterns[@]}" | grep .)

printf '%d targets, %d runs, %d failed, %d s\n' "$targets" "$total" "${#failed[@]}" "$SECONDS"
((targets > 0 && ${#failed[@]} == 0))
