// @ts-check
// One rule: what it says, to be changed by managers, and what it would have done.

import { h, replace } from '../dom.js';
import { fromThrown } from '../problem.js';
import { idOf } from '../rule-form.js';
import { definitionOf, sentence } from '../rule-text.js';
import { label, t, valuesOf } from '../strings.js';
import { check, field, makeConditions } from './condition.js';
import { nameOf, press, problemBox } from './parts.js';
import { ask, makePanel } from './panel.js';
import { showDone, showProblem } from './notices.js';
import { makeTimes } from './schedule.js';
import { makeTrial } from './trial.js';

/** @type {any} */
const blank = { name: '', cause: '', severity: 'normal', category: 'other', ticket: true, when: { threshold: { kind: 'temperature', unit: '°C', above: 30, for: '10m' } }, clear_after: '5m' };

/** @param {string} group */
function choices(group) {
  return valuesOf(group).map((value) => h('option', { value }, label(group, value)));
}

/** @param {{app: import('../app.js').App, now: () => number, closed: () => void}} deps */
export function makeRule(deps) {
  const { app } = deps;
  /** @type {string|null} */
  let shown = null;
  const panel = makePanel({ name: 'rule', closed: () => {
    shown = null;
    deps.closed();
  } });
  return { open, close: panel.close, draw() {} };

  /** @param {string} id empty for a new one */
  async function open(id) {
    if (shown === id) return;
    shown = id;
    panel.drawHead(t('app.loading'));
    replace(panel.body, h('p', { class: 'quiet', role: 'status' }, t('app.loading')));
    panel.open();
    try {
      // What is changed here must have been seen as it is now.
      const rules = (await app.api.rules(app.state.building)).items ?? [];
      if (shown !== id) return;
      const rule = id === '' ? blank : rules.find((/** @type {any} */ r) => r.id === id);
      if (rule) fill(rule, rules);
      else {
        panel.drawHead(t('rule.gone'));
        replace(panel.body, h('p', { class: 'quiet' }, t('rule.gone')));
      }
    } catch (thrown) {
      if (shown === id) replace(panel.body, problemBox(fromThrown(thrown), () => {
        shown = null;
        void open(id);
      }));
    }
  }

  /** @param {any} rule @param {any[]} rules */
  function fill(rule, rules) {
    panel.drawHead(rule.name || t('rule.new'), [h('span', { class: `badge severity-${rule.severity}` }, label('severity', rule.severity)), rule.disabled ? h('span', { class: 'badge' }, t('rules.off')) : null]);
    const form = makeForm(rule);
    const status = h('div', { role: 'status' });
    const save = h('button', { type: 'submit', class: 'button primary' }, t('rule.save'));
    const back = rule.changed ? h('button', { type: 'button', class: 'button', onclick: () => confirmBack(rule) }, t(rule.shipped ? 'rule.reset' : 'rule.delete')) : null;
    const body = h('fieldset', { class: 'rule-fields', disabled: !app.manages }, form.elements);
    const trial = makeTrial({ app, now: deps.now, rule: () => form.value() });
    replace(panel.body, rule.id ? h('p', {}, sentence(rule.when)) : null, app.manages ? null : h('p', { class: 'notice' }, t('rule.reading')),
      h('form', { class: 'rule-form', onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        void press(save, () => send(rule, form.value(), rules), (problem) => replace(status, problemBox(problem)));
      } }, body, app.manages ? h('div', { class: 'actions' }, save, back, status) : null), trial.element);
  }

  /** @param {any} rule */
  function makeForm(rule) {
    const name = h('input', { type: 'text', id: 'rule-name', maxlength: 200, required: true, value: rule.name });
    const cause = h('input', { type: 'text', id: 'rule-cause', maxlength: 64, required: true, value: rule.cause });
    const severity = h('select', { id: 'rule-severity' }, choices('severity'));
    const category = h('select', { id: 'rule-category' }, choices('category'));
    const ticket = check(t('rule.ticket'), rule.ticket);
    const on = check(t('rule.on'), !rule.disabled);
    const clearAfter = h('input', { type: 'text', id: 'rule-clear-after', maxlength: 40, value: rule.clear_after ?? '' });
    severity.value = rule.severity;
    category.value = rule.category;
    const devices = makeWhich(app, rule);
    const across = h('select', { id: 'rule-across' }, ['', 'unit'].map((name) => h('option', { value: name }, t(`rule.across_${name || 'device'}`))));
    across.value = rule.across ?? '';
    const conditions = makeConditions(rule.when);
    const times = makeTimes(rule.times);
    const elements = [
      h('div', { class: 'grid' }, field(t('rule.name'), name), field(t('rule.severity'), severity), field(t('rule.category'), category), rule.shipped ? null : field(t('rule.cause'), cause, t('rule.cause_hint'))),
      h('div', { class: 'checks' }, on.element, ticket.element), conditions.element,
      field(t('rule.clear_after'), clearAfter, t('rule.duration_hint')), devices.element, field(t('rule.across'), across, t('rule.across_hint')), times.element];
    return { elements, value: () => {
      /** @type {any} */
      const out = { ...definitionOf(rule), name: name.value.trim(), cause: cause.value.trim() || idOf(name.value, []), severity: severity.value, category: category.value, ticket: ticket.input.checked, when: conditions.value(), ...devices.value() };
      for (const key of ['disabled', 'clear_after', 'times', 'across']) delete out[key];
      if (across.value) out.across = across.value;
      if (!on.input.checked) out.disabled = true;
      if (clearAfter.value.trim()) out.clear_after = clearAfter.value.trim();
      const when = times.value();
      return when ? { ...out, times: when } : out;
    } };
  }

  /** @param {any} rule @param {any} definition @param {any[]} rules */
  async function send(rule, definition, rules) {
    const id = rule.id ?? idOf(definition.name, rules.map((r) => r.id));
    await app.api.saveRule(app.state.building, id, rule.seen ?? '', definition);
    showDone(t('rule.saved', { name: definition.name }));
    panel.close();
    await app.loadRules();
  }

  /** @param {any} rule */
  function confirmBack(rule) {
    const way = rule.shipped ? 'reset' : 'delete';
    const button = ask({ title: t(`rule.${way}_title`, { name: rule.name }), text: t(`rule.${way}_text`), confirm: t(`rule.${way}`), danger: true, act: (close) => press(button, async () => {
      await app.api.resetRule(app.state.building, rule.id);
      close();
      panel.close();
      showDone(t(rule.shipped ? 'rule.reset_done' : 'rule.deleted', { name: rule.name }));
      await app.loadRules();
    }, showProblem) });
  }
}

/** All devices, or some. Units and devices that are left out stay as they are. @param {import('../app.js').App} app @param {any} rule */
function makeWhich(app, rule) {
  const chosen = new Set(rule.devices ?? []);
  const choice = h('select', { id: 'rule-devices', onchange: () => (list.hidden = choice.value === 'all') }, ['all', 'some'].map((name) => h('option', { value: name }, t(`rule.devices_${name}`))));
  choice.value = chosen.size > 0 ? 'some' : 'all';
  const known = [...app.state.devices.values()].filter((d) => d.adopted || chosen.has(d.hardware));
  const boxes = known.map((d) => ({ hardware: d.hardware, ...check(`${nameOf(d)}${d.unit_name ? ` (${d.unit_name})` : ''}`, chosen.has(d.hardware)) }));
  const list = h('div', { class: 'checks which', hidden: choice.value === 'all' }, boxes.map((b) => b.element));
  const others = [...chosen].filter((hardware) => !known.some((d) => d.hardware === hardware));
  return { element: h('div', {}, field(t('rule.devices'), choice), list), value: () => {
    const devices = choice.value === 'all' ? [] : [...boxes.filter((b) => b.input.checked).map((b) => b.hardware), ...others];
    return { devices: devices.length > 0 ? devices : undefined };
  } };
}
