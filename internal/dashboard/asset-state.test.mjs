import assert from 'node:assert/strict';
import { test } from 'node:test';

import { shownAssets, ticketsAbout } from './static/asset-state.js';
import { begin, reduce } from './static/state.js';

const after = (...events) => events.reduce(reduce, begin('b'));
const change = (kind, item) => ({ type: 'change', kind, id: item.id, position: 1, item });
const lift = (n, more = {}) => change('asset', { id: `l${n}`, name: `Lift ${n}`, category: 'lift', seen: 's', ...more });
const ticket = (id, more = {}) => ({ id, title: id, status: 'new', reported_at: `2026-05-0${id}T10:00:00Z`, seen: 's', position: 1, ...more });

test('equipment is shown by name, as people count', () => {
  assert.deepEqual(shownAssets(after(lift(10), lift(2), lift(1)), '').map((x) => x.asset.id), ['l1', 'l2', 'l10']);
});

test('a query looks at what is written on the machine', () => {
  const s = after(lift(1, { serial: 'KX-7' }), lift(2, { manufacturer: 'Kone' }), lift(3, { unit_name: 'Stairwell B' }));
  for (const [query, id] of [['kx', 'l1'], ['KONE', 'l2'], ['stairwell', 'l3']]) assert.deepEqual(shownAssets(s, query).map((x) => x.asset.id), [id]);
});

test('what watches it counts while it is in service, and what is wrong while it is not over', () => {
  const s = after(lift(1), lift(2), change('device', { id: 'd1', asset: 'l1', adopted: true }), change('device', { id: 'd2', asset: 'l1', adopted: false }),
    change('alarm', { id: 'a1', asset: 'l1', state: 'cleared' }), change('alarm', { id: 'a2', asset: 'l1', state: 'acknowledged' }),
    change('ticket', ticket('1', { asset: 'l1', status: 'closed' })), change('ticket', ticket('2', { asset: 'l1' })));
  const [one, two] = shownAssets(s, '');
  assert.deepEqual([one.devices, one.alarms, one.tickets].map((x) => x.map((y) => y.id)), [['d1'], ['a2'], ['2']]);
  assert.deepEqual([two.devices, two.alarms, two.tickets], [[], [], []]);
});

test('the tickets about it are those that were asked for as they are now, and those that came since', () => {
  const asked = [ticket('1', { asset: 'l1' }), ticket('2', { asset: 'l1' }), ticket('3', { asset: 'l1' })];
  const s = after(change('ticket', ticket('2', { asset: 'l1', status: 'closed' })), change('ticket', ticket('3', { asset: 'l2' })), change('ticket', ticket('4', { asset: 'l1' })), change('ticket', ticket('5')));
  assert.deepEqual(ticketsAbout(s, 'l1', asked).map((x) => [x.id, x.status]), [['4', 'new'], ['2', 'closed'], ['1', 'new']]);
});

test('what was hidden is gone, and what was renamed has its name', () => {
  const s = after(lift(1), lift(2), change('asset', { id: 'l1', name: 'Old lift', seen: 's' }), { type: 'change', kind: 'asset', id: 'l2', position: 2, item: null });
  assert.deepEqual(shownAssets(s, '').map((x) => x.asset.name), ['Old lift']);
});
