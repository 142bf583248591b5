import assert from 'node:assert/strict';
import { test } from 'node:test';

import { delay, delayFirst, delayMax, idle, probeMax, readyMax, silenceMax, step, table } from './static/line.js';

const facts = { at: 1000, random: 0.5 };

/** Runs events and gives the last step. */
function run(...events) {
  return events.reduce(({ line }, event) => step(line, event, facts), { line: idle, effects: [] });
}

const did = (s) => s.effects.map((e) => e.do);

test('every state answers every event', () => {
  const events = ['start', 'ready', 'heard', 'lost', 'timer', 'online', 'offline', 'stop'];
  for (const [name, row] of Object.entries(table)) {
    assert.deepEqual(Object.keys(row).sort(), [...events].sort(), name);
    for (const event of events) {
      const next = step({ name, attempt: 3, liveAt: 5 }, event, facts);
      assert.ok(next.line.name in table, `${name} ${event}`);
    }
  }
});

test('start opens, and waits for the server to speak', () => {
  const s = run('start');
  assert.equal(s.line.name, 'connecting');
  assert.deepEqual(s.effects, [{ do: 'clear' }, { do: 'open' }, { do: 'timer', after: readyMax }]);
});

test('an open line that says nothing is given up', () => {
  const s = run('start', 'timer');
  assert.equal(s.line.name, 'waiting');
  assert.ok(did(s).includes('close'));
});

test('a live line is live from when it was last heard, and is asked after silence, and dies without an answer', () => {
  let s = run('start', 'ready');
  assert.deepEqual(s.line, { name: 'live', attempt: 0, liveAt: 1000 });
  assert.deepEqual(s.effects.at(-1), { do: 'timer', after: silenceMax });
  s = step(s.line, 'heard', { at: 2000, random: 0 });
  assert.equal(s.line.liveAt, 2000);
  s = step(s.line, 'timer', { at: 90_000, random: 0 });
  assert.equal(s.line.name, 'probing');
  assert.deepEqual(s.effects, [{ do: 'clear' }, { do: 'probe' }, { do: 'timer', after: probeMax }]);
  assert.equal(step(s.line, 'heard', facts).line.name, 'live');
  s = step(s.line, 'timer', { at: 99_000, random: 0 });
  assert.equal(s.line.name, 'waiting');
  assert.equal(s.line.liveAt, 2000, 'what was true then is still said to be of then');
});

test('an attempt is always scheduled while the line is down', () => {
  let s = run('start');
  for (let i = 0; i < 50; i++) {
    s = step(s.line, 'lost', facts);
    assert.equal(s.line.name, 'waiting');
    assert.equal(s.effects.at(-1).do, 'timer');
    s = step(s.line, 'timer', facts);
    assert.equal(s.line.name, 'connecting');
  }
});

test('delays double up to the last and are spread by chance', () => {
  assert.equal(delay(0, 0), delayFirst / 2);
  assert.equal(delay(1, 0), delayFirst);
  for (const attempt of [0, 1, 5, 7, 40, 5000]) {
    const least = delay(attempt, 0);
    const most = delay(attempt, 0.999999);
    assert.ok(least < most && most <= delayMax, `attempt ${attempt}: ${least} to ${most}`);
    assert.ok(least >= delayFirst / 2);
  }
});

test('a line that was live begins with the first delay again', () => {
  const down = run('start', 'lost', 'timer', 'lost', 'timer', 'lost');
  assert.equal(down.effects.at(-1).after, delay(2, facts.random));
  const again = ['timer', 'ready', 'lost'].reduce(({ line }, e) => step(line, e, facts), down);
  assert.equal(again.effects.at(-1).after, delay(0, facts.random));
});

test('without a network nothing is tried, and its return tries at once', () => {
  const off = run('start', 'ready', 'offline');
  assert.equal(off.line.name, 'offline');
  assert.deepEqual(did(off), ['clear', 'close']);
  assert.deepEqual(did(step(off.line, 'timer', facts)), []);
  const on = step(off.line, 'online', facts);
  assert.equal(on.line.name, 'connecting');
  assert.ok(did(on).includes('open'));
});

test('stop ends everything, from anywhere', () => {
  for (const name of ['connecting', 'live', 'probing', 'waiting', 'offline']) {
    const s = step({ name, attempt: 2, liveAt: 1 }, 'stop', facts);
    assert.equal(s.line, idle);
    assert.deepEqual(did(s), ['clear', 'close']);
  }
});
