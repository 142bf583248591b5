// @ts-check
// The line to the server as a state machine. Pure: an event gives the next state and what
// to do. socket.js does it.
//
//             start             ready
//    idle ───────────▶ connecting ───▶ live ⇄ probing   (silent; asked whether it lives)
//     ▲                 ▲      │         │      │
//     │ stop      timer │ lost │         │ lost │ lost, timer
//     │                 │      ▼         ▼      │
//   (any)               └──── waiting ◀──┴──────┘
//                      online ▲ │ offline
//                             │ ▼
//                            offline       (the device says that it has no network)

/** The first delay; each further one doubles up to the last. */
export const delayFirst = 500;
export const delayMax = 30_000;
/** A server that accepts the line and says nothing for this long is not there. */
export const readyMax = 10_000;
/** A line that was silent for this long is asked whether it lives. */
export const silenceMax = 30_000;
/** What the answer may take. */
export const probeMax = 10_000;

/**
 * @typedef {'idle'|'connecting'|'live'|'probing'|'waiting'|'offline'} Name
 * @typedef {'start'|'ready'|'heard'|'lost'|'timer'|'online'|'offline'|'stop'} EventName
 * @typedef {{name: Name, attempt: number, liveAt: number|null}} Line
 * @typedef {{do: 'open'}|{do: 'close'}|{do: 'probe'}|{do: 'timer', after: number}|{do: 'clear'}} Effect
 * @typedef {{line: Line, effects: Effect[]}} Step
 * @typedef {{at: number, random: number}} Facts
 */

/** @type {Line} */
export const idle = Object.freeze({ name: 'idle', attempt: 0, liveAt: null });

/**
 * The delay before an attempt: half fixed and half by chance, so that a thousand pages do
 * not return at once after an outage.
 * @param {number} attempt from 0
 * @param {number} random in [0, 1)
 */
export function delay(attempt, random) {
  const full = Math.min(delayMax, delayFirst * 2 ** Math.min(attempt, 16));
  return Math.round(full / 2 + (full / 2) * random);
}

/** @param {Line} line @returns {Step} */
const stay = (line) => ({ line, effects: [] });

/** @param {Line} line @returns {Step} */
const open = (line) => ({ line: { ...line, name: 'connecting' }, effects: [{ do: 'clear' }, { do: 'open' }, { do: 'timer', after: readyMax }] });

/** @param {Line} line @param {Facts} facts @returns {Step} */
const wait = (line, facts) => ({
  line: { ...line, name: 'waiting', attempt: line.attempt + 1 },
  effects: [{ do: 'clear' }, { do: 'close' }, { do: 'timer', after: delay(line.attempt, facts.random) }],
});

/** @param {Line} line @param {Facts} facts @returns {Step} */
const listen = (line, facts) => ({
  line: { name: 'live', attempt: 0, liveAt: facts.at },
  effects: [{ do: 'clear' }, { do: 'timer', after: silenceMax }],
});

/** @param {Line} line @returns {Step} */
const probe = (line) => ({ line: { ...line, name: 'probing' }, effects: [{ do: 'clear' }, { do: 'probe' }, { do: 'timer', after: probeMax }] });

/** @param {Line} line @returns {Step} */
const rest = (line) => ({ line: { ...line, name: 'offline', attempt: 0 }, effects: [{ do: 'clear' }, { do: 'close' }] });

/** @returns {Step} */
const end = () => ({ line: idle, effects: [{ do: 'clear' }, { do: 'close' }] });

/** @typedef {Record<EventName, (line: Line, facts: Facts) => Step>} Row */

/** Every state answers every event. @type {Record<Name, Row>} */
export const table = {
  idle: { start: open, ready: stay, heard: stay, lost: stay, timer: stay, online: stay, offline: stay, stop: stay },
  connecting: { start: stay, ready: listen, heard: stay, lost: wait, timer: wait, online: stay, offline: rest, stop: end },
  live: { start: stay, ready: listen, heard: listen, lost: wait, timer: probe, online: probe, offline: rest, stop: end },
  probing: { start: stay, ready: listen, heard: listen, lost: wait, timer: wait, online: stay, offline: rest, stop: end },
  waiting: { start: stay, ready: stay, heard: stay, lost: stay, timer: open, online: open, offline: rest, stop: end },
  offline: { start: stay, ready: stay, heard: stay, lost: stay, timer: stay, online: open, offline: stay, stop: end },
};

/** @param {Line} line @param {EventName} event @param {Facts} facts */
export function step(line, event, facts) {
  return table[line.name][event](line, facts);
}
