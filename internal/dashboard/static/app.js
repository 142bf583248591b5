// @ts-check
// Holds the state of the building that is shown, asks the API, takes in changes, and says
// when something is to be drawn anew.

import { dayStart } from './time.js';
import { nextSilence } from './edge-state.js';
import { fromThrown } from './problem.js';
import { begin, countTickets, keyOf, listName, listOf, reduce } from './state.js';

/** Days of the chart. */
export const chartDays = 14;
/** Pages of all tickets that the chart may read; it says from when on it counts. */
const chartPages = 5;
/** Waits that put many changes into one question. */
const soon = 300;
const later = 2_000;
const edgesEvery = 5_000;
/** Alarms of the past that are shown. */
const clearedMax = 20;

const open = /** @type {const} */ ({ filter: 'open', query: '' });
const urgent = /** @type {const} */ ({ filter: 'urgent', query: '' });
const all = /** @type {const} */ ({ filter: 'all', query: '' });
const staff = ['technician', 'manager', 'admin'];
const managers = ['manager', 'admin'];

/** @typedef {{id: string, name: string, code: string, role: string}} Building */

export class App {
  /** @type {import('./state.js').State} */
  state = begin('');
  /** @type {Building|null} */
  building = null;
  /** @type {{person: string, name?: string}[]} */
  members = [];
  /** Whether this server keeps edges and the caller may see them. */
  hasEdges = false;
  /** Whether devices are heard; null where only the box knows. @type {any} */
  hearing = null;
  /** How much room readings take, and have; null where only the box knows. @type {any} */
  disk = null;
  /** @type {{id: string, name: string, floor?: string}[]} */
  units = [];
  /** @type {import('./line.js').Line} */
  line = { name: 'idle', attempt: 0, liveAt: null };
  /** Since when the line has not been live; null while it is. @type {number|null} */
  downSince = null;
  /** @type {Map<string, any>} */
  #timers = new Map();
  #epoch = 0;
  /** The last question of each list; the answer to an earlier one is no longer wanted. @type {Map<string, number>} */
  #asked = new Map();

  /**
   * @param {{api: import('./api.js').Api, now: () => number, draw: () => void, onChange: (before: import('./state.js').State, message: import('./socket.js').Message) => void}} deps
   */
  constructor(deps) {
    this.deps = deps;
    this.api = deps.api;
  }

  get staff() {
    return staff.includes(this.building?.role ?? '');
  }

  get manages() {
    return managers.includes(this.building?.role ?? '');
  }

  /** @param {Building} building */
  enter(building) {
    this.#forget();
    this.building = building;
    this.members = [];
    this.units = [];
    this.hearing = null;
    this.disk = null;
    this.hasEdges = this.manages;
    this.state = begin(building.id);
    this.downSince = null;
    this.deps.draw();
  }

  leave() {
    this.#forget();
    this.building = null;
    this.state = begin('');
  }

  #forget() {
    this.#epoch++;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  /** @param {import('./state.js').Event} event */
  dispatch(event) {
    this.state = reduce(this.state, event);
    this.deps.draw();
  }

  /** @param {import('./line.js').Line} line */
  setLine(line) {
    const up = line.name === 'live' || line.name === 'probing';
    if (up) this.downSince = null;
    else if (this.line.name === 'live' || this.line.name === 'probing') this.downSince = this.line.liveAt;
    this.line = line;
    this.deps.draw();
  }

  /** Reads everything that the page shows. */
  reload() {
    this.#epoch++;
    if (listOf(this.state, listName(open)).known) this.dispatch({ type: 'stale' });
    void this.loadTickets(this.state.choice);
    for (const choice of [open, urgent]) if (listName(choice) !== listName(this.state.choice)) void this.loadTickets(choice);
    void this.#loadChart();
    void this.loadAlarms();
    void this.loadConflicts();
    void this.loadEdges();
    void this.#loadMembers();
    void this.loadDevices();
    void this.loadAssets();
    void this.loadRefusals();
    void this.loadRules();
    void this.#loadUnits();
  }

  /**
   * Reads one list and takes the answer in, unless the page has moved on.
   * @param {string} list
   * @param {() => Promise<import('./state.js').Event>} ask
   * @param {() => void} [taken] takes in what came beside the list
   */
  async #load(list, ask, taken = () => {}) {
    const epoch = this.#epoch;
    const number = (this.#asked.get(list) ?? 0) + 1;
    this.#asked.set(list, number);
    const wanted = () => epoch === this.#epoch && this.#asked.get(list) === number;
    this.dispatch({ type: 'loading', list });
    try {
      const event = await ask();
      if (!wanted()) return;
      taken();
      this.dispatch(event);
    } catch (thrown) {
      if (wanted()) this.dispatch({ type: 'failed', list, problem: fromThrown(thrown) });
    }
  }

  /** @param {import('./state.js').Choice} choice @param {string} [cursor] */
  loadTickets(choice, cursor) {
    const list = listName(choice);
    return this.#load(list, async () => {
      const got = await this.api.tickets(this.state.building, choice, cursor);
      return { type: 'loaded', list, kind: 'tickets', items: got.items, next: got.next, total: got.total };
    });
  }

  /** @param {import('./state.js').Choice} choice */
  choose(choice) {
    this.dispatch({ type: 'choose', choice });
    if (!listOf(this.state, listName(choice)).known) void this.loadTickets(choice);
  }

  async #loadChart() {
    const epoch = this.#epoch;
    const start = dayStart(this.deps.now(), chartDays - 1);
    let cursor = '';
    for (let page = 0; page < chartPages; page++) {
      await this.loadTickets(all, cursor);
      const list = listOf(this.state, listName(all));
      if (epoch !== this.#epoch || list.status !== 'ready' || list.next === '' || list.reach < start) return;
      cursor = list.next;
    }
  }

  loadAlarms() {
    return this.#load('alarms', async () => {
      const b = this.state.building;
      const [present, past] = await Promise.all([this.api.alarms(b, 'active,acknowledged'), this.api.alarms(b, 'cleared', clearedMax)]);
      return { type: 'loaded', list: 'alarms', kind: 'alarms', items: [...present.items, ...past.items], total: present.total };
    });
  }

  loadConflicts() {
    return this.#load('conflicts', async () => {
      const got = await this.api.conflicts(this.state.building);
      return { type: 'loaded', list: 'conflicts', kind: 'conflicts', items: got.items, total: got.total, whole: true };
    });
  }

  async loadEdges() {
    if (!this.hasEdges) return;
    await this.#load('edges', async () => {
      const b = this.state.building;
      const [got, sync] = await Promise.all([this.api.edges(b), this.api.sync(b).catch(() => null)]);
      const held = sync?.quarantine ?? [];
      const notices = sync?.notices ?? [];
      if (got === null && sync?.link) {
        // This page comes from the building's own box: it tells of its link to the cloud.
        const own = { id: b, building: b, own: true, heard_at: sync.link.heard_at ?? sync.link.since, link: sync.link, held, notices };
        return { type: 'loaded', list: 'edges', kind: 'edges', items: [own], whole: true };
      }
      this.hasEdges = got !== null;
      const items = (got?.items ?? []).map((/** @type {any} */ edge) => ({
        ...edge, held: held.filter((/** @type {any} */ q) => q.peer === edge.id), notices: notices.filter((/** @type {any} */ n) => n.node === edge.id),
      }));
      return { type: 'loaded', list: 'edges', kind: 'edges', items, whole: true };
    });
    this.watchSilence();
  }

  /** Asks about an edge once it may have gone, before it is called offline. */
  watchSilence() {
    const now = this.deps.now();
    const at = nextSilence(this.state.edges.values(), now);
    if (at !== null) this.#once('silence', at - now + 1000, () => void this.loadEdges());
  }

  async #loadMembers() {
    if (!this.staff) return;
    const epoch = this.#epoch;
    try {
      const got = await this.api.members(this.state.building);
      if (epoch === this.#epoch) this.members = got.items.filter((/** @type {any} */ m) => m.active && staff.includes(m.role));
      this.deps.draw();
    } catch {
      // The list of names to assign to stays as it was; the ticket's own name shows anyway.
    }
  }

  async loadDevices() {
    if (!this.staff) return;
    await this.#load('devices', async () => ({ type: 'loaded', list: 'devices', kind: 'devices', items: await this.api.devices(this.state.building), whole: true }));
  }

  async loadAssets() {
    if (!this.staff) return;
    await this.#load('assets', async () => ({ type: 'loaded', list: 'assets', kind: 'assets', items: await this.api.assets(this.state.building), whole: true }));
  }

  async loadRefusals() {
    if (!this.staff) return;
    let told = {};
    await this.#load('refusals', async () => {
      const b = this.state.building;
      const [hearing, disk, got] = await Promise.all([this.api.hearing(b), this.api.readingsDisk(b), this.api.refusals(b)]);
      told = { hearing, disk };
      return { type: 'loaded', list: 'refusals', kind: 'refusals', items: got?.items ?? [], whole: true };
    }, () => Object.assign(this, told));
  }

  async #loadUnits() {
    if (!this.staff) return;
    const epoch = this.#epoch;
    try {
      const units = await this.api.units(this.state.building);
      if (epoch === this.#epoch) this.units = units;
      this.deps.draw();
    } catch {
      // The units to choose from stay as they were.
    }
  }

  /** Takes in a device as an answer gave it; the push follows. @param {any} item */
  takeDevice(item) {
    this.#takeItem('device', item.id, item);
  }

  /** @param {string} id */
  dropDevice(id) {
    this.#takeItem('device', id, null);
  }

  /** Takes in equipment as an answer gave it; the push follows. @param {any} item */
  takeAsset(item) {
    this.#takeItem('asset', item.id, item);
  }

  /** @param {string} id */
  dropAsset(id) {
    this.#takeItem('asset', id, null);
  }

  /** An answer has no position: it is as new as what is shown. @param {string} kind @param {string} id @param {any} item */
  #takeItem(kind, id, item) {
    this.dispatch({ type: 'change', kind, id, position: this.state.positions.get(`${kind} ${id}`) ?? 0, item });
  }

  async loadRules() {
    if (!this.staff) return;
    await this.#load('rules', async () => ({ type: 'loaded', list: 'rules', kind: 'rules', items: (await this.api.rules(this.state.building)).items ?? [], whole: true }));
  }

  /** Reads again what nothing is pushed for: when devices were heard, and what was refused. */
  refreshDevices() {
    void this.loadDevices();
    void this.loadRefusals();
  }

  /** @param {import('./socket.js').Message} message */
  take(message) {
    const before = this.state;
    if (message.type === 'change') this.#change(message);
    if (message.type === 'edge') {
      if (message.edge) this.dispatch({ type: 'edge', item: { held: [], notices: [], ...this.state.edges.get(message.edge.id), ...message.edge } });
      else this.#once('edges', soon, () => void this.loadEdges());
      this.watchSilence();
    }
    if (message.type === 'sync') this.#once('edges', soon, () => void this.loadEdges());
    this.deps.onChange(before, message);
  }

  /** @param {import('./socket.js').Message} message */
  #change(message) {
    const { kind = '', id = '', record } = message;
    this.dispatch({ type: 'change', kind, id, position: message.position ?? 0, item: record ?? null });
    const known = [...this.state.conflicts.values()].some((c) => c.id === id);
    if (known || record?.conflicts?.length > 0) this.#once('conflicts', soon, () => void this.loadConflicts());
    if (kind === 'membership') this.#once('members', soon, () => void this.#loadMembers());
    if (kind === 'rule') this.#once('rules', soon, () => void this.loadRules());
    if (kind === 'unit') this.#once('units', soon, () => void this.#loadUnits());
    if (kind === 'ticket') this.#once('totals', later, () => void this.#loadTotals());
    // A change may have come from an edge, whose receipt moved with it.
    if (this.hasEdges && !this.#timers.has('edges')) this.#once('edges', edgesEvery, () => void this.loadEdges());
  }

  /** Totals of lists that are too long to be here whole. */
  async #loadTotals() {
    const epoch = this.#epoch;
    for (const choice of [open, urgent]) {
      const list = listName(choice);
      if (listOf(this.state, list).next === '') continue;
      try {
        const got = await this.api.tickets(this.state.building, choice, '', 1);
        if (epoch === this.#epoch) this.dispatch({ type: 'total', list, total: got.total });
      } catch {
        return; // the next change asks again
      }
    }
  }

  /** @param {string} name @param {number} after @param {() => void} act */
  #once(name, after, act) {
    clearTimeout(this.#timers.get(name));
    this.#timers.set(name, setTimeout(() => {
      this.#timers.delete(name);
      act();
    }, after));
  }

  /** @param {import('./state.js').Conflict} conflict @param {any} value */
  async resolve(conflict, value) {
    await this.api.resolve(this.state.building, conflict, value);
    const key = keyOf('conflicts', conflict);
    const rest = [...this.state.conflicts.values()].filter((c) => keyOf('conflicts', c) !== key);
    this.dispatch({ type: 'loaded', list: 'conflicts', kind: 'conflicts', items: rest, total: rest.length, whole: true });
    void this.loadConflicts();
    if (conflict.kind === 'ticket') await this.readTicket(conflict.id);
  }

  /** @param {string} id */
  async readTicket(id) {
    const item = await this.api.ticket(this.state.building, id);
    this.dispatch({ type: 'ticket', item });
    return item;
  }

  /** What the strip shows; null for what is not known yet. */
  counts() {
    const known = (/** @type {string} */ list, /** @type {() => number} */ count) => (listOf(this.state, list).known ? count() : null);
    return {
      open: countTickets(this.state, open),
      urgent: countTickets(this.state, urgent),
      alarms: known('alarms', () => [...this.state.alarms.values()].filter((a) => a.state === 'active').length),
      devices: known('devices', () => [...this.state.devices.values()].filter((d) => !d.adopted).length),
      conflicts: known('conflicts', () => Math.max(listOf(this.state, 'conflicts').total, this.state.conflicts.size)),
    };
  }
}
