// @ts-check
// What a rule would have done with what was measured, before it is saved.

import { h, replace } from '../dom.js';
import { stretches } from '../rule-form.js';
import { leaves, thresholdsOf } from '../rule-text.js';
import { plural, t } from '../strings.js';
import { clock } from '../time.js';
import { field } from './condition.js';
import { makeLineChart } from './line-chart.js';
import { press, problemBox } from './parts.js';
import { seriesName } from './readings.js';

const day = 86_400_000;
/** Alarms that are listed. */
const rowsMax = 50;
const pointsWanted = 400;
/** Devices that are looked at for one to show. */
const lookMax = 20;

/** @param {{app: import('../app.js').App, now: () => number, rule: () => any}} deps */
export function makeTrial(deps) {
  const { app } = deps;
  const past = h('select', { id: 'try-days' }, [7, 30, 90].map((count) => h('option', { value: count }, t('try.days_of', { count }))));
  past.value = '30';
  const out = h('div', { 'aria-live': 'polite' });
  const run = h('button', { type: 'button', class: 'button', onclick: () => press(run, attempt, (problem) => replace(out, problemBox(problem))) }, t('try.run'));
  const element = h('section', { class: 'drawer-part trial', 'aria-labelledby': 'try-head' }, h('h3', { id: 'try-head' }, t('try.title')), h('p', { class: 'quiet small' }, t('try.hint')),
    h('div', { class: 'try-tools' }, field(t('try.days'), past), run), out);
  return { element };

  async function attempt() {
    const rule = deps.rule();
    if (!rule.name) rule.name = t('rule.new');
    replace(out, h('p', { class: 'quiet' }, t('try.busy')));
    const got = await app.api.tryRule(app.state.building, rule, new Date(deps.now() - Number(past.value) * day).toISOString());
    if (got.devices === 0) return replace(out, h('p', { class: 'quiet' }, t('try.none')));
    const to = Date.parse(got.to);
    const devices = [...new Set(got.effects.map((/** @type {any} */ e) => e.device))];
    const rows = devices.flatMap((device) => stretches(got.effects, /** @type {string} */ (device), to).map((s) => ({ ...s, name: got.effects.find((/** @type {any} */ e) => e.device === device).device_name || device })))
      .sort((a, b) => b.from - a.from);
    const chart = h('div', {});
    replace(out,
      h('p', { class: 'try-result' }, h('strong', {}, t('try.result', { alarms: plural('try.alarms', got.alarms), tickets: plural('try.tickets', got.tickets), devices: plural('try.devices', got.devices) }))),
      got.span_seconds > 0 ? h('p', { class: 'quiet small' }, t('try.coarse', { minutes: Math.round(got.span_seconds / 60) })) : null,
      chooser(rule, got, devices, chart), chart,
      rows.length === 0 ? null : h('table', { class: 'table' }, h('thead', {}, h('tr', {}, ['device', 'began', 'ended', 'detail'].map((name) => h('th', { scope: 'col' }, t(`try.${name}`))))),
        h('tbody', {}, rows.slice(0, rowsMax).map((r) => h('tr', {}, h('td', {}, r.name), h('td', {}, clock(r.from, 0)), h('td', {}, r.open ? t('try.open') : clock(r.to, 0)), h('td', {}, r.detail))))),
      rows.length > rowsMax ? h('p', { class: 'quiet small' }, t('try.first', { count: rowsMax })) : null);
  }

  /** Which device's readings are drawn: at first the one with the most alarms. @param {any} rule @param {any} got @param {any[]} devices @param {any} place */
  function chooser(rule, got, devices, place) {
    const count = (/** @type {string} */ hardware) => got.effects.filter((/** @type {any} */ e) => e.device === hardware && e.what === 'raise').length;
    const known = [...app.state.devices.values()].filter((d) => d.adopted && (devices.length === 0 || devices.includes(d.hardware))).sort((a, b) => count(b.hardware) - count(a.hardware));
    if (known.length === 0) return null;
    const chart = makeLineChart(place);
    const select = h('select', { id: 'try-device', onchange: () => void show() }, known.map((d) => h('option', { value: d.id }, d.name || d.hardware)));
    void show();
    return devices.length === 0 ? null : field(t('try.device'), select);

    async function show() {
      // Where nothing would have happened, the first that has what the rule looks at is shown.
      for (const device of known.filter((d) => d.id === select.value || devices.length === 0).slice(0, lookMax)) if (await plot(device)) return;
      replace(place);
    }

    /** @param {import('../state.js').Device} device */
    async function plot(device) {
      const kinds = leaves(rule.when).map((leaf) => (leaf.threshold ?? leaf.is ?? leaf.rate ?? leaf.count ?? leaf.unusual)?.kind).filter(Boolean);
      try {
        const series = (await app.api.series(app.state.building, device.id)).items ?? [];
        const one = series.find((/** @type {any} */ s) => s.type !== 'text' && (kinds.length === 0 || kinds.includes(s.kind)));
        if (!one) return false;
        const got2 = await app.api.readings(app.state.building, device.id, { key: one.key, unit_of_measure: one.unit_of_measure, from: got.from, to: got.to, points: pointsWanted });
        chart.draw({ from: Date.parse(got.from), to: Date.parse(got.to), spanSeconds: got2.span_seconds, type: one.type, unit: one.unit_of_measure ?? '', name: `${device.name || device.hardware}: ${seriesName(one, series)}`, readings: got2.points,
          alarms: stretches(got.effects, device.hardware, Date.parse(got.to)).map((s) => ({ from: s.from, to: s.to, title: s.detail })), thresholds: thresholdsOf([{ ...rule, disabled: false }], device, one) });
      } catch (thrown) {
        replace(place, problemBox(thrown, () => void show()));
      }
      return true;
    }
  }
}
