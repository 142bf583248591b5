// @ts-check
// One piece of equipment: what it is, the devices that watch it, and its history of alarms and
// tickets.

import { byId, h, keyed, replace } from '../dom.js';
import { byName, ticketsAbout } from '../asset-state.js';
import { fromThrown } from '../problem.js';
import { keyOf, listOf } from '../state.js';
import { label, t } from '../strings.js';
import { makeAssetForm } from './asset-form.js';
import { conflictCard } from './conflicts.js';
import { stateBadge, stateOf } from './devices.js';
import { drawTickets, makeAlarmList, part } from './lists.js';
import { nameOf, press, problemBox } from './parts.js';
import { ask, makePanel } from './panel.js';
import { showDone, showProblem } from './notices.js';

/** Where a new one begins. @type {import('../state.js').Asset} */
const blank = Object.freeze({ id: '', name: '', category: 'other', seen: '' });

/** @param {{app: import('../app.js').App, now: () => number, closed: () => void}} deps */
export function makeAsset(deps) {
  const { app } = deps;
  /** @type {any} */
  let shown = null;
  const panel = makePanel({ name: 'asset', closed: () => {
    shown = null;
    deps.closed();
  } });
  return { open, close: panel.close, draw, take };

  /** @param {string} id empty for a new one */
  async function open(id) {
    if (shown?.id === id || !app.staff) return;
    const opened = (shown = { id });
    panel.drawHead(t(id === '' ? 'asset.new' : 'app.loading'));
    replace(panel.body, h('p', { class: 'quiet', role: 'status' }, t('app.loading')));
    panel.open();
    if (id === '') return enter();
    try {
      const asset = await app.api.asset(app.state.building, id);
      if (shown !== opened) return;
      app.takeAsset(asset);
      fill();
    } catch (thrown) {
      if (shown !== opened) return;
      const problem = fromThrown(thrown);
      panel.drawHead(t(problem.status === 404 ? 'asset.gone' : 'assets.title'));
      replace(panel.body, problemBox(problem, () => {
        shown = null;
        void open(id);
      }));
    }
  }

  function enter() {
    shown.form = makeAssetForm({ app, id: '', done: panel.close });
    replace(panel.body, shown.form.element);
    draw();
    byId('asset-name').focus();
  }

  function fill() {
    const opened = shown;
    shown.conflicts = h('div', { class: 'drawer-conflicts' });
    shown.facts = h('dl', { class: 'facts' });
    shown.devices = h('ul', { class: 'links' });
    shown.alarms = makeAlarmList({ app, now: deps.now, of: { asset: shown.id }, changed: () => shown === opened && draw() });
    shown.tickets = h('ul', { class: 'links' });
    shown.ticketNotice = h('div', { class: 'quiet', role: 'status' }, t('app.loading'));
    shown.form = makeAssetForm({ app, id: shown.id, done: panel.close });
    const hide = app.manages ? h('div', { class: 'actions' }, h('button', { type: 'button', class: 'button danger', onclick: () => confirmHide(opened.id) }, t('asset.hide'))) : null;
    replace(panel.body, shown.conflicts, shown.facts, part('asset-devices', t('asset.devices'), shown.devices), part('asset-alarms', t('asset.alarms'), shown.alarms.elements),
      part('asset-tickets', t('asset.tickets'), shown.ticketNotice, shown.tickets), part('asset-change', t('asset.change'), shown.form.element, hide));
    void shown.alarms.load();
    void loadTickets();
    draw();
  }

  async function loadTickets() {
    const opened = shown;
    try {
      const got = await app.api.ticketsOf(app.state.building, { asset: opened.id });
      opened.asked = got.items;
      replace(opened.ticketNotice, got.total > got.items.length ? t('asset.tickets_part', { count: got.items.length, total: got.total }) : null);
      if (shown === opened) draw();
    } catch (thrown) {
      replace(opened.ticketNotice, problemBox(fromThrown(thrown), () => void loadTickets()));
    }
  }

  function draw() {
    if (shown?.id === '') return shown.form.draw(blank);
    if (!shown?.facts) return;
    const asset = app.state.assets.get(shown.id);
    if (!asset) {
      if (!listOf(app.state, 'assets').known) return; // it is read again
      shown.facts = null;
      panel.drawHead(t('asset.gone'));
      return replace(panel.body, h('p', { class: 'quiet' }, t('asset.gone_hint')));
    }
    const now = deps.now();
    const standing = shown.alarms.items().filter((/** @type {any} */ a) => a.state !== 'cleared');
    const form = [asset.name, asset.category, standing.map((/** @type {any} */ a) => a.cause + a.state)].join();
    if (shown.head !== form) {
      shown.head = form;
      panel.drawHead(asset.name, [h('span', { class: 'badge' }, label('asset_category', asset.category)), standing.map((/** @type {any} */ a) => h('span', { class: `badge alarm-${a.state}` }, label('cause', a.cause)))]);
    }
    drawConflicts();
    if (shown.asset !== asset) {
      shown.asset = asset;
      replace(shown.facts, facts(asset));
    }
    drawDevices(now);
    shown.alarms.draw();
    if (shown.asked) drawTickets(shown.tickets, ticketsAbout(app.state, shown.id, shown.asked), now);
    shown.form.draw(asset);
  }

  function drawConflicts() {
    const conflicts = [...app.state.conflicts.values()].filter((c) => c.kind === 'asset' && c.id === shown.id);
    const seen = conflicts.map((c) => c.seen + keyOf('conflicts', c)).join();
    if (shown.seen === seen) return;
    shown.seen = seen;
    replace(shown.conflicts, conflicts.map((c) => conflictCard(c, deps, false)));
  }

  /** @param {number} now */
  function drawDevices(now) {
    const devices = [...app.state.devices.values()].filter((d) => d.asset === shown.id).sort((a, b) => byName({ name: nameOf(a) }, { name: nameOf(b) }));
    keyed(shown.devices, devices, (d) => d.id, (d) => [nameOf(d), d.unit_name, stateOf(app, d, now)],
      (d) => h('li', {}, h('a', { href: `#device/${d.id}`, data: { focus: 'open' } }, nameOf(d)), ' ', stateBadge(stateOf(app, d, now)), ' ', h('span', { class: 'quiet small' }, d.unit_name)));
    if (devices.length > 0) return;
    shown.devices.keyed = null;
    replace(shown.devices, h('li', { class: 'quiet' }, t(listOf(app.state, 'devices').known ? 'asset.devices_empty' : 'app.loading')));
  }

  /** @param {string} id */
  function confirmHide(id) {
    const asset = app.state.assets.get(id);
    if (!asset) return;
    const { name } = asset;
    const button = ask({ title: t('asset.hide_title', { name }), text: t('asset.hide_text'), confirm: t('asset.hide'), danger: true, act: (close) => press(button, async () => {
      await app.api.changeAsset(app.state.building, id, asset.seen, { deleted: true });
      close();
      panel.close();
      app.dropAsset(id);
      showDone(t('asset.hidden', { name }));
    }, showProblem) });
  }

  /** @param {import('../socket.js').Message} message */
  function take(message) {
    if (!shown?.facts || message.type !== 'change' || message.kind !== 'alarm') return;
    const { id, record } = message;
    if (record?.asset === shown.id || shown.alarms.items().some((/** @type {any} */ a) => a.id === id)) void shown.alarms.load();
  }
}

/** @param {import('../state.js').Asset} asset */
function facts(asset) {
  const all = [[t('device.unit'), asset.unit_name || t('asset.whole')], [t('asset.manufacturer'), asset.manufacturer], [t('asset.model'), asset.model],
    [t('asset.serial'), asset.serial && h('span', { class: 'code' }, asset.serial)]];
  return all.filter(([, value]) => value).map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value)));
}
