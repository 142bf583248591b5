// @ts-check
// The public API, one function for each thing that the page asks.

import { fromAnswer, fromFetch, fromThrown, Problem } from './problem.js';

/** What one request may take. */
const requestTimeout = 30_000;
/** What one file may take over a slow line. */
const fileTimeout = 120_000;
/** Items of one page of a list: the most that the server gives. */
export const perPage = 200;

export class Api {
  /** @param {{fetch: typeof fetch, session: import('./session.js').Session, base?: string}} deps */
  constructor(deps) {
    this.deps = deps;
    this.base = deps.base ?? '';
  }

  /**
   * One request, once more with a new token where the server calls the first expired.
   * @param {string} method
   * @param {string} path
   * @param {{body?: unknown, headers?: Record<string, string>, timeout?: number}} [options]
   * @returns {Promise<Response>}
   */
  async request(method, path, options = {}) {
    const token = await this.deps.session.token();
    try {
      return await this.#once(method, path, token, options);
    } catch (thrown) {
      const problem = fromThrown(thrown);
      if (problem.code === 'token_expired') return this.#once(method, path, await this.deps.session.token(token), options);
      if (problem.signedOut) this.deps.session.refused();
      throw problem;
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {string} token
   * @param {{body?: unknown, headers?: Record<string, string>, timeout?: number}} options
   */
  async #once(method, path, token, options) {
    /** @type {Record<string, string>} */
    const headers = { ...options.headers, Authorization: `Bearer ${token}` };
    if (options.body !== undefined) headers['Content-Type'] = 'application/json';
    let answer;
    try {
      answer = await this.deps.fetch(this.base + path, {
        method, headers, body: options.body === undefined ? undefined : JSON.stringify(options.body),
        cache: 'no-store', signal: AbortSignal.timeout(options.timeout ?? requestTimeout),
      });
    } catch (thrown) {
      throw fromFetch(thrown);
    }
    if (!answer.ok) throw await fromAnswer(answer);
    return answer;
  }

  /** @param {string} path @param {Record<string, string|number|boolean|undefined>} [query] */
  async #get(path, query = {}) {
    const set = Object.entries(query).filter(([, value]) => value !== undefined && value !== '' && value !== false);
    const search = new URLSearchParams(set.map(([name, value]) => [name, String(value)])).toString();
    const answer = await this.request('GET', search ? `${path}?${search}` : path);
    return this.#json(answer);
  }

  /** @param {string} path @param {unknown} body */
  async #post(path, body) {
    // One key for one intended action: a retry inside fetch is the same action.
    const headers = { 'Idempotency-Key': crypto.randomUUID() };
    return this.#json(await this.request('POST', path, { body, headers }));
  }

  /** A change of what was shown under a token. @param {string} path @param {string} seen @param {unknown} body */
  async #change(path, seen, body) {
    return this.#json(await this.request('PATCH', path, { body, headers: { 'If-Match': `"${seen}"` } }));
  }

  /** @param {Response} answer */
  async #json(answer) {
    if (answer.status === 204) return null;
    try {
      return await answer.json();
    } catch (thrown) {
      throw fromFetch(thrown);
    }
  }

  me() {
    return this.#get('/auth/me');
  }

  /** @param {string} b @param {import('./state.js').Choice} choice @param {string} [cursor] @param {number} [size] */
  tickets(b, choice, cursor, size = perPage) {
    const open = choice.filter !== 'all';
    const priority = choice.filter === 'urgent' ? 'urgent' : undefined;
    return this.#get(`/buildings/${b}/tickets`, { open, priority, q: choice.query, per_page: size, cursor });
  }

  /** @param {string} b @param {string} id */
  ticket(b, id) {
    return this.#get(`/buildings/${b}/tickets/${id}`);
  }

  /** @param {string} b @param {string} id @param {string} seen @param {Record<string, unknown>} change */
  changeTicket(b, id, seen, change) {
    return this.#change(`/buildings/${b}/tickets/${id}`, seen, change);
  }

  /**
   * Everything of a thread, page by page up to a bound that no honest ticket reaches.
   * @param {string} b @param {string} ticket @param {'messages'|'notes'|'media'} part
   */
  async thread(b, ticket, part) {
    const items = [];
    let cursor = '';
    for (let page = 0; page < 10; page++) {
      const list = await this.#get(`/buildings/${b}/tickets/${ticket}/${part}`, { per_page: perPage, cursor });
      items.push(...list.items);
      cursor = list.next ?? '';
      if (!cursor) break;
    }
    return items;
  }

  /** @param {string} b @param {string} ticket @param {'messages'|'notes'} part @param {string} text */
  say(b, ticket, part, text) {
    return this.#post(`/buildings/${b}/tickets/${ticket}/${part}`, { text });
  }

  /** @param {string} b @param {string} media @param {'thumbnail'|'content'} part */
  async file(b, media, part) {
    const answer = await this.request('GET', `/buildings/${b}/media/${media}/${part}`, { timeout: fileTimeout });
    try {
      return await answer.blob();
    } catch (thrown) {
      throw fromFetch(thrown);
    }
  }

  /** @param {string} b @param {string} kind @param {string} id */
  history(b, kind, id) {
    return this.#get(`/buildings/${b}/audit`, { kind, id, per_page: 100 });
  }

  /** @param {string} b */
  conflicts(b) {
    return this.#get(`/buildings/${b}/conflicts`, { per_page: perPage });
  }

  /** @param {string} b @param {import('./state.js').Conflict} conflict @param {unknown} value */
  resolve(b, conflict, value) {
    const { kind, id, field, seen } = conflict;
    return this.#post(`/buildings/${b}/conflicts/resolve`, { kind, id, field, value, seen });
  }

  /** @param {string} b @param {string} [state] @param {number} [size] */
  alarms(b, state, size = perPage) {
    return this.#get(`/buildings/${b}/alarms`, { state, per_page: size });
  }

  /** @param {string} b @param {string} alarm */
  acknowledge(b, alarm) {
    return this.#post(`/buildings/${b}/alarms/${alarm}/acknowledge`, undefined);
  }

  /** @param {string} b @param {{device: string}|{asset: string}} of */
  alarmsOf(b, of) {
    return this.#get(`/buildings/${b}/alarms`, { ...of, per_page: 50 });
  }

  /** @param {string} b @param {{asset: string}} of */
  ticketsOf(b, of) {
    return this.#get(`/buildings/${b}/tickets`, { ...of, per_page: 50 });
  }

  /** @param {string} b @param {string} alarm */
  endAlarm(b, alarm) {
    return this.#post(`/buildings/${b}/alarms/${alarm}/end`, undefined);
  }

  /** All pages of a list, up to a bound. @param {string} path @param {number} pages */
  async #all(path, pages) {
    const items = [];
    let cursor = '';
    for (let page = 0; page < pages; page++) {
      const list = await this.#get(path, { per_page: perPage, cursor });
      items.push(...list.items);
      cursor = list.next ?? '';
      if (!cursor) break;
    }
    return items;
  }

  /** @param {string} b */
  devices(b) {
    return this.#all(`/buildings/${b}/devices`, 10);
  }

  /** @param {string} b */
  units(b) {
    return this.#all(`/buildings/${b}/units`, 10);
  }

  /** @param {string} b @param {string} id */
  device(b, id) {
    return this.#get(`/buildings/${b}/devices/${id}`);
  }

  /** @param {string} b @param {string} id @param {{name?: string, unit?: string, asset?: string}} as */
  adopt(b, id, as) {
    return this.#post(`/buildings/${b}/devices/${id}/adopt`, as);
  }

  /** @param {string} b @param {string} id @param {string} seen @param {Record<string, unknown>} change */
  changeDevice(b, id, seen, change) {
    return this.#change(`/buildings/${b}/devices/${id}`, seen, change);
  }

  /** @param {string} b @param {string} id */
  asset(b, id) {
    return this.#get(`/buildings/${b}/assets/${id}`);
  }

  /** @param {string} b @param {Record<string, string>} asset */
  enterAsset(b, asset) {
    return this.#post(`/buildings/${b}/assets`, asset);
  }

  /** @param {string} b @param {string} id @param {string} seen @param {Record<string, unknown>} change */
  changeAsset(b, id, seen, change) {
    return this.#change(`/buildings/${b}/assets/${id}`, seen, change);
  }

  /** @param {string} b */
  assets(b) {
    return this.#all(`/buildings/${b}/assets`, 10);
  }

  /** @param {string} b @param {string} id */
  series(b, id) {
    return this.#get(`/buildings/${b}/devices/${id}/series`);
  }

  /** @param {string} b @param {string} id @param {{key: string, unit_of_measure?: string, from: string, to: string, points: number}} query */
  readings(b, id, query) {
    return this.#get(`/buildings/${b}/devices/${id}/readings`, query);
  }

  /** What a device says and can be told; null where that is not known. @param {string} b @param {string} id */
  entities(b, id) {
    return this.#local(`/buildings/${b}/devices/${id}/entities`);
  }

  /** What a device can be told. @param {string} b @param {string} id */
  controls(b, id) {
    return this.#get(`/buildings/${b}/devices/${id}/controls`);
  }

  /** @param {string} b @param {string} id */
  actions(b, id) {
    return this.#get(`/buildings/${b}/devices/${id}/actions`, { per_page: 10 });
  }

  /** What an order would do, and the token that confirms it. @param {string} b @param {string} id @param {string} control @param {string} value */
  planAction(b, id, control, value) {
    return this.#post(`/buildings/${b}/devices/${id}/actions/plan`, { control, value });
  }

  /** @param {string} b @param {string} id @param {string} token */
  order(b, id, token) {
    return this.#post(`/buildings/${b}/devices/${id}/actions`, { token });
  }

  /** @param {string} b */
  rules(b) {
    return this.#get(`/buildings/${b}/rules`);
  }

  /** @param {string} b @param {string} id @param {string} seen @param {any} rule */
  async saveRule(b, id, seen, rule) {
    const headers = seen ? { 'If-Match': `"${seen}"` } : undefined;
    return this.#json(await this.request('PUT', `/buildings/${b}/rules/${encodeURIComponent(id)}`, { body: rule, headers }));
  }

  /** @param {string} b @param {string} id */
  resetRule(b, id) {
    return this.request('DELETE', `/buildings/${b}/rules/${encodeURIComponent(id)}`);
  }

  /** @param {string} b @param {any} rule @param {string} from */
  async tryRule(b, rule, from) {
    return this.#json(await this.request('POST', `/buildings/${b}/rules/try?from=${encodeURIComponent(from)}`, { body: rule, timeout: fileTimeout }));
  }

  /** Whether devices are heard; null where that is not known. @param {string} b */
  hearing(b) {
    return this.#local(`/buildings/${b}/hearing`);
  }

  /** How much room readings take, and have; null where that is not known. @param {string} b */
  readingsDisk(b) {
    return this.#local(`/buildings/${b}/readings/disk`);
  }

  /** What devices sent and was not taken; null where that is not known. @param {string} b */
  refusals(b) {
    return this.#local(`/buildings/${b}/refusals`);
  }

  /** @param {string} b */
  members(b) {
    return this.#get(`/buildings/${b}/members`, { per_page: perPage });
  }

  /** The edges of a building; null where this server keeps none. @param {string} b */
  edges(b) {
    return this.#local(`/buildings/${b}/edges`);
  }

  /** What only one of box and cloud knows; null at the other. @param {string} path */
  async #local(path) {
    try {
      return await this.#get(path);
    } catch (thrown) {
      const problem = fromThrown(thrown);
      if (problem instanceof Problem && problem.status === 404) return null;
      throw problem;
    }
  }

  /** @param {string} b */
  sync(b) {
    return this.#get(`/buildings/${b}/sync`);
  }

  /** @param {string} b */
  enrol(b) {
    return this.#post('/edges', { building: b });
  }

  /** @param {string} edge */
  revoke(edge) {
    return this.request('DELETE', `/edges/${edge}`);
  }
}
