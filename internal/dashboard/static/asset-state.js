// @ts-check
// What is known of the building's equipment: who watches it and what is wrong with it. Pure.

import { isOpen } from './state.js';

/**
 * @typedef {{asset: import('./state.js').Asset, devices: import('./state.js').Device[], alarms: import('./state.js').Alarm[], tickets: import('./state.js').Ticket[]}} Watched
 */

/** Names in the order of people: Lift 2 before Lift 10. @param {{name: string}} a @param {{name: string}} b */
export function byName(a, b) {
  return a.name.localeCompare(b.name, undefined, { numeric: true });
}

/**
 * What names each piece of equipment, by its id.
 * @template {{asset?: string}} T
 * @param {Iterable<T>} items
 * @param {(item: T) => boolean} keep
 * @returns {Map<string, T[]>}
 */
function naming(items, keep) {
  const out = new Map();
  for (const item of items) {
    if (!item.asset || !keep(item)) continue;
    const held = out.get(item.asset);
    if (held) held.push(item);
    else out.set(item.asset, [item]);
  }
  return out;
}

/**
 * The equipment that a query finds, by name, with its devices in service, the alarms that are not
 * over and the open tickets.
 * @param {import('./state.js').State} state
 * @param {string} query
 * @returns {Watched[]}
 */
export function shownAssets(state, query) {
  const wanted = query.toLowerCase();
  const devices = naming(state.devices.values(), (d) => d.adopted);
  const alarms = naming(state.alarms.values(), (a) => a.state !== 'cleared');
  const tickets = naming(state.tickets.values(), isOpen);
  return [...state.assets.values()]
    .filter((a) => wanted === '' || [a.name, a.unit_name, a.manufacturer, a.model, a.serial].some((text) => text?.toLowerCase().includes(wanted)))
    .sort(byName)
    .map((asset) => ({ asset, devices: devices.get(asset.id) ?? [], alarms: alarms.get(asset.id) ?? [], tickets: tickets.get(asset.id) ?? [] }));
}

/**
 * All tickets about a piece of equipment, the latest first: those that were asked for, as they are
 * now, and those that came since.
 * @param {import('./state.js').State} state
 * @param {string} id
 * @param {import('./state.js').Ticket[]} asked
 */
export function ticketsAbout(state, id, asked) {
  const all = new Map(asked.map((x) => [x.id, x]));
  for (const x of state.tickets.values()) if (x.asset === id || all.has(x.id)) all.set(x.id, x);
  return [...all.values()].filter((x) => x.asset === id)
    .sort((a, b) => (Date.parse(b.reported_at ?? '') || 0) - (Date.parse(a.reported_at ?? '') || 0) || (a.id < b.id ? 1 : -1));
}
