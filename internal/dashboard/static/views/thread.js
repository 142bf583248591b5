// @ts-check
// Messages and notes of a ticket: what was said, and a field to say more.

import { h, keyed, replace } from '../dom.js';
import { t } from '../strings.js';
import { fromThrown } from '../problem.js';
import { press, problemBox, time } from './parts.js';

/**
 * @param {{app: import('../app.js').App, now: () => number, ticket: string, part: 'messages'|'notes', kind: string, texts: {title: string, empty: string, add: string, hint: string, send: string}}} deps
 */
export function makeThread(deps) {
  const { app, ticket, part, texts } = deps;
  /** @type {Map<string, any>} */
  const items = new Map();
  const list = h('ul', { class: 'thread' });
  const notice = h('div', { class: 'quiet', role: 'status' }, t('app.loading'));
  const field = h('textarea', { id: `${part}-text`, rows: 2, maxlength: 8000, required: true, 'aria-describedby': `${part}-hint` });
  const status = h('div', { role: 'status' });
  const send = h('button', { type: 'submit', class: 'button' }, texts.send);
  const form = h('form', { class: 'say', onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    void press(send, say, (problem) => replace(status, problemBox(problem)));
  } }, h('label', { for: `${part}-text` }, texts.add), field, h('p', { class: 'quiet small', id: `${part}-hint` }, texts.hint), h('div', { class: 'actions' }, send, status));
  const element = h('section', { class: 'drawer-part', 'aria-labelledby': `${part}-head` }, h('h3', { id: `${part}-head` }, texts.title), notice, list, form);
  return { element, load, add };

  async function load() {
    try {
      for (const item of await app.api.thread(app.state.building, ticket, part)) items.set(item.id, item);
      draw();
    } catch (thrown) {
      replace(notice, problemBox(fromThrown(thrown), () => void load()));
    }
  }

  /** @param {any} item */
  function add(item) {
    items.set(item.id, item);
    draw();
  }

  async function say() {
    const text = field.value.trim();
    if (text === '') return;
    const item = await app.api.say(app.state.building, ticket, part, text);
    field.value = '';
    replace(status, h('span', { class: 'quiet small' }, t('ticket.sent')));
    add(item);
  }

  function draw() {
    const sorted = [...items.values()].sort((a, b) => Date.parse(a.sent_at ?? '') - Date.parse(b.sent_at ?? '') || (a.id < b.id ? -1 : 1));
    replace(notice, sorted.length === 0 ? texts.empty : null);
    keyed(list, sorted, (x) => x.id, () => [], (x) => h('li', { class: 'said' },
      h('p', { class: 'said-by quiet small' }, h('strong', {}, x.person?.name || t('app.unnamed')), ' ', time(x.sent_at, deps.now())),
      h('p', { class: 'said-text' }, x.text)));
  }
}
