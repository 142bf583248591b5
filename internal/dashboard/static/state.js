// @ts-check
// What the page knows of one building. Pure: an event and a state give the next state.
//
//   list:  loading ─▶ ready ⇄ loading (more)        a failed list keeps what it has
//             └─────▶ failed ─▶ loading

/**
 * @typedef {{id: string, name?: string}} Person
 * @typedef {{id: string, code: string, title: string, status: string, priority?: string, category?: string, ai_priority?: string,
 *   description?: string, unit?: string, unit_name?: string, reporter?: Person, assignee?: Person, reports?: Person[],
 *   device?: string, asset?: string, asset_name?: string, alarm?: string, tags?: string[], reported_at?: string, started_at?: string, resolved_at?: string,
 *   resolution?: string, conflicts?: string[], seen: string, position: number}} Ticket
 * @typedef {{id: string, cause: string, state: string, device: string, hardware?: string, device_name?: string, unit_name?: string,
 *   asset?: string, asset_name?: string, raised_at?: string, cleared_at?: string, flapping?: boolean, ticket?: string, detail?: string, seen: string}} Alarm
 * @typedef {{value: any, author?: Person, where?: string, stamp: string, event_time?: string, shown: boolean}} Sibling
 * @typedef {{kind: string, id: string, field: string, label?: string, ticket?: string, shown: any, siblings: Sibling[], seen: string}} Conflict
 * @typedef {{id: string, hardware: string, name?: string, model?: string, unit?: string, unit_name?: string, asset?: string, asset_name?: string,
 *   adopted: boolean, availability?: string, battery?: number, heard_at?: string, suggested_unit?: string, suggested_unit_name?: string,
 *   suggested_asset?: string, suggested_asset_name?: string, seen: string}} Device
 * @typedef {{id: string, name: string, category?: string, unit?: string, unit_name?: string, manufacturer?: string, model?: string, serial?: string,
 *   conflicts?: string[], seen: string}} Asset
 * @typedef {'loading'|'ready'|'failed'} ListStatus
 * @typedef {{status: ListStatus, next: string, total: number, known: boolean, reach: number, problem: any}} List
 * @typedef {{filter: 'open'|'urgent'|'all', query: string}} Choice
 * @typedef {{building: string, tickets: ReadonlyMap<string, Ticket>, alarms: ReadonlyMap<string, Alarm>,
 *   conflicts: ReadonlyMap<string, Conflict>, edges: ReadonlyMap<string, any>,
 *   devices: ReadonlyMap<string, Device>, assets: ReadonlyMap<string, Asset>, rules: ReadonlyMap<string, any>, refusals: ReadonlyMap<string, any>, lists: Readonly<Record<string, List>>,
 *   positions: ReadonlyMap<string, number>, choice: Choice}} State
 */

/** Statuses of tickets that nobody has to do anything about. */
const done = new Set(['resolved', 'closed', 'cancelled']);

/** Alarms in order of how much they need somebody. */
const alarmOrder = ['active', 'acknowledged', 'cleared'];

/** The collections that changes are pushed for, by kind. @type {Record<string, 'tickets'|'alarms'|'devices'|'assets'|undefined>} */
const pushed = { ticket: 'tickets', alarm: 'alarms', device: 'devices', asset: 'assets' };

/** @type {List} */
const unread = Object.freeze({ status: 'loading', next: '', total: 0, known: false, reach: Infinity, problem: null });

/** @param {string} building @returns {State} */
export function begin(building) {
  return {
    building, tickets: new Map(), alarms: new Map(), conflicts: new Map(), edges: new Map(),
    devices: new Map(), assets: new Map(), rules: new Map(), refusals: new Map(),
    lists: {}, positions: new Map(), choice: { filter: 'open', query: '' },
  };
}

/** The name of a list of tickets. @param {Choice} choice */
export function listName(choice) {
  return `tickets ${choice.filter} ${choice.query}`;
}

/** @param {State} state @param {string} name */
export function listOf(state, name) {
  return state.lists[name] ?? unread;
}

/** The key of an item in its collection. @param {string} kind @param {any} item */
export function keyOf(kind, item) {
  if (kind === 'conflicts') return `${item.kind} ${item.id} ${item.field}`;
  if (kind === 'refusals') return JSON.stringify([item.login, item.topic, item.key, item.code, item.detail]);
  return item.id;
}

/**
 * @typedef {{type: 'loading', list: string}
 *   | {type: 'loaded', list: string, kind: 'tickets'|'alarms'|'conflicts'|'edges'|'devices'|'assets'|'rules'|'refusals', items: any[], next?: string, total?: number, whole?: boolean}
 *   | {type: 'failed', list: string, problem: any}
 *   | {type: 'total', list: string, total: number}
 *   | {type: 'change', kind: string, id: string, position: number, item: any}
 *   | {type: 'ticket', item: Ticket}
 *   | {type: 'edge', item: any}
 *   | {type: 'choose', choice: Choice}
 *   | {type: 'stale'}} Event
 */

/** @param {State} state @param {Event} event @returns {State} */
export function reduce(state, event) {
  switch (event.type) {
    case 'loading':
      return withList(state, event.list, { status: 'loading', problem: null });
    case 'loaded':
      return loaded(state, event);
    case 'failed':
      return withList(state, event.list, { status: 'failed', problem: event.problem });
    case 'total':
      return withList(state, event.list, { total: event.total });
    case 'change':
      return changed(state, event);
    case 'ticket':
      return changed(state, { type: 'change', kind: 'ticket', id: event.item.id, position: event.item.position, item: event.item });
    case 'edge':
      return { ...state, edges: new Map(state.edges).set(event.item.id, event.item) };
    case 'choose':
      return { ...state, choice: event.choice };
    case 'stale':
      // A cursor was refused: changes were missed, so no position that is held can rule
      // out what the server says now.
      return { ...begin(state.building), choice: state.choice };
  }
}

/** @param {State} state @param {string} name @param {Partial<List>} change @returns {State} */
function withList(state, name, change) {
  return { ...state, lists: { ...state.lists, [name]: { ...listOf(state, name), ...change } } };
}

/** @param {State} state @param {Extract<Event, {type: 'loaded'}>} event */
function loaded(state, event) {
  const before = /** @type {ReadonlyMap<string, any>} */ (state[event.kind]);
  const held = event.whole ? new Map() : new Map(before);
  for (const item of event.items) {
    const key = keyOf(event.kind, item);
    const known = state.positions.get(`ticket ${key}`) ?? 0;
    // A change may have overtaken the list's answer.
    if (event.kind === 'tickets' && known > item.position) continue;
    held.set(key, unchanged(before.get(key), item));
  }
  const next = { ...state, [event.kind]: held };
  if (event.kind === 'tickets') next.positions = positionsOf(state, event.items);
  return withList(next, event.list, {
    status: 'ready', problem: null, known: true, next: event.next ?? '', total: event.total ?? event.items.length,
    reach: Math.min(...event.items.map((item) => Date.parse(item.reported_at ?? '') || Infinity), listOf(state, event.list).reach),
  });
}

/** The item that is shown, where the new one says the same: its row stays as it is. @param {any} old @param {any} item */
function unchanged(old, item) {
  return old && JSON.stringify(old) === JSON.stringify(item) ? old : item;
}

/** @param {State} state @param {Ticket[]} items */
function positionsOf(state, items) {
  const positions = new Map(state.positions);
  for (const item of items) positions.set(`ticket ${item.id}`, Math.max(item.position, positions.get(`ticket ${item.id}`) ?? 0));
  return positions;
}

/** @param {State} state @param {Extract<Event, {type: 'change'}>} event @returns {State} */
function changed(state, event) {
  const kind = pushed[event.kind];
  if (!kind) return state;
  const place = `${event.kind} ${event.id}`;
  if ((state.positions.get(place) ?? 0) > event.position) return state;
  const held = new Map(/** @type {ReadonlyMap<string, any>} */ (state[kind]));
  // A pushed device does not say when it was heard.
  const known = event.kind === 'device' ? { heard_at: held.get(event.id)?.heard_at } : {};
  if (event.item) held.set(event.id, { ...known, ...event.item });
  else held.delete(event.id);
  return { ...state, [kind]: held, positions: new Map(state.positions).set(place, event.position) };
}

/** @param {Ticket} ticket */
export function isOpen(ticket) {
  return !done.has(ticket.status);
}

/** @param {Ticket} ticket @param {Choice} choice */
export function matches(ticket, choice) {
  if (choice.filter !== 'all' && !isOpen(ticket)) return false;
  if (choice.filter === 'urgent' && ticket.priority !== 'urgent') return false;
  const query = choice.query.toLowerCase();
  return query === '' || [ticket.title, ticket.description, ticket.code].some((text) => text?.toLowerCase().includes(query));
}

/** The tickets of a choice, the latest first as the server orders them. @param {State} state */
export function shownTickets(state) {
  return [...state.tickets.values()].filter((ticket) => matches(ticket, state.choice)).sort(latestFirst('reported_at'));
}

/** Alarms that need somebody first, then the latest. @param {State} state */
export function shownAlarms(state) {
  const latest = latestFirst('raised_at');
  return [...state.alarms.values()].sort((a, b) => alarmOrder.indexOf(a.state) - alarmOrder.indexOf(b.state) || latest(a, b));
}

/** @param {string} field @returns {(a: any, b: any) => number} */
function latestFirst(field) {
  return (a, b) => (Date.parse(b[field] ?? '') || 0) - (Date.parse(a[field] ?? '') || 0) || (a.id < b.id ? 1 : -1);
}

/**
 * How many tickets a choice has: counted here where all of them are here, else the total
 * that the server gave. null before anything is known.
 * @param {State} state
 * @param {Choice} choice
 */
export function countTickets(state, choice) {
  const list = listOf(state, listName(choice));
  if (!list.known) return null;
  if (list.next !== '') return list.total;
  return [...state.tickets.values()].filter((ticket) => matches(ticket, choice)).length;
}

/**
 * Tickets reported per local day. since is the first day that is known whole.
 * @param {State} state
 * @param {number[]} starts of days, the earliest first
 */
export function perDay(state, starts) {
  const list = listOf(state, listName({ filter: 'all', query: '' }));
  const times = [...state.tickets.values()].map((ticket) => Date.parse(ticket.reported_at ?? '')).filter((at) => !Number.isNaN(at));
  const counts = starts.map((start, i) => times.filter((at) => at >= start && (i + 1 === starts.length || at < starts[i + 1])).length);
  const partial = list.known && list.next !== '' && list.reach > starts[0];
  return { counts, known: list.known, since: partial ? list.reach : null };
}
