// @ts-check
// What is said beside the page: errors to see, and changes for screen readers.

import { byId, h, replace } from '../dom.js';
import { t } from '../strings.js';
import { problemBox } from './parts.js';

/** A good message stays this long; a problem stays until it is dismissed. */
const shownFor = 5_000;
/** Changes within this are announced together. */
const announceEvery = 2_000;
/** More problems than these are more than anybody reads. */
const toastsMax = 3;

/** @param {Node} content @param {boolean} stays */
function toast(content, stays) {
  const box = byId('toasts');
  const close = h('button', { type: 'button', class: 'icon-button', 'aria-label': t('app.dismiss'), onclick: () => item.remove() }, '×');
  const item = h('div', { class: stays ? 'toast toast-problem' : 'toast' }, content, close);
  while (box.children.length >= toastsMax) box.firstElementChild.remove();
  box.append(item);
  if (!stays) setTimeout(() => item.remove(), shownFor);
}

/** @param {any} problem */
export function showProblem(problem) {
  toast(problemBox(problem), true);
}

/** @param {string} text */
export function showDone(text) {
  toast(h('p', {}, text), false);
}

export class Announcer {
  /** @type {string[]} */
  #texts = [];
  /** @type {any} */
  #timer = null;

  /** @param {string} text */
  say(text) {
    this.#texts.push(text);
    this.#timer ??= setTimeout(() => {
      const texts = this.#texts;
      this.#texts = [];
      this.#timer = null;
      replace(byId('announce'), texts.length <= 2 ? texts.join('. ') : t('announce.many', { count: texts.length }));
    }, announceEvery);
  }
}

