// @ts-check
// The frame of what opens beside the page, or over it on a phone: a head and a body.

import { h, replace } from '../dom.js';
import { t } from '../strings.js';

/** @param {{name: string, closed: () => void}} deps */
export function makePanel(deps) {
  const head = h('div', { class: 'drawer-head' });
  const body = h('div', { class: 'drawer-body' });
  const title = `${deps.name}-panel-title`;
  const dialog = h('dialog', { class: 'drawer panel', id: `${deps.name}-panel`, 'aria-labelledby': title, onclose: deps.closed,
    onclick: (/** @type {Event} */ e) => e.target === dialog && dialog.close() }, head, body);
  document.body.append(dialog);
  return { body, open, close, drawHead, isOpen: () => dialog.open };

  /** @param {string} text @param {any} [above] */
  function drawHead(text, above) {
    const focused = head.contains(document.activeElement);
    replace(head, h('div', { class: 'drawer-title' }, above ? h('p', { class: 'row-meta' }, above) : null, h('h2', { id: title }, text)),
      h('button', { type: 'button', class: 'icon-button', 'aria-label': t('app.close'), onclick: () => dialog.close() }, '×'));
    if (focused) head.querySelector('button').focus();
  }

  function open() {
    if (!dialog.open) dialog.showModal();
    body.scrollTop = 0;
  }

  function close() {
    if (dialog.open) dialog.close();
  }
}

/**
 * Asks before something is done.
 * @param {{title: string, text: string, confirm: string, danger?: boolean, act: (close: () => void) => void}} question
 */
export function ask(question) {
  const confirm = h('button', { type: 'button', class: question.danger ? 'button danger' : 'button primary', onclick: () => question.act(() => dialog.close()) }, question.confirm);
  const dialog = h('dialog', { class: 'confirm', 'aria-labelledby': 'ask-title', onclose: () => dialog.remove() },
    h('h2', { id: 'ask-title' }, question.title), h('p', {}, question.text),
    h('div', { class: 'actions' }, h('button', { type: 'button', class: 'button', autofocus: true, onclick: () => dialog.close() }, t('app.cancel')), confirm));
  document.body.append(dialog);
  dialog.showModal();
  return confirm;
}
