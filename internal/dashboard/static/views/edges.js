// @ts-check
import { h, keyed, replace } from '../dom.js';
import { edgeState } from '../edge-state.js';
import { listOf } from '../state.js';
import { plural, t } from '../strings.js';
import { clock } from '../time.js';
import { listNotice, press, time } from './parts.js';
import { showDone, showProblem } from './notices.js';

/** The notices that have a text of their own; others show their code. */
const known = ['store_rewound', 'records_returned', 'node_cloned', 'chain_fork'];

/**
 * What happened between nodes, how often and when last.
 * @param {any} notice
 * @param {number} now
 */
function happened(notice, now) {
  const what = known.includes(notice.code) ? t(`edges.notice.${notice.code}`) : notice.code;
  return plural('edges.happened_of', notice.count, { what, when: clock(Date.parse(notice.last_at), now) });
}

/**
 * @param {HTMLElement} place
 * @param {{app: import('../app.js').App, now: () => number}} deps
 */
export function makeEdges(place, deps) {
  const { app } = deps;
  const list = h('ul', { class: 'cards' });
  const notice = h('div', { class: 'notice-place' });
  const code = h('div', { 'aria-live': 'polite' });
  const make = h('button', { type: 'button', class: 'button', onclick: () => press(make, enrol, showProblem) }, t('edges.code_make'));
  replace(place, h('div', { class: 'section-head' }, h('h2', { id: 'edges-title' }, t('edges.title')), make), code, notice, list);
  let building = '';
  return { draw };

  function draw() {
    if (building !== app.state.building) {
      building = app.state.building;
      replace(code); // a code belongs to one building
    }
    const current = listOf(app.state, 'edges');
    const items = [...app.state.edges.values()];
    make.hidden = items.some((e) => e.own); // codes are made at the cloud
    keyed(list, items, (e) => e.id, (e) => [e, edgeState(e, deps.now())], card);
    if (!current.known) list.keyed = null;
    const form = [current.status, current.known, items.length === 0].join();
    if (notice.dataset.form === form) return;
    notice.dataset.form = form;
    replace(notice, listNotice(current, items.length === 0, () => void app.loadEdges(), t('edges.empty'), t('edges.empty_hint')));
  }

  /** @param {import('../edge-state.js').Edge & {held?: any[], notices?: any[]}} edge */
  function card(edge) {
    const now = deps.now();
    const state = edgeState(edge, now);
    const name = edge.own ? t('edges.own') : edge.name || t('edges.node', { id: edge.id.slice(0, 8) });
    const errors = [edge.link?.code ? edge.link : null, ...(edge.held ?? [])].filter((e) => e?.code).slice(0, 3);
    return h('li', { class: `card edge state-${state}` },
      h('div', { class: 'card-head' }, h('h3', {}, name), h('span', { class: `badge state-${state}` }, t(`edges.state.${state}`, { time: clock(Date.parse(edge.heard_at ?? ''), now) }))),
      h('dl', { class: 'facts' },
        fact(t(edge.own ? 'edges.cloud_seen' : 'edges.seen'), edge.connected && state !== 'revoked' ? t('time.now') : edge.heard_at ? time(edge.heard_at, now) : t('app.none')),
        fact(t('edges.receipt'), edge.link?.receipt_at ? time(edge.link.receipt_at, now) : t('app.unknown')),
        fact(t('edges.queue'), queue(edge, now)),
        edge.version ? fact(t('edges.version'), edge.version) : null,
        errors.map((e) => [fact(t('edges.error'), e.detail ? `${e.code}: ${e.detail}` : e.code), e.remedy ? fact(t('edges.remedy'), e.remedy) : null]),
        (edge.notices ?? []).slice(0, 3).map((n) => [fact(t('edges.happened'), happened(n, now)), fact(t('edges.remedy'), n.remedy)])),
      edge.revoked || edge.own ? null : h('div', { class: 'actions' }, h('button', {
        type: 'button', class: 'button danger', data: { focus: 'revoke' }, 'aria-label': t('edges.revoke_label', { name }), onclick: () => confirmRevoke(edge, name, app),
      }, t('edges.revoke'))));
  }

  async function enrol() {
    const got = await app.api.enrol(app.state.building);
    const copied = h('span', { class: 'small', role: 'status' });
    const copy = h('button', { type: 'button', class: 'button', onclick: async () => {
      await navigator.clipboard?.writeText(got.code);
      copied.textContent = t('edges.code_copied');
    } }, t('edges.code_copy'));
    replace(code, h('div', { class: 'card enrolment' }, h('h3', {}, t('edges.code_title')), h('p', { class: 'enrolment-code' }, got.code),
      h('p', { class: 'quiet small' }, t('edges.code_hint'), ' ', t('edges.code_expires', { when: clock(Date.parse(got.expires_at), deps.now()) })),
      h('div', { class: 'actions' }, navigator.clipboard ? copy : null, h('button', { type: 'button', class: 'button', onclick: () => replace(code) }, t('app.dismiss')), copied)));
  }
}

/** @param {string} term @param {any} value */
function fact(term, value) {
  return h('div', {}, h('dt', {}, term), h('dd', {}, value));
}

/** What an edge still holds, and as of when that is known. @param {import('../edge-state.js').Edge} edge @param {number} now */
function queue(edge, now) {
  const link = edge.link;
  if (!link) return t('app.unknown');
  const waiting = link.waiting ?? 0;
  let text = t('edges.queue_empty');
  if (waiting > 0) {
    text = link.oldest_at ? plural('edges.queue_of', waiting, { when: clock(Date.parse(link.oldest_at), now) }) : plural('edges.queue_count', waiting);
  }
  if (edge.connected || !edge.reported_at) return text;
  return t('edges.queue_as_of', { queue: text, when: clock(Date.parse(edge.reported_at), now) });
}

/** @param {any} edge @param {string} name @param {import('../app.js').App} app */
function confirmRevoke(edge, name, app) {
  const confirm = h('button', { type: 'button', class: 'button danger', onclick: () => press(confirm, revoke, showProblem) }, t('edges.revoke_confirm'));
  const dialog = h('dialog', { class: 'confirm', 'aria-labelledby': 'revoke-title', onclose: () => dialog.remove() },
    h('h2', { id: 'revoke-title' }, t('edges.revoke_title', { name })), h('p', {}, t('edges.revoke_text')),
    h('div', { class: 'actions' }, h('button', { type: 'button', class: 'button', autofocus: true, onclick: () => dialog.close() }, t('app.cancel')), confirm));
  document.body.append(dialog);
  dialog.showModal();

  async function revoke() {
    await app.api.revoke(edge.id);
    dialog.close();
    showDone(t('edges.revoked', { name }));
    await app.loadEdges();
  }
}
