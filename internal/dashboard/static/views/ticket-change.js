// @ts-check
// Status, priority, assignee and equipment of a ticket, to change together.
//
// The token that goes with a change is of what was shown when the editing began: what
// somebody else set since then was not seen, and stays beside it as a conflict.

import { h, replace } from '../dom.js';
import { label, t, valuesOf } from '../strings.js';
import { press, problemBox } from './parts.js';
import { makeAssetChoice } from './place.js';

/** @param {{app: import('../app.js').App, ticket: string}} deps */
export function makeChange(deps) {
  const { app } = deps;
  /** @type {import('../state.js').Ticket|null} */
  let base = null;
  const asset = makeAssetChoice({ id: 'change-asset', title: t('ticket.asset'), none: t('ticket.no_asset') });
  const fields = { status: h('select', { id: 'change-status' }), priority: h('select', { id: 'change-priority' }), assignee: h('select', { id: 'change-assignee' }), asset: asset.select };
  const names = /** @type {(keyof typeof fields)[]} */ (Object.keys(fields));
  const status = h('div', { role: 'status' });
  const save = h('button', { type: 'submit', class: 'button primary', disabled: true }, t('ticket.save'));
  const element = h('form', { class: 'change', 'aria-label': t('ticket.change'), oninput: enable, onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    void press(save, send, (problem) => replace(status, problemBox(problem)));
  } }, names.map((name) => name === 'asset' ? asset.element : h('div', { class: 'field' }, h('label', { for: `change-${name}` }, t(`ticket.${name}`)), fields[name])), h('div', { class: 'actions' }, save, status));
  return { element, draw };

  /** @param {import('../state.js').Ticket} ticket */
  function draw(ticket) {
    if (base && dirty().length > 0) {
      if (ticket.seen !== base.seen) replace(status, h('p', { class: 'notice' }, t('ticket.changed_meanwhile')));
      asset.fill(app, { id: asset.select.value, name: base.asset_name });
      return;
    }
    base = ticket;
    options(fields.status, ticket.status, valuesOf('status').map((v) => [v, label('status', v)]));
    options(fields.priority, ticket.priority ?? '', [...(ticket.priority ? [] : [['', t('ticket.no_priority')]]), ...valuesOf('priority').map((v) => [v, label('priority', v)])]);
    const held = ticket.assignee;
    const people = app.members.map((m) => [m.person, m.name || t('app.unnamed')]);
    if (held && !people.some(([id]) => id === held.id)) people.push([held.id, held.name || t('app.unnamed')]);
    options(fields.assignee, held?.id ?? '', [['', t('ticket.unassigned')], ...people]);
    asset.fill(app, { id: ticket.asset ?? '', name: ticket.asset_name });
    enable();
  }

  /** @param {HTMLSelectElement} select @param {string} value @param {string[][]} choices */
  function options(select, value, choices) {
    const known = choices.some(([v]) => v === value) ? choices : [[value, value], ...choices];
    replace(select, known.map(([v, text]) => h('option', { value: v }, text)));
    select.value = value;
  }

  /** @param {keyof typeof fields} name */
  function original(name) {
    if (name === 'assignee') return base?.assignee?.id ?? '';
    return base?.[name] ?? '';
  }

  function dirty() {
    return names.filter((name) => fields[name].value !== original(name));
  }

  function enable() {
    save.disabled = dirty().length === 0;
    if (!save.disabled) replace(status);
  }

  async function send() {
    if (!base) return;
    const changed = Object.fromEntries(dirty().map((name) => [name, fields[name].value]));
    const item = await app.api.changeTicket(app.state.building, deps.ticket, base.seen, changed);
    base = null;
    app.dispatch({ type: 'ticket', item });
    draw(item);
    replace(status, h('span', { class: 'quiet small' }, t('ticket.saved')));
    if (item.conflicts?.length) await app.loadConflicts();
  }
}
