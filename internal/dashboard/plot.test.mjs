import assert from 'node:assert/strict';
import { test } from 'node:test';

import { deviceState, shownDevices } from './static/device-state.js';
import { clip, gapOf, nearest, pointsOf, reach, runs, ticks, timeTicks } from './static/plot.js';
import { thresholdsOf } from './static/rule-text.js';
import { begin, reduce } from './static/state.js';

const minute = 60_000;
const at = (m, mean = 20) => ({ at: m * minute, n: 1, low: mean - 1, high: mean + 1, mean, last: mean });

test('a line is not drawn over a time in which nothing was measured', () => {
  const points = [at(0), at(5), at(10), at(15), at(120), at(125)];
  assert.equal(gapOf(points, 0), 20 * minute);
  assert.deepEqual(runs(points, gapOf(points, 0)).map((run) => run.length), [4, 2]);
});

test('a device that speaks seldom has no gaps', () => {
  const points = [at(0), at(60), at(120), at(190), at(240)];
  assert.equal(runs(points, gapOf(points, 0)).length, 1);
});

test('what stands for a span is shown in its middle, and a missing span is a gap', () => {
  const points = pointsOf([{ at: '2026-01-01T00:00:00Z', n: 4, low: 1, high: 2, mean: 1, last: 1 }, { at: '2026-01-01T03:00:00Z', n: 4, low: 1, high: 2, mean: 1, last: 1 }], 3600);
  assert.equal(points[0].at, Date.parse('2026-01-01T00:30:00Z'));
  assert.equal(runs([...points, { ...points[1], at: points[1].at + 3_600_000 }, { ...points[1], at: points[1].at + 7_200_000 }], gapOf(points.slice(0, 1), 3600)).length, 2);
});

test('thresholds near the values are in sight, far ones do not flatten the line', () => {
  assert.ok(reach([at(0)], [22]).high > 22);
  assert.ok(reach([at(0)], [500]).high < 30);
  assert.ok(reach([at(0)], []).low < 19);
});

test('ticks are round, few, and inside', () => {
  assert.deepEqual(ticks(0.3, 10.2, 5), [2, 4, 6, 8, 10]);
  assert.deepEqual(ticks(-1, 1, 4), [-1, -0.5, 0, 0.5, 1]);
  const day = timeTicks(new Date(2026, 0, 5, 10, 20).getTime(), new Date(2026, 0, 6, 10, 20).getTime(), 8);
  assert.ok(day.length <= 8 && day.every((x) => new Date(x).getMinutes() === 0 && new Date(x).getHours() % 3 === 0));
  const month = timeTicks(new Date(2026, 0, 5).getTime(), new Date(2026, 1, 4).getTime(), 7);
  assert.ok(month.length > 2 && month.length <= 7 && month.every((x) => new Date(x).getHours() === 0));
});

test('the point nearest to a moment, and the part of an alarm that is shown', () => {
  assert.equal(nearest([at(0), at(10), at(20)], 14 * minute), 1);
  assert.deepEqual(clip(0, 50, { from: 10, to: 30 }), { from: 10, to: 30 });
  assert.equal(clip(0, 5, { from: 10, to: 30 }), null);
});

test('a device is offline where it says so or its silence is an alarm', () => {
  const now = Date.parse('2026-01-02T00:00:00Z');
  const device = { id: 'd', hardware: 'h', adopted: true, heard_at: '2026-01-01T23:00:00Z', seen: 's' };
  const silent = { id: 'a', device: 'd', cause: 'silent', state: 'active', seen: 's' };
  assert.equal(deviceState(device, [], now), 'heard');
  assert.equal(deviceState(device, [silent], now), 'offline');
  assert.equal(deviceState(device, [{ ...silent, state: 'cleared' }], now), 'heard');
  assert.equal(deviceState({ ...device, availability: 'offline' }, [], now), 'offline');
  assert.equal(deviceState({ ...device, heard_at: undefined }, [], now), 'never');
  assert.equal(deviceState({ ...device, heard_at: '2025-12-01T00:00:00Z' }, [], now), 'quiet');
  assert.equal(deviceState({ ...device, adopted: false }, [], now), 'waiting');
});

test('a pushed device keeps when it was heard, and those in trouble come first', () => {
  const device = (id, more = {}) => ({ id, hardware: id, name: id, adopted: true, availability: 'online', heard_at: '2026-01-01T00:00:00Z', seen: 's', ...more });
  let s = reduce(begin('b'), { type: 'loaded', list: 'devices', kind: 'devices', items: [device('a'), device('b', { availability: 'offline' })], whole: true });
  s = reduce(s, { type: 'change', kind: 'device', id: 'a', position: 2, item: { ...device('a', { name: 'z' }), heard_at: undefined } });
  assert.equal(s.devices.get('a').name, 'z');
  assert.deepEqual(shownDevices(s, { query: '', state: '' }, 0).map((x) => x.device.id), ['b', 'a']);
  assert.deepEqual(shownDevices(s, { query: 'Z', state: 'online' }, 0).map((x) => x.device.id), ['a']);
});

test('a rule draws its line only for what it is about', () => {
  const rule = { name: 'Cold', when: { all: [{ threshold: { kind: 'temperature', unit: '°C', below: 4 } }, { is: { kind: 'leak', value: true } }] } };
  const series = { kind: 'temperature', unit_of_measure: '°C' };
  assert.deepEqual(thresholdsOf([rule], { hardware: 'h' }, series), [{ value: 4, title: 'Cold' }]);
  assert.deepEqual(thresholdsOf([{ ...rule, disabled: true }], { hardware: 'h' }, series), []);
  assert.deepEqual(thresholdsOf([{ ...rule, devices: ['x'] }], { hardware: 'h' }, series), []);
  assert.deepEqual(thresholdsOf([{ ...rule, units: ['u'] }], { hardware: 'h', unit: 'u' }, series).length, 1);
  assert.deepEqual(thresholdsOf([rule], { hardware: 'h' }, { ...series, unit_of_measure: '°F' }), []);
});
