// @ts-check
import { h, keyed, replace } from '../dom.js';
import { listName, listOf, shownTickets } from '../state.js';
import { plural, t } from '../strings.js';
import { drawChart } from './chart.js';
import { badge, listNotice, time } from './parts.js';
import { assetName } from './place.js';

/** Rows that are drawn at once; a button shows more. */
const rowsStep = 100;
/** A pause in typing that starts a search. */
const typingPause = 300;

/**
 * @param {HTMLElement} place
 * @param {{app: import('../app.js').App, now: () => number}} deps
 */
export function makeTickets(place, deps) {
  const { app } = deps;
  let rows = rowsStep;
  let drawn = '';
  /** @type {any} */
  let pause = null;
  const count = h('span', { class: 'quiet small' });
  const chart = h('figure', { class: 'chart', hidden: true });
  const list = h('ul', { class: 'rows' });
  const notice = h('div', { class: 'notice-place' });
  const more = h('button', { type: 'button', class: 'button wide', hidden: true, onclick: showMore }, t('app.more'));
  const filters = /** @type {const} */ (['open', 'urgent', 'all']).map((name) => h('label', { class: 'segment' },
    h('input', { type: 'radio', name: 'filter', value: name, onchange: () => choose({ filter: name }) }), h('span', {}, t(`tickets.filter.${name}`))));
  const search = h('input', { type: 'search', id: 'search', maxlength: 200, placeholder: t('tickets.search'), oninput });
  replace(place,
    h('div', { class: 'section-head' }, h('h2', { id: 'tickets-title' }, t('tickets.title')), count),
    chart,
    h('div', { class: 'tools' },
      h('fieldset', { class: 'segments' }, h('legend', { class: 'unseen' }, t('tickets.filter')), filters),
      h('label', { class: 'unseen', for: 'search' }, t('tickets.search')), search),
    notice, list, more);
  return { draw, choose };

  function oninput() {
    clearTimeout(pause);
    pause = setTimeout(() => choose({ query: search.value.trim() }), typingPause);
  }

  /** @param {Partial<import('../state.js').Choice>} part */
  function choose(part) {
    rows = rowsStep;
    app.choose({ ...app.state.choice, ...part });
  }

  function showMore() {
    rows += rowsStep;
    const current = listOf(app.state, listName(app.state.choice));
    if (current.next !== '' && shownTickets(app.state).length < rows) void app.loadTickets(app.state.choice, current.next);
    draw();
  }

  function draw() {
    const { choice } = app.state;
    const name = listName(choice);
    for (const segment of filters) segment.firstChild.checked = segment.firstChild.value === choice.filter;
    if (document.activeElement !== search) search.value = choice.query;
    if (drawn !== `${app.state.building} ${name}`) {
      drawn = `${app.state.building} ${name}`;
      list.keyed = null; // another list: nothing in it has changed
      replace(list);
    }
    const current = listOf(app.state, name);
    const found = shownTickets(app.state);
    keyed(list, found.slice(0, rows), (x) => x.id, (x) => [x, assetName(app, x)], (x) => row(x, assetName(app, x), deps.now()));
    if (!current.known && found.length === 0) list.keyed = null;
    const total = current.next === '' ? found.length : Math.max(current.total, found.length);
    const text = current.known ? t('tickets.count', { shown: Math.min(rows, found.length).toLocaleString(), total: total.toLocaleString() }) : '';
    if (count.textContent !== text) count.textContent = text;
    more.hidden = !(found.length > rows || (current.known && current.next !== ''));
    more.disabled = current.status === 'loading';
    list.setAttribute('aria-busy', String(current.status === 'loading'));
    const [title, hint] = emptyText(choice);
    const form = [current.status, current.known, found.length === 0, title].join();
    if (notice.dataset.form !== form) {
      notice.dataset.form = form;
      replace(notice, listNotice(current, found.length === 0, () => void app.loadTickets(app.state.choice), title, hint));
    }
    drawChart(chart, app.state, deps.now());
  }
}

/** @param {import('../state.js').Choice} choice */
function emptyText(choice) {
  if (choice.query !== '') return [t('tickets.empty_search', { query: choice.query })];
  if (choice.filter === 'urgent') return [t('tickets.empty_urgent')];
  return choice.filter === 'all' ? [t('tickets.empty_all'), t('tickets.empty_hint')] : [t('tickets.empty'), t('tickets.empty_hint')];
}

/** @param {import('../state.js').Ticket} ticket @param {string} asset @param {number} now */
function row(ticket, asset, now) {
  const conflicts = ticket.conflicts?.length ?? 0;
  return h('li', { class: `row edge-${ticket.priority ?? 'none'}` },
    h('a', { href: `#ticket/${ticket.id}`, class: 'row-link', data: { focus: 'open' } },
      h('span', { class: 'row-title' }, ticket.title),
      h('span', { class: 'row-age quiet' }, time(ticket.reported_at, now, 'age'))),
    h('div', { class: 'row-meta' },
      h('span', { class: 'code' }, ticket.code),
      badge('status', ticket.status, t('ticket.status')),
      ticket.priority ? badge('priority', ticket.priority, t('ticket.priority')) : null,
      conflicts > 0 ? h('span', { class: 'badge conflict' }, plural('tickets.conflict', conflicts)) : null,
      ticket.unit_name ? h('span', { class: 'quiet' }, ticket.unit_name) : null,
      asset ? h('span', { class: 'quiet' }, asset) : null,
      ticket.assignee ? h('span', { class: 'quiet assignee' }, ticket.assignee.name || t('app.unnamed')) : null));
}
