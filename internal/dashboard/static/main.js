// @ts-check
// Puts the page together: who is signed in, which building, which section, what is drawn.

import { Api } from './api.js';
import { App } from './app.js';
import { byId } from './dom.js';
import { fromThrown } from './problem.js';
import { Session } from './session.js';
import { Socket } from './socket.js';
import { label, t } from './strings.js';
import { makeAlarms, placeOf } from './views/alarms.js';
import { makeAsset } from './views/asset.js';
import { makeAssets } from './views/assets.js';
import { makeConflicts } from './views/conflicts.js';
import { makeDevice } from './views/device.js';
import { makeDevices } from './views/devices.js';
import { makeDrawer } from './views/drawer.js';
import { makeEdges } from './views/edges.js';
import { Announcer, showDone } from './views/notices.js';
import { tick } from './views/parts.js';
import { makeRule } from './views/rule.js';
import { makeRules } from './views/rules.js';
import { isWide, mainSections, makeShell, sections, wide } from './views/shell.js';
import { drawNoBuildings, drawSignIn, drawWaiting } from './views/sign-in.js';
import { makeTickets } from './views/tickets.js';

/** How often ages are brought up to date. */
const tickEvery = 20_000;
/** The building that was shown last in this tab. */
const buildingKey = 'estate.building';

const root = byId('root');
const now = () => Date.now();
const announcer = new Announcer();
/** @type {{draw: () => void}[]} */
let views = [];
/** @type {ReturnType<typeof makeDrawer>|null} */
let drawer = null;
/** @type {ReturnType<typeof makeDevice>|null} */
let device = null;
/** @type {ReturnType<typeof makeAsset>|null} */
let asset = null;
/** @type {ReturnType<typeof makeRule>|null} */
let rule = null;
/** @type {import('./app.js').Building[]} */
let buildings = [];
let scheduled = false;
let wasDown = false;

const session = new Session({
  fetch: (input, init) => fetch(input, init), store: sessionStorage, now,
  channel: 'BroadcastChannel' in window ? new BroadcastChannel('estate.session') : undefined,
  onEnd: (expected) => showSignIn(expected ? undefined : t('sign_in.ended')),
});
const api = new Api({ fetch: (input, init) => fetch(input, init), session });
const app = new App({ api, now, draw, onChange });
const socket = new Socket({
  url: `${location.origin.replace(/^http/, 'ws')}/ws`, WebSocket, now, random: Math.random,
  setTimeout: (fn, after) => window.setTimeout(fn, after), clearTimeout: (timer) => window.clearTimeout(timer),
  // A handshake that fails does not say why: before another attempt the API is asked.
  token: async (attempt) => {
    if (attempt > 0) await api.me();
    return session.token();
  },
  onLine, onMessage,
});

function draw() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    for (const view of views) view.draw();
    drawer?.draw();
    device?.draw();
    asset?.draw();
  });
}

/** @param {import('./line.js').Line} line */
function onLine(line) {
  app.setLine(line);
  if (line.name === 'waiting' || line.name === 'offline') wasDown = wasDown || line.liveAt !== null;
  // The push cannot be reached: the lists may be, and say so where they are not either.
  if (line.name === 'waiting' && line.attempt === 1 && line.liveAt === null) app.reload();
  if (line.name === 'live' && wasDown) {
    wasDown = false;
    showDone(t('connection.back'));
    void app.loadEdges();
  }
}

/** @param {import('./socket.js').Message} message */
function onMessage(message) {
  if (message.type === 'reset' || (message.type === 'subscribed' && message.reset)) {
    app.reload();
    drawer?.refresh();
  } else if (message.type === 'ended') void start();
  else app.take(message);
}

/** @param {import('./state.js').State} before @param {import('./socket.js').Message} message */
function onChange(before, message) {
  drawer?.take(message);
  device?.take(message);
  asset?.take(message);
  const { kind, id = '', record } = message;
  if (message.type !== 'change' || !record) return;
  if (kind === 'ticket') {
    const old = before.tickets.get(id);
    if (!old) announcer.say(t('announce.ticket_new', { code: record.code, title: record.title }));
    else if (old.status !== record.status) announcer.say(t('announce.ticket', { code: record.code, status: label('status', record.status) }));
  }
  if (kind === 'alarm') announcer.say(t('announce.alarm', { cause: label('cause', record.cause), place: placeOf(record), state: label('alarm', record.state) }));
}

/** @param {string} [notice] */
function showSignIn(notice) {
  socket.stop();
  app.leave();
  closePanels();
  views = [];
  drawSignIn(root, { notice, signIn: async (email, password) => {
    await session.signIn(email, password);
    await start();
  } });
}

/** Finds the buildings of who is signed in and shows one. */
async function start() {
  try {
    buildings = (await api.me()).buildings;
  } catch (thrown) {
    const problem = fromThrown(thrown);
    if (!problem.signedOut) drawWaiting(root, problem, () => void start());
    return;
  }
  if (buildings.length === 0) {
    socket.stop();
    return drawNoBuildings(root, () => void session.signOut());
  }
  const shell = makeShell(root, { app, buildings, pick, signOut: () => void session.signOut(), filter: (filter) => tickets.choose({ filter }), show, now });
  const deps = { app, now };
  const tickets = makeTickets(shell.places.tickets, deps);
  views = [shell, tickets, makeDevices(shell.places.devices, deps), makeAssets(shell.places.assets, deps), makeRules(shell.places.rules, deps), makeAlarms(shell.places.alarms, deps), makeConflicts(shell.places.conflicts, deps), makeEdges(shell.places.edges, deps)];
  const closed = (/** @type {string} */ name) => () => location.hash.startsWith(`#${name}/`) && history.replaceState(null, '', `#${document.body.dataset.section}`);
  drawer ??= makeDrawer({ app, now, closed: closed('ticket') });
  device ??= makeDevice({ app, now, closed: closed('device') });
  asset ??= makeAsset({ app, now, closed: closed('asset') });
  rule ??= makeRule({ app, now, closed: closed('rule') });
  const last = sessionStorage.getItem(buildingKey);
  pick((buildings.find((b) => b.id === last) ?? buildings[0]).id);
}

/** @param {string} id */
function pick(id) {
  const building = buildings.find((b) => b.id === id);
  if (!building) return;
  sessionStorage.setItem(buildingKey, id);
  if (app.building && app.building.id !== id) closePanels();
  app.enter(building);
  document.title = `${building.name} · ${t('app.name')}`;
  wasDown = false;
  socket.follow(id);
  route();
}

/** What opens over a section, by the name in the address. */
function panels() {
  return /** @type {const} */ ({ ticket: drawer, device, asset, rule });
}

function closePanels() {
  for (const panel of Object.values(panels())) panel?.close();
}

/** Shows what the address names: a section, or one thing over the one that is shown. */
function route() {
  const [name, ...rest] = location.hash.slice(1).split('/');
  if (sections.includes(name)) choose(name);
  document.body.dataset.section ??= sections[0];
  document.body.dataset.main ??= mainSections[0];
  for (const [kind, panel] of Object.entries(panels())) {
    if (kind === name && rest.length > 0 && app.building) void panel?.open(decodeURIComponent(rest.join('/')));
    else panel?.close();
  }
  draw();
}

/** @param {string} section */
function choose(section) {
  document.body.dataset.section = section;
  if (mainSections.includes(section)) document.body.dataset.main = section;
}

/** Brings a section that was asked for into view and puts the keyboard there. @param {string} section */
function show(section) {
  choose(section);
  const place = byId(`section-${section}`);
  if (isWide() && !mainSections.includes(section)) place.scrollIntoView({ block: 'nearest' });
  else window.scrollTo(0, 0); // it is the only one in its column
  place.focus({ preventScroll: true });
}

async function resume() {
  drawWaiting(root, null, () => {});
  try {
    if (await session.resume()) await start();
    else if (!root.querySelector('form')) showSignIn();
  } catch (thrown) {
    drawWaiting(root, fromThrown(thrown), () => void resume());
  }
}

window.addEventListener('hashchange', route);
matchMedia(wide).addEventListener('change', draw);
window.addEventListener('online', () => socket.online());
window.addEventListener('offline', () => socket.offline());
document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && socket.online());
setInterval(() => {
  tick(document, now());
  if (app.building && document.visibilityState === 'visible' && document.body.dataset.main === 'devices') app.refreshDevices();
  draw();
}, tickEvery);
void resume();
