// @ts-check
// How a device is, from what is known of it. Pure.

/** Battery-powered devices speak at least once a day. */
const quietAfter = 26 * 3_600_000;
/** A battery below this is shown as low. */
export const batteryLow = 15;

/** The order of lists: what needs somebody comes first. */
const order = ['offline', 'quiet', 'never', 'online', 'heard', 'waiting'];

/**
 * @param {import('./state.js').Device} device
 * @param {Iterable<import('./state.js').Alarm>} alarms
 * @param {number} now
 * @returns {'waiting'|'offline'|'online'|'never'|'heard'|'quiet'}
 */
export function deviceState(device, alarms, now) {
  if (!device.adopted) return 'waiting';
  const silent = [...alarms].some((a) => a.device === device.id && a.cause === 'silent' && a.state !== 'cleared');
  if (device.availability === 'offline' || silent) return 'offline';
  if (!device.heard_at && !device.availability) return 'never';
  if (device.availability === 'online') return 'online';
  return now - Date.parse(device.heard_at ?? '') < quietAfter ? 'heard' : 'quiet';
}

/** Alarms of a device that are not over. @param {import('./state.js').Device} device @param {Iterable<import('./state.js').Alarm>} alarms */
export function openAlarms(device, alarms) {
  return [...alarms].filter((a) => a.device === device.id && a.state !== 'cleared');
}

/**
 * The devices in service that a choice shows, those that need somebody first, then by name.
 * @param {import('./state.js').State} state
 * @param {{query: string, state: string}} choice
 * @param {number} now
 */
export function shownDevices(state, choice, now) {
  const alarms = [...state.alarms.values()];
  const query = choice.query.toLowerCase();
  const name = (/** @type {import('./state.js').Device} */ d) => (d.name || d.hardware).toLowerCase();
  return [...state.devices.values()].filter((d) => d.adopted)
    .map((device) => ({ device, state: deviceState(device, alarms, now), alarms: openAlarms(device, alarms) }))
    .filter((x) => choice.state === '' || (choice.state === 'alarm' ? x.alarms.length > 0 : x.state === choice.state))
    .filter((x) => query === '' || [x.device.name, x.device.model, x.device.unit_name, x.device.asset_name, x.device.hardware].some((text) => text?.toLowerCase().includes(query)))
    .sort((a, b) => Number(b.alarms.length > 0) - Number(a.alarms.length > 0) || order.indexOf(a.state) - order.indexOf(b.state) || (name(a.device) < name(b.device) ? -1 : 1));
}

/** The devices that nobody adopted, by name. @param {import('./state.js').State} state */
export function waitingDevices(state) {
  return [...state.devices.values()].filter((d) => !d.adopted).sort((a, b) => ((a.name || a.hardware) < (b.name || b.hardware) ? -1 : 1));
}
