// @ts-check
// Photos and files of a ticket. Pictures are fetched with the token and painted, so that
// no address of a file works without one.

import { h, keyed, replace } from '../dom.js';
import { fromThrown } from '../problem.js';
import { t } from '../strings.js';
import { problemBox } from './parts.js';
import { showProblem } from './notices.js';

/** Longest edge of a painted picture, in pixels: a large screen's. */
const paintedMax = 2400;

/** @param {{app: import('../app.js').App, ticket: string}} deps */
export function makeMedia(deps) {
  const { app, ticket } = deps;
  /** @type {Map<string, any>} */
  const items = new Map();
  const list = h('ul', { class: 'media' });
  const notice = h('div', { class: 'quiet', role: 'status' }, t('app.loading'));
  const element = h('section', { class: 'drawer-part', 'aria-labelledby': 'media-head' }, h('h3', { id: 'media-head' }, t('ticket.media')), notice, list);
  return { element, load, add };

  async function load() {
    try {
      for (const item of await app.api.thread(app.state.building, ticket, 'media')) items.set(item.id, item);
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

  function draw() {
    replace(notice, items.size === 0 ? t('ticket.media_empty') : null);
    keyed(list, [...items.values()], (m) => m.id, (m) => [m.thumbnail], (m) => {
      const name = m.name || t('ticket.media_file');
      const button = h('button', { type: 'button', class: 'thumb', title: name, 'aria-label': t('ticket.media_open', { name }), onclick: () => show(m, name) }, h('span', { class: 'thumb-name small' }, name));
      if (m.thumbnail) void thumbnail(m, button);
      return h('li', {}, button);
    });
  }

  /** @param {any} m @param {HTMLElement} button */
  async function thumbnail(m, button) {
    try {
      const picture = await paint(await app.api.file(app.state.building, m.id, 'thumbnail'));
      picture.setAttribute('aria-hidden', 'true');
      button.replaceChildren(picture);
    } catch {
      button.append(h('span', { class: 'quiet small' }, t('ticket.media_failed')));
    }
  }

  /** @param {any} m @param {string} name */
  async function show(m, name) {
    try {
      const file = await app.api.file(app.state.building, m.id, 'content');
      if (!m.content_type.startsWith('image/')) return save(file, name);
      const picture = await paint(file);
      picture.setAttribute('role', 'img');
      picture.setAttribute('aria-label', name);
      const dialog = h('dialog', { class: 'picture', 'aria-label': name, onclose: () => dialog.remove() },
        h('button', { type: 'button', class: 'icon-button', 'aria-label': t('app.close'), autofocus: true, onclick: () => dialog.close() }, '×'), picture, h('p', { class: 'small' }, name));
      document.body.append(dialog);
      dialog.showModal();
    } catch (thrown) {
      showProblem(fromThrown(thrown));
    }
  }
}

/** @param {Blob} file */
async function paint(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, paintedMax / Math.max(bitmap.width, bitmap.height));
  const canvas = h('canvas', { width: Math.round(bitmap.width * scale), height: Math.round(bitmap.height * scale) });
  canvas.getContext('2d').drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas;
}

/** @param {Blob} file @param {string} name */
function save(file, name) {
  const href = URL.createObjectURL(file);
  h('a', { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
