// @ts-check
import { h, keyed, replace } from '../dom.js';
import { keyOf, listOf } from '../state.js';
import { label, t } from '../strings.js';
import { named } from './named.js';
import { listNotice, press, time } from './parts.js';
import { showDone, showProblem } from './notices.js';

/**
 * @param {HTMLElement} place
 * @param {{app: import('../app.js').App, now: () => number}} deps
 */
export function makeConflicts(place, deps) {
  const { app } = deps;
  const list = h('ul', { class: 'cards' });
  const notice = h('div', { class: 'notice-place' });
  const hint = h('p', { class: 'quiet small', hidden: true }, t('conflicts.hint'));
  replace(place, h('div', { class: 'section-head' }, h('h2', { id: 'conflicts-title' }, t('conflicts.title'))), hint, notice, list);
  return { draw };

  function draw() {
    const current = listOf(app.state, 'conflicts');
    const items = [...app.state.conflicts.values()];
    hint.hidden = items.length === 0;
    keyed(list, items, (c) => keyOf('conflicts', c), (c) => [c.seen, app.members, app.units, app.state.assets], (c) => h('li', {}, conflictCard(c, deps, true)));
    if (!current.known) list.keyed = null;
    const form = [current.status, current.known, items.length === 0].join();
    if (notice.dataset.form === form) return;
    notice.dataset.form = form;
    replace(notice, listNotice(current, items.length === 0, () => void app.loadConflicts(), t('conflicts.empty'), t('conflicts.empty_hint')));
  }
}

/**
 * One field with its values, each with who set it and when; one press decides.
 * @param {import('../state.js').Conflict} conflict
 * @param {{app: import('../app.js').App, now: () => number}} deps
 * @param {boolean} linked
 */
export function conflictCard(conflict, deps, linked) {
  const { app } = deps;
  const field = label('field', conflict.field);
  const what = conflict.label || t('app.unknown');
  const title = t('conflicts.of', { field, label: what });
  const ticket = conflict.ticket ?? (conflict.kind === 'ticket' ? conflict.id : '');
  const thing = app.staff && (conflict.kind === 'asset' || conflict.kind === 'device') ? `#${conflict.kind}/${conflict.id}` : '';
  const href = ticket ? `#ticket/${ticket}` : thing;
  return h('article', { class: 'card conflict-card', 'aria-label': title },
    h('h3', {}, linked && href ? h('a', { href, data: { focus: 'open' } }, title) : title),
    h('ul', { class: 'siblings' }, conflict.siblings.map((s, i) => sibling(s, i))));

  /** @param {import('../state.js').Sibling} s @param {number} i */
  function sibling(s, i) {
    const value = named(app, conflict.kind, conflict.field, s.value);
    const who = s.author?.name || t('app.unnamed');
    const when = time(s.event_time ?? s.stamp, deps.now());
    const [before, after] = t(s.where ? 'conflicts.by' : 'conflicts.by_anywhere', { who, where: s.where ? label('where', s.where) : '' }).split('{when}');
    const button = h('button', {
      type: 'button', class: 'button', data: { focus: `use-${i}` }, 'aria-label': t('conflicts.use_label', { value, field, label: what }),
      onclick: () => press(button, () => use(s.value, value), showProblem),
    }, t('conflicts.use'));
    return h('li', { class: s.shown ? 'sibling shown' : 'sibling' },
      h('div', {},
        h('p', { class: 'sibling-value' }, value, s.shown ? h('span', { class: 'quiet small' }, ` (${t('conflicts.shown')})`) : null),
        h('p', { class: 'quiet small' }, before, when, after)),
      button);
  }

  /** @param {any} value @param {string} shown */
  async function use(value, shown) {
    await app.resolve(conflict, value);
    showDone(t('conflicts.resolved', { field, label: what, value: shown }));
  }
}
