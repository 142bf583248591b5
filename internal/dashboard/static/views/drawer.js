// @ts-check
// One ticket with everything that belongs to it, beside the page or over it on a phone.

import { h, replace } from '../dom.js';
import { fromThrown } from '../problem.js';
import { label, t } from '../strings.js';
import { keyOf, listName, listOf } from '../state.js';
import { conflictCard } from './conflicts.js';
import { makeHistory } from './history.js';
import { makeMedia } from './media.js';
import { badge, problemBox, time } from './parts.js';
import { assetLink } from './place.js';
import { makeChange } from './ticket-change.js';
import { makeThread } from './thread.js';

/**
 * @param {{app: import('../app.js').App, now: () => number, closed: () => void}} deps
 */
export function makeDrawer(deps) {
  const { app } = deps;
  const head = h('div', { class: 'drawer-head' });
  const body = h('div', { class: 'drawer-body' });
  const dialog = h('dialog', { class: 'drawer', 'aria-labelledby': 'drawer-title', onclose: onclose, onclick: (/** @type {Event} */ e) => e.target === dialog && dialog.close() }, head, body);
  document.body.append(dialog);
  /** @type {any} */
  let shown = null;
  return { open, close, draw, take, refresh };

  function onclose() {
    shown = null;
    deps.closed();
  }

  function close() {
    if (dialog.open) dialog.close();
  }

  /** @param {string} id */
  async function open(id) {
    if (shown?.id === id) return;
    shown = { id };
    const opened = shown;
    drawHead(null);
    replace(body, h('p', { class: 'quiet', role: 'status' }, t('app.loading')));
    if (!dialog.open) dialog.showModal();
    body.scrollTop = 0;
    try {
      // What the list holds may be old; what is changed here must have been seen whole.
      const ticket = await app.readTicket(id);
      if (shown === opened) fill(ticket);
    } catch (thrown) {
      const again = () => {
        shown = null;
        void open(id);
      };
      if (shown === opened) replace(body, problemBox(fromThrown(thrown), again));
    }
  }

  /** @param {any} ticket */
  function fill(ticket) {
    const parts = { app, now: deps.now, ticket: ticket.id };
    shown.conflicts = h('div', { class: 'drawer-conflicts' });
    shown.facts = h('dl', { class: 'facts' });
    shown.text = h('p', { class: 'description' });
    shown.change = app.staff ? makeChange({ app, ticket: ticket.id }) : null;
    shown.media = makeMedia(parts);
    shown.message = makeThread({ ...parts, part: 'messages', kind: 'message', texts: { title: t('ticket.messages'), empty: t('ticket.messages_empty'), add: t('ticket.message_add'), hint: t('ticket.message_hint'), send: t('ticket.message_send') } });
    shown.note = app.staff ? makeThread({ ...parts, part: 'notes', kind: 'note', texts: { title: t('ticket.notes'), empty: t('ticket.notes_empty'), add: t('ticket.note_add'), hint: t('ticket.note_hint'), send: t('ticket.note_send') } }) : null;
    shown.history = app.manages ? makeHistory(parts) : null;
    replace(body, shown.conflicts, shown.text, shown.change?.element,
      h('section', { class: 'drawer-part', 'aria-labelledby': 'facts-head' }, h('h3', { id: 'facts-head' }, t('ticket.details')), shown.facts),
      shown.media.element, shown.message.element, shown.note?.element, shown.history?.element);
    for (const part of [shown.media, shown.message, shown.note]) void part?.load();
    draw();
  }

  /** @param {any} ticket */
  function drawHead(ticket) {
    replace(head,
      h('div', { class: 'drawer-title' }, ticket ? h('p', { class: 'row-meta' }, h('span', { class: 'code' }, ticket.code), badge('status', ticket.status), ticket.priority ? badge('priority', ticket.priority) : null) : null,
        h('h2', { id: 'drawer-title' }, ticket ? ticket.title : t('app.loading'))),
      h('button', { type: 'button', class: 'icon-button', 'aria-label': t('app.close'), onclick: () => dialog.close() }, '×'));
  }

  /** Reads what is open again, after the page's lists were given up. */
  function refresh() {
    if (!shown?.facts) return;
    app.readTicket(shown.id).catch(() => {}); // the lists say what is wrong
    for (const part of [shown.media, shown.message, shown.note]) void part?.load();
  }

  function draw() {
    if (!shown?.facts) return;
    if (!app.state.tickets.has(shown.id) && !listOf(app.state, listName({ filter: 'open', query: '' })).known) return;
    const ticket = app.state.tickets.get(shown.id) ?? null;
    const conflicts = [...app.state.conflicts.values()].filter((c) => c.kind === 'ticket' && c.id === shown.id);
    const seen = conflicts.map((c) => c.seen + keyOf('conflicts', c)).join();
    if (shown.seen !== seen) {
      shown.seen = seen;
      replace(shown.conflicts, conflicts.map((c) => conflictCard(c, deps, false)));
    }
    const renamed = shown.assets !== app.state.assets;
    if (shown.members !== app.members || renamed || shown.ticket !== ticket) {
      shown.members = app.members;
      if (ticket) shown.change?.draw(ticket);
    }
    if ((shown.ticket === ticket && !renamed) || (!ticket && !shown.ticket)) return;
    shown.assets = app.state.assets;
    shown.ticket = ticket;
    if (!ticket) return replace(shown.text, t('ticket.gone'));
    const focused = head.contains(document.activeElement);
    drawHead(ticket);
    if (focused) head.querySelector('button').focus();
    replace(shown.text, ticket.description || t('ticket.no_description'));
    shown.text.classList.toggle('quiet', !ticket.description);
    replace(shown.facts, facts(app, ticket, deps.now()));
    shown.history?.refresh();
  }

  /** @param {import('../socket.js').Message} message */
  function take(message) {
    if (!shown?.facts || message.ticket !== shown.id || !message.record) return;
    shown[message.kind ?? '']?.add?.(message.record);
  }
}

/** @param {import('../app.js').App} app @param {import('../state.js').Ticket} ticket @param {number} now */
function facts(app, ticket, now) {
  const device = app.state.devices.get(ticket.device ?? '');
  const name = (/** @type {any} */ p) => p.name || t('app.unnamed');
  /** @type {[string, any][]} */
  const all = [
    [t('ticket.unit'), ticket.unit_name], [t('ticket.asset'), assetLink(app, ticket)], [t('ticket.device'), device && h('a', { href: `#device/${device.id}` }, device.name || device.hardware)], [t('ticket.category'), ticket.category && label('category', ticket.category)],
    [t('ticket.reporter'), ticket.reporter && name(ticket.reporter)], [t('ticket.reports'), (ticket.reports ?? []).map(name).join(', ')],
    [t('ticket.reported'), ticket.reported_at && time(ticket.reported_at, now)], [t('ticket.started'), ticket.started_at && time(ticket.started_at, now)],
    [t('ticket.resolved'), ticket.resolved_at && time(ticket.resolved_at, now)], [t('ticket.resolution'), ticket.resolution],
    [t('ticket.proposed'), ticket.ai_priority && label('priority', ticket.ai_priority)], [t('ticket.tags'), (ticket.tags ?? []).join(', ')],
  ];
  return all.filter(([, value]) => value).map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value)));
}
