// @ts-check
// Who did what to a ticket, from the audit; for managers, read when it is opened.

import { h, replace } from '../dom.js';
import { fromThrown } from '../problem.js';
import { label, t } from '../strings.js';
import { named } from './named.js';
import { problemBox, time } from './parts.js';

/** @param {{app: import('../app.js').App, now: () => number, ticket: string}} deps */
export function makeHistory(deps) {
  const { app } = deps;
  const list = h('ol', { class: 'history' });
  const notice = h('div', { class: 'quiet', role: 'status' });
  const element = h('details', { class: 'drawer-part', ontoggle: () => element.open && void load() }, h('summary', {}, h('h3', {}, t('ticket.history'))), notice, list);
  return { element, refresh: () => void (element.open && load()) };

  async function load() {
    if (!list.firstChild) replace(notice, t('app.loading'));
    try {
      const got = await app.api.history(app.state.building, 'ticket', deps.ticket);
      replace(notice, got.items.length === 0 ? t('ticket.history_empty') : null);
      replace(list, got.items.map(entry));
    } catch (thrown) {
      replace(notice, problemBox(fromThrown(thrown), () => void load()));
    }
  }

  /** @param {any} event */
  function entry(event) {
    const mine = (/** @type {any} */ x) => x.kind === 'ticket' && x.id === deps.ticket;
    const who = event.actor ? event.actor.name || t('app.unnamed') : event.automation || t('app.unknown');
    return h('li', {},
      h('p', { class: 'small quiet' }, h('strong', {}, who), ' ', event.where ? `${t('ticket.at', { where: label('where', event.where) })} · ` : null, time(event.event_time, deps.now())),
      (event.changes ?? []).filter(mine).map((/** @type {any} */ c) => h('p', {}, change(c))),
      (event.refusals ?? []).filter(mine).map((/** @type {any} */ r) => h('p', { class: 'refused' }, t('ticket.refused', { field: label('field', r.field), code: r.code }))));
  }

  /** @param {any} c */
  function change(c) {
    const field = label('field', c.field);
    if (c.withheld) return t('ticket.withheld', { field });
    const text = (/** @type {any[]|undefined} */ values) => (values ?? []).map((v) => named(app, 'ticket', c.field, v)).join(', ');
    return c.old?.length > 0 ? t('ticket.set_from', { field, old: text(c.old), value: text(c.new) }) : t('ticket.set', { field, value: text(c.new) });
  }
}
