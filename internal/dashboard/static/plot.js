// @ts-check
// What a chart of readings needs to know before it is drawn. Pure.
//
// A stretch in which nothing was measured is a gap, and is never bridged by a line.

/**
 * @typedef {{at: string, n: number, low: number, high: number, mean: number, last: number}} Reading
 * @typedef {{at: number, n: number, low: number, high: number, mean: number, last: number}} Point
 */

const minute = 60_000;
/** A pause is a gap only from here on: devices that speak on change rest a while. */
const gapMin = 10 * minute;
/** A pause this many times the usual one is a gap. */
const gapTimes = 4;

/** @param {Reading[]} list @param {number} spanSeconds @returns {Point[]} */
export function pointsOf(list, spanSeconds) {
  const middle = (spanSeconds * 1000) / 2; // what stands for a span is shown in its middle
  return list.map((p) => ({ ...p, at: Date.parse(p.at) + middle }));
}

/** How long a pause may be before it is a gap. @param {Point[]} points @param {number} spanSeconds */
export function gapOf(points, spanSeconds) {
  const pauses = points.slice(1).map((p, i) => p.at - points[i].at).sort((a, b) => a - b);
  const usual = pauses[Math.floor(pauses.length / 2)] ?? 0;
  return Math.max(gapMin, gapTimes * usual, spanSeconds * 1500);
}

/** Cuts points where nothing was measured for long. @param {Point[]} points @param {number} gap @returns {Point[][]} */
export function runs(points, gap) {
  /** @type {Point[][]} */
  const out = [];
  for (const [i, p] of points.entries()) {
    if (i === 0 || p.at - points[i - 1].at > gap) out.push([]);
    out[out.length - 1].push(p);
  }
  return out;
}

/**
 * The lowest and highest of what is shown, with some air; thresholds count where they are
 * near enough not to flatten the line.
 * @param {Point[]} points
 * @param {number[]} thresholds
 */
export function reach(points, thresholds) {
  let low = Math.min(...points.map((p) => p.low));
  let high = Math.max(...points.map((p) => p.high));
  const width = Math.max(high - low, Math.abs(high) * 0.05, 0.5);
  for (const at of thresholds) {
    if (at < low && low - at <= 3 * width) low = at;
    if (at > high && at - high <= 3 * width) high = at;
  }
  const air = Math.max((high - low) * 0.08, width * 0.08);
  return { low: low - air, high: high + air };
}

/** Round numbers between two. @param {number} low @param {number} high @param {number} count */
export function ticks(low, high, count) {
  const rough = (high - low) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) ?? 10 * power;
  const out = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) out.push(Number((i * step).toPrecision(12)));
  return out;
}

/** Local hours or days between two times, at most so many. @param {number} from @param {number} to @param {number} count */
export function timeTicks(from, to, count) {
  const hours = [1, 2, 3, 6, 12, 24, 48, 120, 168].find((h) => (to - from) / (h * 60 * minute) <= count) ?? 168;
  const d = new Date(from);
  const days = hours / 24;
  const out = [];
  if (hours < 24) {
    let at = new Date(d.getFullYear(), d.getMonth(), d.getDate(), Math.ceil((d.getHours() + 1) / hours) * hours);
    for (; at.getTime() <= to; at = new Date(at.getFullYear(), at.getMonth(), at.getDate(), at.getHours() + hours)) out.push(at.getTime());
    return out;
  }
  let at = new Date(d.getFullYear(), d.getMonth(), d.getDate() + 1);
  for (; at.getTime() <= to; at = new Date(at.getFullYear(), at.getMonth(), at.getDate() + days)) out.push(at.getTime());
  return out;
}

/** The index of the point that is nearest to a time. @param {Point[]} points @param {number} at */
export function nearest(points, at) {
  let best = 0;
  for (const [i, p] of points.entries()) if (Math.abs(p.at - at) < Math.abs(points[best].at - at)) best = i;
  return best;
}

/** The part of a stretch of time that is shown; null where none is. @param {number} from @param {number} to @param {{from: number, to: number}} shown */
export function clip(from, to, shown) {
  const part = { from: Math.max(from, shown.from), to: Math.min(to, shown.to) };
  return part.from < part.to ? part : null;
}

/** A number with as many digits as people read. @param {number} value */
export function number(value) {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString([], { maximumFractionDigits: digits });
}
