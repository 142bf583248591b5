// @ts-check
// The frame of the page: header, connection, counts, and the places of the sections.

import { h, replace } from '../dom.js';
import { countOffline } from '../edge-state.js';
import { t } from '../strings.js';
import { clock } from '../time.js';

/** The sections, in the order of the page. */
export const sections = ['tickets', 'devices', 'assets', 'rules', 'alarms', 'conflicts', 'edges'];

/** Those that take the place of each other where the page is wide; the others stand beside. */
export const mainSections = ['tickets', 'devices', 'assets', 'rules'];
/** For those who work for the building. */
const staffSections = ['devices', 'assets', 'rules'];

/**
 * @param {HTMLElement} root
 * @param {{app: import('../app.js').App, buildings: import('../app.js').Building[], pick: (id: string) => void, signOut: () => void, filter: (f: 'open'|'urgent') => void, show: (section: string) => void, now: () => number}} deps
 */
export function makeShell(root, deps) {
  const { app } = deps;
  const picker = h('select', { id: 'building', onchange: () => deps.pick(picker.value) }, deps.buildings.map((b) => h('option', { value: b.id }, b.name)));
  const connection = h('p', { class: 'connection', role: 'status', 'aria-label': t('connection.label') });
  const stale = h('p', { class: 'stale', hidden: true });
  const counts = h('ul', { class: 'counts' });
  const nav = h('nav', { id: 'tabs', class: 'tabs', 'aria-label': t('app.sections') }, sections.map((name) => h('a', { href: `#${name}`, data: { tab: name }, onclick: () => deps.show(name) }, h('span', {}, t(`${name}.title`)), h('span', { class: 'tab-count' }))));
  const places = Object.fromEntries(sections.map((name) => [name, h('section', { id: `section-${name}`, class: `section section-${name}`, tabindex: -1, 'aria-labelledby': `${name}-title` })]));
  replace(root,
    h('a', { class: 'skip', href: '#section-tickets', onclick: () => deps.show('tickets') }, t('app.skip')),
    h('header', { class: 'top' },
      h('div', { class: 'brand' }, h('img', { src: 'icon.svg', alt: '', width: 28, height: 28 }), h('h1', {}, t('app.name'))),
      h('div', { class: 'picker' }, h('label', { class: 'unseen', for: 'building' }, t('app.building')), picker),
      connection,
      h('button', { type: 'button', class: 'button quiet-button', onclick: deps.signOut }, t('app.sign_out'))),
    stale, h('section', { class: 'strip', 'aria-label': t('counts.label') }, counts), nav,
    h('main', {}, h('div', { class: 'main' }, mainSections.map((name) => places[name])), h('div', { class: 'side' }, places.alarms, places.conflicts, places.edges)));
  return { places, draw };

  function draw() {
    if (app.building) picker.value = app.building.id;
    drawConnection(connection, stale, app, deps.now());
    const values = { ...app.counts(), edges: app.hasEdges ? countOffline(app.state.edges.values(), deps.now()) : null };
    drawCounts(counts, values, app.hasEdges, deps);
    places.edges.hidden = !app.hasEdges;
    const inTab = { tickets: values.open, alarms: values.alarms, conflicts: values.conflicts, edges: values.edges, devices: values.devices, assets: null, rules: null };
    // An address may name what a tenant has not got.
    const data = document.body.dataset;
    if (app.building && !app.staff && staffSections.includes(data.main ?? '')) data.main = data.section = 'tickets';
    for (const tab of nav.children) {
      const name = /** @type {keyof typeof inTab} */ (tab.dataset.tab);
      tab.hidden = (name === 'edges' && !app.hasEdges) || (staffSections.includes(name) && !app.staff);
      tab.classList.toggle('tab-main', mainSections.includes(name));
      const shown = isWide() && mainSections.includes(name) ? document.body.dataset.main : document.body.dataset.section;
      const text = inTab[name] ? inTab[name].toLocaleString() : '';
      if (tab.lastChild.textContent !== text) tab.lastChild.textContent = text;
      if (shown === name) tab.setAttribute('aria-current', 'page');
      else tab.removeAttribute('aria-current');
    }
  }
}

/** Where the page has room for two columns; as in style.css. */
export const wide = '(min-width: 62rem)';

export function isWide() {
  return matchMedia(wide).matches;
}

/** @param {any} element @param {any} stale @param {import('../app.js').App} app @param {number} now */
function drawConnection(element, stale, app, now) {
  const { name, liveAt } = app.line;
  const up = name === 'live' || name === 'probing';
  const since = app.downSince ?? liveAt;
  let form = 'connecting';
  let text = t('connection.connecting');
  if (up) [form, text] = ['live', t('connection.live')];
  else if (name === 'offline') [form, text] = ['offline', t('connection.offline', { time: clock(since ?? now, now) })];
  else if (since) [form, text] = ['reconnecting', t('connection.reconnecting', { time: clock(since, now) })];
  if (element.dataset.form !== form || element.textContent !== text) {
    element.dataset.form = form;
    element.textContent = text;
  }
  stale.hidden = up || !since;
  const notice = since ? t('connection.stale', { time: clock(since, now) }) : '';
  if (stale.textContent !== notice) stale.textContent = notice;
}

/** @param {any} list @param {Record<string, number|null>} values @param {boolean} hasEdges @param {{filter: (f: 'open'|'urgent') => void, show: (section: string) => void}} deps */
function drawCounts(list, values, hasEdges, deps) {
  const sectionOf = (/** @type {string} */ name) => (name === 'open' || name === 'urgent' ? 'tickets' : name);
  const shown = ['open', 'urgent', 'alarms', 'conflicts', ...(hasEdges ? ['edges'] : [])];
  if (list.children.length !== shown.length) {
    replace(list, shown.map((name) => h('li', {}, h('a', {
      class: `count count-${name}`, href: `#${sectionOf(name)}`,
      onclick: () => {
        if (name === 'open' || name === 'urgent') deps.filter(name);
        deps.show(sectionOf(name));
      },
    }, h('span', { class: 'count-value' }), h('span', { class: 'count-label' }, t(`counts.${name}`))))));
  }
  shown.forEach((name, i) => {
    const link = list.children[i].firstChild;
    const value = values[name];
    const text = value === null ? t('counts.unknown') : value.toLocaleString();
    if (link.firstChild.textContent !== text) link.firstChild.textContent = text;
    link.classList.toggle('raised', name !== 'open' && (value ?? 0) > 0);
  });
}
