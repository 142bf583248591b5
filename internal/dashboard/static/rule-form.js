// @ts-check
// Between a condition and the fields of a form. Pure.
//
// What the form cannot show (parts within parts, "not") is kept as it is.

/** The types of conditions that the form knows, with the fields of each. @type {Record<string, string[]>} */
export const fieldsOf = {
  above: ['kind', 'limit', 'unit', 'clear', 'for'],
  below: ['kind', 'limit', 'unit', 'clear', 'for'],
  yes: ['kind', 'for'],
  no: ['kind', 'for'],
  rises: ['kind', 'by', 'unit', 'within'],
  falls: ['kind', 'by', 'unit', 'within'],
  count: ['kind', 'more_than', 'within'],
  unusual: ['kind', 'times_spread', 'floor', 'unit', 'for', 'memory'],
  silence: ['after'],
};

/** Fields that hold a number. */
export const numbers = ['limit', 'clear', 'by', 'more_than', 'times_spread', 'floor'];

/** What a new condition begins with. @type {Record<string, string>} */
export const beginnings = { kind: 'temperature', within: '10m', memory: '14d', more_than: '10', times_spread: '4', floor: '1' };

/** @typedef {{type: string, values: Record<string, string>, kept?: any}} Row */

/** @param {any} when @returns {{join: 'all'|'any', rows: Row[]}} */
export function rowsOf(when) {
  if (when.all?.length) return { join: 'all', rows: when.all.map(rowOf) };
  if (when.any?.length) return { join: 'any', rows: when.any.map(rowOf) };
  return { join: 'all', rows: [rowOf(when)] };
}

/** @param {any} leaf @returns {Row} */
function rowOf(leaf) {
  const { is, threshold, rate, count, silence, unusual } = leaf;
  const row = (/** @type {string} */ type, /** @type {Record<string, any>} */ values) => ({ type, values: Object.fromEntries(Object.entries(values).map(([name, v]) => [name, v === undefined || v === '0s' ? '' : String(v)])) });
  if (threshold) return row(threshold.above === undefined ? 'below' : 'above', { kind: threshold.kind, limit: threshold.above ?? threshold.below, unit: threshold.unit, clear: threshold.clear, for: threshold.for });
  if (is) return row(is.value ? 'yes' : 'no', { kind: is.kind, for: is.for });
  if (rate) return row(rate.rises ? 'rises' : 'falls', { kind: rate.kind, by: rate.rises || rate.falls, unit: rate.unit, within: rate.within });
  if (count?.value) return row('count', { kind: count.kind, more_than: count.more_than, within: count.within });
  if (unusual) return row('unusual', { kind: unusual.kind, times_spread: unusual.times, floor: unusual.floor, unit: unusual.unit, for: unusual.for, memory: unusual.memory });
  if (silence) return row('silence', { after: silence.after });
  return { type: 'kept', values: {}, kept: leaf };
}

/** @param {'all'|'any'} join @param {Row[]} rows */
export function whenOf(join, rows) {
  const leaves = rows.map(leafOf);
  return leaves.length === 1 ? leaves[0] : { [join]: leaves };
}

/** @param {Row} row */
function leafOf(row) {
  if (row.type === 'kept') return row.kept;
  const v = row.values;
  const set = (/** @type {Record<string, any>} */ all) => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined && value !== ''));
  const n = (/** @type {string} */ name) => (v[name] === undefined || v[name].trim() === '' ? undefined : Number(v[name]));
  switch (row.type) {
    case 'above':
    case 'below':
      return { threshold: set({ kind: v.kind, unit: v.unit?.trim(), [row.type]: n('limit'), clear: n('clear'), for: v.for?.trim() }) };
    case 'yes':
    case 'no':
      return { is: set({ kind: v.kind, value: row.type === 'yes', for: v.for?.trim() }) };
    case 'rises':
    case 'falls':
      return { rate: set({ kind: v.kind, unit: v.unit?.trim(), [row.type]: n('by'), within: v.within?.trim() }) };
    case 'count':
      return { count: set({ kind: v.kind, value: true, more_than: n('more_than'), within: v.within?.trim() }) };
    case 'unusual':
      return { unusual: set({ kind: v.kind, unit: v.unit?.trim(), times: n('times_spread'), floor: n('floor'), for: v.for?.trim(), memory: v.memory?.trim() }) };
    default:
      return { silence: set({ after: v.after?.trim() }) };
  }
}

/** An id for a rule that is made here. @param {string} name @param {string[]} taken */
export function idOf(name, taken) {
  const base = name.toLowerCase().normalize('NFKD').replace(/[^a-z0-9]+/g, '_').replace(/^_+|_+$/g, '').slice(0, 60) || 'rule';
  for (let i = 1; ; i++) {
    const id = i === 1 ? base : `${base}_${i}`;
    if (!taken.includes(id)) return id;
  }
}

/** Alarms as stretches of time, of one device. @param {any[]} effects @param {string} device @param {number} to */
export function stretches(effects, device, to) {
  /** @type {{from: number, to: number, detail: string, open: boolean}[]} */
  const out = [];
  for (const e of effects.filter((x) => x.device === device)) {
    const at = Date.parse(e.at);
    const last = out[out.length - 1];
    if (e.what === 'raise') out.push({ from: at, to, detail: e.detail ?? '', open: true });
    else if (last?.open) Object.assign(last, { to: at, open: false });
  }
  return out;
}
