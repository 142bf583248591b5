// @ts-check
// What may honestly be said of an edge. Pure.
//
//   revoked    its rights were taken away
//   waiting    enrolled and never in touch
//   offline    not in touch for longer than a heartbeat can explain
//   pending    in touch, with changes that have no receipt yet
//   synced     in touch, and a receipt was given for all that it reported
//   unknown    in touch, and it has not said what it still holds

/** Silence that two missed heartbeats explain is not yet "offline". */
export const silenceMax = 90_000;

/**
 * @typedef {{state?: string, since?: string, receipt_at?: string, heard_at?: string, waiting?: number, oldest_at?: string,
 *   code?: string, detail?: string, remedy?: string}} Link
 * @typedef {{id: string, building: string, name?: string, enrolled_at?: string, revoked?: boolean, connected?: boolean,
 *   own?: boolean, heard_at?: string, synced_to?: number, version?: string, reported_at?: string, link?: Link}} Edge
 * @typedef {'revoked'|'waiting'|'offline'|'pending'|'synced'|'unknown'} EdgeState
 */

/** @param {Edge} edge @param {number} now @returns {EdgeState} */
export function edgeState(edge, now) {
  if (edge.revoked) return 'revoked';
  if (edge.own && edge.link?.state !== 'synced' && edge.link?.state !== 'syncing') return 'offline';
  if (!edge.heard_at && !edge.connected) return 'waiting';
  if (!edge.connected && !edge.own && now - Date.parse(edge.heard_at ?? '') > silenceMax) return 'offline';
  if (!edge.link) return 'unknown';
  if ((edge.link.waiting ?? 0) > 0) return 'pending';
  return edge.link.receipt_at && edge.link.state === 'synced' ? 'synced' : 'pending';
}

/** @param {Iterable<Edge>} edges @param {number} now */
export function countOffline(edges, now) {
  return [...edges].filter((edge) => edgeState(edge, now) === 'offline').length;
}

/**
 * When an edge that is in touch now would have been silent for too long; null where none
 * could be.
 * @param {Iterable<Edge>} edges
 * @param {number} now
 */
export function nextSilence(edges, now) {
  const times = [...edges]
    .filter((edge) => !edge.revoked && !edge.connected && edge.heard_at)
    .map((edge) => Date.parse(edge.heard_at ?? '') + silenceMax)
    .filter((at) => at > now);
  return times.length === 0 ? null : Math.min(...times);
}
