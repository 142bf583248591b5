import assert from 'node:assert/strict';
import { test } from 'node:test';

import { countOffline, edgeState, nextSilence, silenceMax } from './static/edge-state.js';
import { begin, countTickets, listName, listOf, perDay, reduce, shownAlarms, shownTickets } from './static/state.js';

const open = { filter: 'open', query: '' };
const all = { filter: 'all', query: '' };

function ticket(id, more = {}) {
  return { id, code: `OAK-${id}`, title: `Ticket ${id}`, status: 'new', reported_at: `2026-05-0${id}T10:00:00Z`, seen: 's', position: 1, ...more };
}

function loaded(items, more = {}) {
  return { type: 'loaded', list: listName(open), kind: 'tickets', items, ...more };
}

const ids = (tickets) => tickets.map((t) => t.id);
const after = (...events) => events.reduce(reduce, begin('b'));

test('a list goes from loading to ready, and a failure keeps what is known', () => {
  const name = listName(open);
  let s = after({ type: 'loading', list: name });
  assert.deepEqual([listOf(s, name).status, listOf(s, name).known], ['loading', false]);
  s = reduce(s, loaded([ticket('1')]));
  s = reduce(s, { type: 'failed', list: name, problem: { message: 'no' } });
  assert.deepEqual([listOf(s, name).status, listOf(s, name).known, s.tickets.size], ['failed', true, 1]);
});

test('tickets are shown the latest first', () => {
  assert.deepEqual(ids(shownTickets(after(loaded([ticket('1'), ticket('3'), ticket('2')])))), ['3', '2', '1']);
});

test('a change replaces its ticket and leaves the others as they were', () => {
  const s = after(loaded([ticket('1'), ticket('2')]));
  const next = reduce(s, { type: 'change', kind: 'ticket', id: '1', position: 5, item: ticket('1', { status: 'in_progress', position: 5 }) });
  assert.equal(next.tickets.get('1').status, 'in_progress');
  assert.equal(next.tickets.get('2'), s.tickets.get('2'));
  assert.equal(s.tickets.get('1').status, 'new', 'the state before is untouched');
});

test('what is older than what is shown changes nothing', () => {
  const s = after(loaded([ticket('1', { position: 9, title: 'new' })]));
  const late = reduce(s, { type: 'change', kind: 'ticket', id: '1', position: 4, item: ticket('1', { position: 4, title: 'old' }) });
  assert.equal(late.tickets.get('1').title, 'new');
  const list = reduce(s, loaded([ticket('1', { position: 4, title: 'old' })]));
  assert.equal(list.tickets.get('1').title, 'new', 'a change may overtake a list');
});

test('a change to nothing takes the ticket away, and a late list does not bring it back', () => {
  let s = after(loaded([ticket('1')]), { type: 'change', kind: 'ticket', id: '1', position: 7, item: null });
  assert.equal(s.tickets.size, 0);
  s = reduce(s, loaded([ticket('1', { position: 3 })]));
  assert.equal(s.tickets.size, 0);
});

test('a refused cursor forgets positions, so that any answer counts', () => {
  const s = after(loaded([ticket('1', { position: 90 })]), { type: 'choose', choice: all }, { type: 'stale' }, loaded([ticket('1', { position: 2, title: 'restored' })]));
  assert.equal(s.tickets.get('1').title, 'restored');
  assert.deepEqual(s.choice, all);
});

test('an item that says the same stays the same, so that its row does', () => {
  const s = after(loaded([ticket('1'), ticket('2')]));
  const next = reduce(s, loaded([ticket('1'), ticket('2', { position: 2 })]));
  assert.equal(next.tickets.get('1'), s.tickets.get('1'));
  assert.notEqual(next.tickets.get('2'), s.tickets.get('2'));
});

test('filters and search match as the server does', () => {
  const s = after(loaded([ticket('1', { priority: 'urgent' }), ticket('2', { status: 'closed', priority: 'urgent' }), ticket('3', { description: 'Water on the FLOOR' })]));
  const shown = (choice) => ids(shownTickets({ ...s, choice }));
  assert.deepEqual(shown(open), ['3', '1']);
  assert.deepEqual(shown({ filter: 'urgent', query: '' }), ['1']);
  assert.deepEqual(shown(all), ['3', '2', '1']);
  assert.deepEqual(shown({ filter: 'all', query: 'floor' }), ['3']);
  assert.deepEqual(shown({ filter: 'all', query: 'oak-2' }), ['2']);
});

test('counts are unknown, then counted where all is here, then the server’s', () => {
  assert.equal(countTickets(begin('b'), open), null);
  const whole = after(loaded([ticket('1'), ticket('2')], { total: 2 }));
  assert.equal(countTickets(whole, open), 2);
  const closed = reduce(whole, { type: 'ticket', item: ticket('1', { status: 'closed', position: 2 }) });
  assert.equal(countTickets(closed, open), 1);
  const part = after(loaded([ticket('1')], { total: 900, next: 'c' }));
  assert.equal(countTickets(part, open), 900);
  assert.equal(countTickets(reduce(part, { type: 'total', list: listName(open), total: 901 }), open), 901);
});

test('alarms that need somebody come first', () => {
  const alarm = (id, state, day) => ({ id, state, cause: 'leak', raised_at: `2026-05-0${day}T00:00:00Z`, seen: '' });
  const s = after({ type: 'loaded', list: 'alarms', kind: 'alarms', items: [alarm('a', 'cleared', 9), alarm('b', 'acknowledged', 8), alarm('c', 'active', 1), alarm('d', 'active', 2)] });
  assert.deepEqual(ids(shownAlarms(s)), ['d', 'c', 'b', 'a']);
});

test('a whole list replaces, so that a resolved conflict goes', () => {
  const conflict = (field) => ({ kind: 'ticket', id: '1', field, siblings: [], seen: '' });
  const event = (items) => ({ type: 'loaded', list: 'conflicts', kind: 'conflicts', items, whole: true });
  const s = after(event([conflict('priority'), conflict('title')]), event([conflict('title')]));
  assert.deepEqual([...s.conflicts.values()].map((c) => c.field), ['title']);
});

test('tickets are counted per day, and a part of the list is said to be one', () => {
  const starts = [1, 2, 3, 4].map((d) => Date.parse(`2026-05-0${d}T00:00:00Z`));
  const event = { ...loaded([ticket('2'), ticket('4'), ticket('3', { reported_at: '2026-05-04T23:00:00Z' })]), list: listName(all) };
  assert.deepEqual(perDay(after(event), starts), { counts: [0, 1, 0, 2], known: true, since: null });
  const part = perDay(after({ ...event, next: 'c' }), starts);
  assert.equal(part.since, Date.parse('2026-05-02T10:00:00Z'));
  assert.equal(perDay(begin('b'), starts).known, false);
});

test('an edge is called synced only after a receipt for everything', () => {
  const now = Date.parse('2026-05-01T12:00:00Z');
  const fresh = new Date(now - 1000).toISOString();
  const old = new Date(now - silenceMax - 1).toISOString();
  const link = { state: 'synced', receipt_at: fresh, waiting: 0 };
  for (const [want, edge] of [
    ['revoked', { revoked: true, connected: true, link }],
    ['waiting', {}],
    ['offline', { heard_at: old, link }],
    ['unknown', { heard_at: fresh, connected: true }],
    ['pending', { heard_at: fresh, link: { ...link, waiting: 3 } }],
    ['pending', { heard_at: fresh, link: { state: 'syncing', waiting: 0 } }],
    ['pending', { connected: true, heard_at: fresh, link: { state: 'synced', waiting: 0 } }],
    ['synced', { connected: true, heard_at: old, link }],
    ['synced', { heard_at: fresh, link }],
    ['synced', { own: true, heard_at: old, link }],
    ['pending', { own: true, heard_at: fresh, link: { ...link, waiting: 2 } }],
    ['offline', { own: true, heard_at: fresh, link: { ...link, state: 'connecting' } }],
  ]) assert.equal(edgeState(edge, now), want, JSON.stringify(edge));
  assert.equal(countOffline([{ heard_at: old }, { heard_at: fresh }, { heard_at: old, revoked: true }], now), 1);
  assert.equal(nextSilence([{ heard_at: fresh }, { heard_at: old }], now), Date.parse(fresh) + silenceMax);
  assert.equal(nextSilence([{ heard_at: old }], now), null);
});
