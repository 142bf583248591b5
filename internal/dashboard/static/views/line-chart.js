// @ts-check
// A line of readings with its band, gaps, alarms and thresholds, drawn as SVG; and the one
// point that a pointer or the keyboard is at, in words.

import { h, replace, svg } from '../dom.js';
import { clip, gapOf, nearest, number, pointsOf, reach, runs, ticks, timeTicks } from '../plot.js';
import { plural, t } from '../strings.js';
import { clock, shortDay } from '../time.js';

const height = 220;
const left = 44;
const right = 10;
const top = 10;
const bottom = 24;
const day = 86_400_000;
/** Rows of the table beside the chart. */
const rowsMax = 200;

/**
 * @typedef {{from: number, to: number, spanSeconds: number, type: string, unit: string, name: string, readings: import('../plot.js').Reading[],
 *   alarms: {from: number, to: number, title: string}[], thresholds: {value: number, title: string}[]}} Chart
 */

/** @param {any} place */
export function makeLineChart(place) {
  /** @type {Chart|null} */
  let chart = null;
  /** @type {import('../plot.js').Point[]} */
  let points = [];
  let drawnAt = 0;
  const readout = h('output', { class: 'readout small', for: 'chart-cursor' });
  const cursor = h('input', { type: 'range', id: 'chart-cursor', class: 'chart-cursor', min: 0, step: 1, 'aria-label': t('readings.cursor'), oninput: () => look(Number(cursor.value)) });
  const picture = h('div', { class: 'plot' });
  const legend = h('p', { class: 'legend small quiet' });
  const table = h('div', {});
  const details = h('details', { class: 'plot-table', ontoggle: () => drawTable() }, h('summary', {}, t('readings.table')), table);
  new ResizeObserver(() => chart && picture.clientWidth !== drawnAt && drawPicture()).observe(picture);
  return { draw };

  /** @param {Chart} next */
  function draw(next) {
    chart = next;
    points = pointsOf(next.readings, next.spanSeconds);
    if (points.length === 0) return replace(place, h('p', { class: 'quiet', role: 'status' }, t('readings.empty')));
    if (!picture.isConnected) replace(place, picture, cursor, readout, legend, details);
    cursor.max = points.length - 1;
    cursor.value = points.length - 1;
    drawPicture();
    look(points.length - 1);
    drawTable();
  }

  /** @param {number} value */
  function shown(value) {
    if (chart?.type === 'bool') return value >= 0.5 ? t('readings.yes') : t('readings.no');
    return chart?.unit ? `${number(value)} ${chart.unit}` : number(value);
  }

  function drawPicture() {
    if (!chart) return;
    const next = chart;
    drawnAt = picture.clientWidth;
    const width = Math.max(drawnAt, 240);
    const bool = chart.type === 'bool';
    const range = bool ? { low: -0.1, high: 1.1 } : reach(points, chart.thresholds.map((x) => x.value));
    const x = (/** @type {number} */ at) => left + ((at - next.from) / (next.to - next.from)) * (width - left - right);
    const y = (/** @type {number} */ v) => top + ((range.high - v) / (range.high - range.low)) * (height - top - bottom);
    const lines = chart.thresholds.filter((th) => th.value > range.low && th.value < range.high);
    const summary = t('readings.summary', { count: points.length, from: clock(points[0].at, 0), to: clock(points[points.length - 1].at, 0),
      low: shown(Math.min(...points.map((p) => p.low))), high: shown(Math.max(...points.map((p) => p.high))), last: shown(points[points.length - 1].last) });
    replace(picture, svg('svg', { viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-label': `${chart.name}: ${summary}`, onpointermove: follow, onpointerdown: follow },
      shade(x, width), grid(range, x, y, width, bool), band(x, y), trace(x, y, bool),
      lines.map((th) => svg('g', { class: 'threshold' }, svg('line', { x1: left, x2: width - right, y1: y(th.value), y2: y(th.value) }), svg('text', { x: left + 6, y: y(th.value) - 5 }, th.title),
        svg('title', {}, t('readings.threshold', { rule: th.title, value: shown(th.value) })))),
      svg('g', { class: 'cursor' }, svg('line', { y1: top, y2: height - bottom }), svg('circle', { r: 4 }))));
    picture.place = { x, y };
    replace(legend, [[true, 'line', chart.name], [banded(), 'band', t('readings.legend_band')], [chart.alarms.some((a) => clip(a.from, a.to, next)), 'alarm', t('readings.legend_alarm')],
      [lines.length > 0, 'rule', t('readings.legend_rule')]].filter(([yes]) => yes).map(([, kind, text]) => h('span', { class: `key key-${kind}` }, text)));
    mark(Number(cursor.value));
  }

  /** Alarms, as what they lasted. @param {(at: number) => number} x @param {number} width */
  function shade(x, width) {
    return chart?.alarms.map((a) => {
      const part = clip(a.from, a.to, chart ?? a);
      if (!part) return null;
      const wide = Math.max(x(part.to) - x(part.from), 2);
      return svg('rect', { class: 'alarm-window', x: Math.min(x(part.from), width - right - wide), y: top, width: wide, height: height - top - bottom }, svg('title', {}, a.title));
    });
  }

  /** @param {{low: number, high: number}} range @param {(at: number) => number} x @param {(v: number) => number} y @param {number} width @param {boolean} bool */
  function grid(range, x, y, width, bool) {
    if (!chart) return null;
    const long = chart.to - chart.from > 2 * day;
    const values = bool ? [0, 1] : ticks(range.low, range.high, 4);
    return [
      values.map((v) => svg('g', { class: 'tick' }, svg('line', { x1: left, x2: width - right, y1: y(v), y2: y(v) }),
        svg('text', { x: left - 6, y: y(v) + 4, 'text-anchor': 'end' }, bool ? shown(v) : number(v)))),
      timeTicks(chart.from, chart.to, Math.max(2, Math.floor(width / 75))).map((at) => svg('g', { class: 'tick' }, svg('line', { x1: x(at), x2: x(at), y1: height - bottom, y2: height - bottom + 4 }),
        svg('text', { x: x(at), y: height - 6, 'text-anchor': x(at) > width - 40 ? 'end' : 'middle' }, long ? shortDay(at) : clock(at, at)))),
    ];
  }

  /** Lowest to highest. @param {(at: number) => number} x @param {(v: number) => number} y */
  function band(x, y) {
    if (!banded()) return null;
    return parts().filter((run) => run.length > 1 && run.some((p) => p.high > p.low)).map((run) => svg('path', { class: 'band',
      d: `M${run.map((p) => `${x(p.at)},${y(p.high)}`).join('L')}L${[...run].reverse().map((p) => `${x(p.at)},${y(p.low)}`).join('L')}Z` }));
  }

  /** A yes-or-no value holds until the next; a number is joined to the next. @param {(at: number) => number} x @param {(v: number) => number} y @param {boolean} bool */
  function trace(x, y, bool) {
    return parts().map((run) => {
      if (run.length === 1 && !bool) return svg('circle', { class: 'dot', cx: x(run[0].at), cy: y(run[0].mean), r: 2 });
      const d = run.map((p, i) => {
        if (!bool) return `${i ? 'L' : 'M'}${x(p.at)},${y(p.mean)}`;
        const v = p.high > p.last ? p.high : p.last;
        return `${i ? `H${x(p.at)}V${y(v)}` : `M${x(p.at)},${y(v)}`}${v === p.last ? '' : `V${y(p.last)}`}`;
      }).join('');
      return svg('path', { class: 'trace', d: bool && chart ? `${d}H${x(chart.to)}` : d });
    });
  }

  function banded() {
    return chart?.type !== 'bool' && points.some((p) => p.high > p.low);
  }

  function parts() {
    return chart?.type === 'bool' ? [points] : runs(points, gapOf(points, chart?.spanSeconds ?? 0));
  }

  /** @param {any} event */
  function follow(event) {
    if (!chart) return;
    const box = picture.getBoundingClientRect();
    const at = chart.from + ((event.clientX - box.left - left) / (box.width - left - right)) * (chart.to - chart.from);
    look(nearest(points, at));
  }

  /** @param {number} i */
  function look(i) {
    const p = points[i];
    if (!p) return;
    cursor.value = i;
    const when = clock(p.at, 0);
    const text = p.n > 1 && chart?.type !== 'bool' ? t('readings.point_of', { when, value: shown(p.mean), low: shown(p.low), high: shown(p.high), count: p.n }) : t('readings.point', { when, value: shown(p.last) });
    cursor.setAttribute('aria-valuetext', text);
    readout.textContent = text;
    mark(i);
  }

  /** @param {number} i */
  function mark(i) {
    const group = picture.querySelector('.cursor');
    const p = points[i];
    if (!group || !p) return;
    const { x, y } = picture.place;
    for (const name of ['x1', 'x2']) group.firstChild.setAttribute(name, x(p.at));
    group.lastChild.setAttribute('cx', x(p.at));
    group.lastChild.setAttribute('cy', y(chart?.type === 'bool' ? p.last : p.mean));
  }

  function drawTable() {
    if (!details.open) return replace(table);
    const rows = points.slice(-rowsMax).reverse();
    const many = points.some((p) => p.n > 1);
    replace(table, points.length > rowsMax ? h('p', { class: 'quiet small' }, t('readings.table_part', { count: rowsMax })) : null,
      h('table', { class: 'table' },
        h('thead', {}, h('tr', {}, [t('readings.when'), t('readings.value'), ...(many ? [t('readings.low'), t('readings.high')] : [])].map((text) => h('th', { scope: 'col' }, text)))),
        h('tbody', {}, rows.map((p) => h('tr', {}, h('td', {}, clock(p.at, 0)), h('td', {}, shown(many ? p.mean : p.last)), many ? [h('td', {}, shown(p.low)), h('td', {}, shown(p.high))] : null)))));
  }
}
