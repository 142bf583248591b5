// @ts-check
// The building's equipment: what it is, where it stands, and what is wrong with it.

import { h, keyed, replace } from '../dom.js';
import { shownAssets } from '../asset-state.js';
import { listName, listOf } from '../state.js';
import { label, plural, t } from '../strings.js';
import { listNotice } from './parts.js';

/** Rows that are drawn at once; a button shows more. */
const rowsStep = 100;

/**
 * @param {HTMLElement} place
 * @param {{app: import('../app.js').App}} deps
 */
export function makeAssets(place, deps) {
  const { app } = deps;
  let rows = rowsStep;
  let query = '';
  const list = h('ul', { class: 'rows' });
  const notice = h('div', { class: 'notice-place' });
  const more = h('button', { type: 'button', class: 'button wide', hidden: true, onclick: () => {
    rows += rowsStep;
    draw();
  } }, t('app.more'));
  const search = h('input', { type: 'search', id: 'assets-search', maxlength: 200, placeholder: t('assets.search'), oninput: () => {
    query = search.value.trim();
    rows = rowsStep;
    draw();
  } });
  const tools = h('div', { class: 'tools' }, h('label', { class: 'unseen', for: 'assets-search' }, t('assets.search')), search);
  replace(place, h('div', { class: 'section-head' }, h('h2', { id: 'assets-title' }, t('assets.title')), h('a', { class: 'button', href: '#asset/' }, t('assets.new'))),
    h('p', { class: 'quiet small hint' }, t('assets.hint')), tools, notice, list, more);
  return { draw };

  function draw() {
    const current = listOf(app.state, 'assets');
    const found = shownAssets(app.state, query);
    const open = listOf(app.state, listName({ filter: 'open', query: '' }));
    const whole = open.known && open.next === '';
    tools.hidden = app.state.assets.size === 0;
    keyed(list, found.slice(0, rows), (x) => x.asset.id,
      (x) => [x.asset, x.devices.length, x.tickets.length, whole, x.alarms.map((a) => a.cause + a.state).join()], (x) => row(x, whole));
    if (!current.known) list.keyed = null;
    more.hidden = found.length <= rows;
    const form = [current.status, current.problem?.message, current.known, found.length === 0, query].join();
    if (notice.dataset.form === form) return;
    notice.dataset.form = form;
    replace(notice, listNotice(current, found.length === 0, () => void app.loadAssets(), query === '' ? t('assets.empty') : t('assets.empty_search', { query }), query === '' ? t('assets.empty_hint') : ''));
  }
}

/** @param {import('../asset-state.js').Watched} x @param {boolean} whole whether all open tickets are here */
function row(x, whole) {
  const { asset, devices, alarms, tickets } = x;
  const open = plural('assets.tickets', tickets.length);
  const conflicts = asset.conflicts?.length ?? 0;
  const made = [asset.manufacturer, asset.model].filter(Boolean).join(' ');
  return h('li', { class: alarms.length > 0 ? 'row asset-row asset-alarm' : 'row asset-row' },
    h('a', { href: `#asset/${asset.id}`, class: 'row-link', data: { focus: 'open' } }, h('span', { class: 'row-title' }, asset.name)),
    h('div', { class: 'row-meta' },
      h('span', { class: 'badge' }, label('asset_category', asset.category)),
      alarms.map((a) => h('span', { class: `badge alarm-${a.state}` }, label('cause', a.cause))),
      conflicts > 0 ? h('span', { class: 'badge conflict' }, plural('tickets.conflict', conflicts)) : null,
      h('span', { class: 'quiet' }, asset.unit_name || t('asset.whole')),
      made ? h('span', { class: 'quiet' }, made) : null,
      asset.serial ? h('span', { class: 'code', title: t('asset.serial') }, h('span', { class: 'unseen' }, `${t('asset.serial')} `), asset.serial) : null),
    h('p', { class: 'small' }, plural('assets.devices', devices.length), ' · ', whole || tickets.length === 0 ? open : t('assets.at_least', { count: open })));
}
