# Sourced by check.sh and test.sh: runs named steps, says how long each took,
# and goes on after one that failed, so that one run shows everything.

failed_steps=()

# step NAME COMMAND...
step() {
  local name=$1 began=$SECONDS status=0
  shift
  printf '\n== %s\n' "$name"
  "$@" || status=$?
  if ((status != 0)); then
    failed_steps+=("$name")
    printf -- '-- %s: FAILED after %d s\n' "$name" "$((SECONDS - began))"
    return 0
  fi
  printf -- '-- %s: %d s\n' "$name" "$((SECONDS - began))"
}

# finish COUNTS: prints the steps that failed, then the sum of the tests alone
# on the last line, and gives the status of the run.
finish() {
  local counts=$1 status=0
  printf '\n'
  if ((${#failed_steps[@]} > 0)); then
    printf 'failed: %s\n' "${failed_steps[@]}"
    status=1
  fi
  printf 'took %d s\n' "$SECONDS"
  node scripts/test-summary.mjs --sum "$counts"
  return "$status"
}

# go_test COUNTS ARGUMENTS...: go test, readable, its results added to COUNTS.
go_test() {
  local counts=$1
  shift
  go test -json "$@" | node scripts/test-summary.mjs "$counts"
}

formatted() {
  local wrong
  wrong=$(git ls-files -z --cached --others --exclude-standard '*.go' | xargs -0 -r ls -d 2>/dev/null | xargs -r gofmt -l)
  if [[ -n $wrong ]]; then
    printf 'not formatted (gofmt -w corrects it):\n%s\n' "$wrong"
    return 1
  fi
}

# packages PATTERN...: the packages that match, without the slow end-to-end
# folder. Empty where nothing matches yet.
packages() {
  go list -e "$@" 2>/dev/null | grep -v '^estate/tests\(/\|$\)' || true
}
