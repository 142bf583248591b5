// @ts-check
// The rules of the building: those that were shipped, changed ones, and those made here.

import { h, keyed, replace } from '../dom.js';
import { sentence } from '../rule-text.js';
import { listOf } from '../state.js';
import { label, plural, t } from '../strings.js';
import { listNotice } from './parts.js';

const severities = ['emergency', 'urgent', 'normal', 'low'];

/**
 * @param {HTMLElement} place
 * @param {{app: import('../app.js').App}} deps
 */
export function makeRules(place, deps) {
  const { app } = deps;
  const list = h('ul', { class: 'rows' });
  const notice = h('div', { class: 'notice-place' });
  const make = h('a', { class: 'button', href: '#rule/' }, t('rules.new'));
  replace(place, h('div', { class: 'section-head' }, h('h2', { id: 'rules-title' }, t('rules.title')), make),
    h('p', { class: 'quiet small hint' }, t('rules.hint')), notice, list);
  return { draw };

  function draw() {
    make.hidden = !app.manages;
    const current = listOf(app.state, 'rules');
    const items = [...app.state.rules.values()].sort((a, b) => severities.indexOf(a.severity) - severities.indexOf(b.severity) || (a.name < b.name ? -1 : 1));
    keyed(list, items, (r) => r.id, (r) => [r], row);
    if (!current.known) list.keyed = null;
    const form = [current.status, current.known, items.length === 0].join();
    if (notice.dataset.form === form) return;
    notice.dataset.form = form;
    replace(notice, listNotice(current, items.length === 0, () => void app.loadRules(), t('rules.empty')));
  }
}

/** @param {any} rule */
function row(rule) {
  const some = (rule.devices?.length ?? 0) + (rule.units?.length ?? 0);
  return h('li', { class: `row rule-row severity-edge-${rule.disabled ? 'off' : rule.severity}` },
    h('a', { href: `#rule/${encodeURIComponent(rule.id)}`, class: 'row-link', data: { focus: 'open' } }, h('span', { class: 'row-title' }, rule.name)),
    h('p', { class: 'small rule-says' }, sentence(rule.when), some > 0 ? ` · ${plural('says.for_some', some)}` : '', rule.times ? ` · ${t('says.times')}` : ''),
    h('div', { class: 'row-meta' },
      h('span', { class: `badge severity-${rule.severity}` }, label('severity', rule.severity)),
      rule.disabled ? h('span', { class: 'badge' }, t('rules.off')) : null,
      rule.shipped ? (rule.changed ? h('span', { class: 'badge rule-changed' }, t('rules.changed')) : null) : h('span', { class: 'badge' }, t('rules.own')),
      h('span', { class: 'quiet' }, t(rule.ticket ? 'rules.ticket' : 'rules.no_ticket'))),
    rule.problems?.length ? h('p', { class: 'small refused' }, t('rules.unused', { reason: rule.problems.join('; ') })) : null);
}
