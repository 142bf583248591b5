// Turns `go test -json` back into what a person reads, and counts.
//
//   go test -json ... | node scripts/test-summary.mjs COUNTS   adds one line to the file COUNTS
//   node scripts/test-summary.mjs --sum COUNTS                 prints the sum of its lines
//
// A passing package is one line; of a failing one the failed tests' output is
// shown. A test with subtests counts through them.

import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const sumOf = (file) => {
  const sum = { passed: 0, failed: 0, skipped: 0 }
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []
  for (const line of lines) {
    const counts = JSON.parse(line)
    for (const key of Object.keys(sum)) sum[key] += counts[key]
  }
  return sum
}

const say = ({ passed, failed, skipped }) => `${passed} passed, ${failed} failed, ${skipped} skipped`

/** One package's tests: name → { output, result }. */
const newPackage = () => ({ tests: new Map(), output: [] })

const count = (pkg, name, test, counts) => {
  const below = [...pkg.tests].filter(([other]) => other.startsWith(name + '/'))
  if (test.result === 'fail') {
    if (!below.some(([, other]) => other.result === 'fail')) counts.failed += 1
  } else if (below.length === 0) {
    counts[test.result === 'skip' ? 'skipped' : 'passed'] += 1
  }
}

const finishPackage = (path, pkg, result, counts) => {
  const before = counts.failed
  for (const [name, test] of pkg.tests) {
    // A panic or a timeout ends the tests that ran without a word.
    test.result ??= 'fail'
    count(pkg, name, test, counts)
    if (test.result === 'fail') process.stdout.write(test.output.join(''))
    if (test.result === 'skip') {
      const reason = test.output.filter((line) => !/^\s*(===|---)/.test(line)).join('').trim()
      console.log(`skip ${path} ${name}: ${reason}`)
    }
  }
  if (result === 'fail') {
    if (counts.failed === before) counts.failed += 1
    process.stdout.write(pkg.output.join(''))
    return
  }
  process.stdout.write(pkg.output.filter((line) => line.startsWith('ok')).join(''))
}

const read = async (file) => {
  const packages = new Map()
  const counts = { passed: 0, failed: 0, skipped: 0 }
  for await (const line of createInterface({ input: process.stdin })) {
    if (!line.startsWith('{')) {
      console.log(line)
      continue
    }
    const event = JSON.parse(line)
    if (event.Action === 'build-output') {
      process.stdout.write(event.Output)
      continue
    }
    if (!event.Package) continue
    if (!packages.has(event.Package)) packages.set(event.Package, newPackage())
    const pkg = packages.get(event.Package)
    let target = pkg
    if (event.Test) {
      if (!pkg.tests.has(event.Test)) pkg.tests.set(event.Test, { output: [], result: undefined })
      target = pkg.tests.get(event.Test)
    }
    if (event.Action === 'output') {
      if (/^=== (RUN|PAUSE|CONT|NAME)/.test(event.Output)) continue
      target.output.push(event.Output)
    } else if (['pass', 'fail', 'skip'].includes(event.Action)) {
      if (event.Test) target.result = event.Action
      else finishPackage(event.Package, pkg, event.Action, counts)
    }
  }
  console.log(say(counts))
  appendFileSync(file, JSON.stringify(counts) + '\n')
  process.exitCode = counts.failed > 0 ? 1 : 0
}

const [first, second] = process.argv.slice(2)
if (first === '--sum') console.log(say(sumOf(second)))
else await read(first)
