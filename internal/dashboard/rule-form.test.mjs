import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { idOf, rowsOf, stretches, whenOf } from './static/rule-form.js';
import { definitionOf, duration, sentence } from './static/rule-text.js';

const shipped = JSON.parse(readFileSync(new URL('../rules/shipped.json', import.meta.url), 'utf8'));

test('every shipped rule comes out of the form as it went in', () => {
  assert.ok(shipped.length > 10);
  for (const rule of shipped) {
    const { join, rows } = rowsOf(rule.when);
    assert.deepEqual(whenOf(join, rows), rule.when, rule.id);
    assert.ok(!rows.some((row) => row.type === 'kept'), rule.id);
  }
});

test('every shipped rule is said in words', () => {
  for (const rule of shipped) assert.doesNotMatch(sentence(rule.when), /[{}]|undefined|says\./, rule.id);
  assert.equal(sentence(shipped.find((r) => r.id === 'silent').when), 'not heard for much longer than usual');
});

test('what the form cannot show stays as it is', () => {
  const when = { all: [{ not: { is: { kind: 'motion', value: true } } }, { silence: { after: '2h' } }] };
  const { join, rows } = rowsOf(when);
  assert.equal(rows[0].type, 'kept');
  assert.deepEqual(whenOf(join, rows), when);
});

test('an empty field is left out, a zero is not', () => {
  assert.deepEqual(whenOf('all', [{ type: 'below', values: { kind: 'temperature', limit: '0', clear: '', for: ' ' } }]), { threshold: { kind: 'temperature', below: 0 } });
});

test('a definition has nothing that the server adds', () => {
  assert.deepEqual(Object.keys(definitionOf({ id: 'x', version: 2, shipped: true, changed: false, seen: 's', name: 'n', when: {} })), ['name', 'when']);
});

test('ids are made of names and never taken twice', () => {
  assert.equal(idOf('Pump at night!', []), 'pump_at_night');
  assert.equal(idOf('Pump at night!', ['pump_at_night']), 'pump_at_night_2');
  assert.equal(idOf('???', []), 'rule');
});

test('alarms of a trial last until they end, or still', () => {
  const effects = [{ at: '2026-01-01T00:00:00Z', what: 'raise', device: 'a' }, { at: '2026-01-01T01:00:00Z', what: 'clear', device: 'a' }, { at: '2026-01-01T02:00:00Z', what: 'raise', device: 'a' }, { at: '2026-01-01T00:30:00Z', what: 'raise', device: 'b' }];
  const end = Date.parse('2026-01-01T05:00:00Z');
  assert.deepEqual(stretches(effects, 'a', end).map((s) => [(s.to - s.from) / 3_600_000, s.open]), [[1, false], [3, true]]);
});

test('durations are short', () => {
  assert.deepEqual(['1h0m0s', '30m0s', '90s', '1h30m', '2d'].map(duration), ['1h', '30m', '90s', '1h 30m', '2d']);
});
