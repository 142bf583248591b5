// @ts-check
// What a device measures: its present values, and the chart of one of them.

import { h, keyed, replace } from '../dom.js';
import { fromThrown } from '../problem.js';
import { number } from '../plot.js';
import { label, t } from '../strings.js';
import { makeLineChart } from './line-chart.js';
import { problemBox, time } from './parts.js';
import { thresholdsOf } from '../rule-text.js';

const day = 86_400_000;
const spans = /** @type {const} */ ({ day, week: 7 * day, month: 30 * day });
/** Points of a chart: about one for each pixel of a phone. */
const pointsWanted = 400;
/** Values that tell of the device and not of the building come last. */
const lastKinds = ['battery', 'battery_low', 'voltage', 'link_quality', 'update', 'availability', 'other'];

const firstKinds = ['leak', 'smoke', 'gas', 'carbon_monoxide', 'temperature', 'machine_temperature'];

/** A value for people. @param {any} s */
export function valueOf(s) {
  if (!s.at) return t('app.unknown');
  if (s.type === 'bool') return s.last ? t('readings.yes') : t('readings.no');
  if (s.type === 'text') return s.text ?? '';
  return s.unit_of_measure ? `${number(s.last)} ${s.unit_of_measure}` : number(s.last);
}

/** What a series is called. @param {any} s @param {any[]} all */
export function seriesName(s, all) {
  if (!s.kind || s.kind === 'other') return s.key;
  const name = label('kind', s.kind);
  return all.filter((x) => x.kind === s.kind).length > 1 ? `${name} (${s.key})` : name;
}

/**
 * @param {{app: import('../app.js').App, now: () => number, device: import('../state.js').Device, alarms: () => import('../state.js').Alarm[]}} deps
 */
export function makeReadings(deps) {
  const { app } = deps;
  /** @type {any[]} */
  let series = [];
  let chosen = '';
  /** @type {keyof typeof spans} */
  let span = 'day';
  let asked = 0;
  let readAt = '';
  const notice = h('div', { class: 'quiet', role: 'status' }, t('app.loading'));
  const list = h('ul', { class: 'values' });
  const title = h('h4', { class: 'plot-title' });
  const picture = h('div', {});
  const chart = makeLineChart(picture);
  const segments = Object.keys(spans).map((name) => h('label', { class: 'segment' },
    h('input', { type: 'radio', name: 'readings-span', value: name, checked: name === span, onchange: () => {
      span = /** @type {keyof typeof spans} */ (name);
      void loadChart();
    } }), h('span', {}, t(`readings.span.${name}`))));
  const figure = h('div', { class: 'plot-figure', hidden: true },
    h('div', { class: 'plot-head' }, title, h('fieldset', { class: 'segments' }, h('legend', { class: 'unseen' }, t('readings.span')), segments)), picture);
  const element = h('section', { class: 'drawer-part', 'aria-labelledby': 'values-head' }, h('h3', { id: 'values-head' }, t('device.values')), notice, list, figure);
  return { element, load, series: () => series };

  /** Reads the present values, and the chart where they moved. */
  async function load() {
    try {
      series = ((await app.api.series(app.state.building, deps.device.id)).items ?? []).sort((/** @type {any} */ a, /** @type {any} */ b) => rank(a) - rank(b) || (a.key < b.key ? -1 : 1));
    } catch (thrown) {
      return replace(notice, problemBox(fromThrown(thrown), () => void load()));
    }
    replace(notice, series.length > 0 ? null : nothing());
    const shown = series.filter((s) => s.type !== 'text');
    if (!shown.some((s) => id(s) === chosen)) chosen = shown[0] ? id(shown[0]) : '';
    draw();
    figure.hidden = chosen === '';
    const at = series.find((s) => id(s) === chosen)?.at ?? '';
    if (chosen !== '' && at !== readAt) await loadChart();
  }

  function nothing() {
    if (!deps.device.adopted) return t('device.values_waiting');
    return t(app.hearing ? 'device.values_empty' : 'device.values_cloud');
  }

  function draw() {
    keyed(list, series, id, (s) => [s.at, s.last, s.text, id(s) === chosen], (s) => {
      const name = seriesName(s, series);
      const facts = [h('span', { class: 'value-name' }, name), h('strong', { class: 'value' }, valueOf(s)), h('span', { class: 'quiet small' }, s.at ? time(s.at, deps.now(), 'age') : '')];
      if (s.type === 'text') return h('li', { class: 'value-row' }, facts);
      return h('li', {}, h('button', { type: 'button', class: 'value-row', data: { focus: 'show' }, 'aria-pressed': String(id(s) === chosen), title: t('device.show', { name }),
        onclick: () => {
          chosen = id(s);
          draw();
          void loadChart();
        } }, facts));
    });
  }

  async function loadChart() {
    const one = series.find((s) => id(s) === chosen);
    if (!one) return;
    const number = ++asked;
    const to = deps.now();
    const from = to - spans[span];
    replace(title, t('readings.chart', { name: seriesName(one, series), span: t(`readings.span.${span}`) }));
    picture.setAttribute('aria-busy', 'true');
    try {
      const got = await app.api.readings(app.state.building, deps.device.id, { key: one.key, unit_of_measure: one.unit_of_measure, from: new Date(from).toISOString(), to: new Date(to).toISOString(), points: pointsWanted });
      if (number !== asked) return;
      readAt = one.at ?? '';
      chart.draw({ from, to, spanSeconds: got.span_seconds, type: one.type, unit: one.unit_of_measure ?? '', name: seriesName(one, series), readings: got.points,
        alarms: deps.alarms().map((a) => ({ from: Date.parse(a.raised_at ?? ''), to: a.cleared_at ? Date.parse(a.cleared_at) : to, title: label('cause', a.cause) })),
        thresholds: thresholdsOf([...app.state.rules.values()], deps.device, one) });
    } catch (thrown) {
      if (number === asked) replace(picture, problemBox(fromThrown(thrown), () => void loadChart()));
    } finally {
      if (number === asked) picture.removeAttribute('aria-busy');
    }
  }
}

/** @param {any} s */
function id(s) {
  return JSON.stringify([s.key, s.unit_of_measure ?? '', s.type]);
}

/** What is dangerous comes first and how warm it is, then numbers. @param {any} s */
function rank(s) {
  if (firstKinds.includes(s.kind)) return 0;
  if (lastKinds.includes(s.kind)) return 3;
  return s.type === 'number' ? 1 : 2;
}
