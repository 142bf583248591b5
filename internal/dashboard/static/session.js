// @ts-check
// Who is signed in.
//
//   signed out ──sign in / resume──▶ signed in ──refresh refused / sign out──▶ signed out
//
// The access token stays in memory. The refresh token is in sessionStorage so that a
// reload does not end the session; it works once, so there is never more than one refresh
// under way, and a duplicated tab is told of the new token.

import { fromAnswer, fromFetch, fromThrown, Problem } from './problem.js';

/** Where the refresh token is kept. */
export const storageKey = 'estate.refresh';

/** A token that ends within this is refreshed before it is used. */
const leeway = 60_000;

/** What one request may take. */
const requestTimeout = 30_000;

/**
 * @typedef {{access_token: string, access_expires: string, refresh_token: string, person: string}} Tokens
 * @typedef {{getItem(k: string): string|null, setItem(k: string, v: string): void, removeItem(k: string): void}} Store
 * @typedef {{postMessage(m: unknown): void, onmessage: ((e: any) => void)|null}} Channel
 */

export class Session {
  /** @type {Tokens|null} */
  #tokens = null;
  /** @type {Promise<void>|null} */
  #refreshing = null;

  /**
   * @param {{fetch: typeof fetch, store: Store, now: () => number, onEnd: (expected: boolean) => void, channel?: Channel, base?: string}} deps
   */
  constructor(deps) {
    this.deps = deps;
    this.base = deps.base ?? '';
    if (deps.channel) deps.channel.onmessage = (e) => this.#adopt(e.data);
  }

  get signedIn() {
    return this.#tokens !== null;
  }

  get person() {
    return this.#tokens?.person ?? '';
  }

  /** @param {string} email @param {string} password */
  async signIn(email, password) {
    this.#keep(await this.#post('/auth/login', { email, password }));
  }

  /**
   * Goes on with the session of this tab, if there is one. It throws where that cannot be
   * found out now.
   */
  async resume() {
    if (!this.deps.store.getItem(storageKey)) return false;
    try {
      await this.refresh();
      return true;
    } catch (thrown) {
      if (fromThrown(thrown).signedOut) return false;
      throw thrown;
    }
  }

  /**
   * A token that is good for now.
   * @param {string} [refused] the token that the server just called expired
   */
  async token(refused) {
    const held = this.#tokens;
    const expires = held ? Date.parse(held.access_expires) : 0;
    if (!held || held.access_token === refused || expires - this.deps.now() < leeway) await this.refresh();
    if (!this.#tokens) throw new Problem({ code: 'unauthenticated', message: '', status: 401 });
    return this.#tokens.access_token;
  }

  /** New tokens; callers at once share one exchange. */
  refresh() {
    this.#refreshing ??= this.#exchange().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  async #exchange() {
    const used = this.#tokens?.refresh_token ?? this.deps.store.getItem(storageKey);
    if (!used) throw new Problem({ code: 'unauthenticated', message: '', status: 401 });
    try {
      const tokens = await this.#post('/auth/refresh', { refresh_token: used });
      this.#keep(tokens);
      this.deps.channel?.postMessage({ used, tokens });
    } catch (thrown) {
      const problem = fromThrown(thrown);
      // Only a refusal ends the session: an unreachable server says nothing about it.
      if (problem.signedOut || problem.status === 403) this.#end(false);
      throw problem;
    }
  }

  async signOut() {
    const held = this.#tokens;
    this.#end(true);
    if (!held) return;
    try {
      await this.#post('/auth/logout', undefined, held.access_token);
    } catch {
      // The tab has forgotten its tokens either way.
    }
  }

  /** The server no longer accepts this session's tokens. */
  refused() {
    if (this.#tokens) this.#end(false);
  }

  /** @param {Tokens} tokens */
  #keep(tokens) {
    this.#tokens = tokens;
    this.deps.store.setItem(storageKey, tokens.refresh_token);
  }

  /** @param {boolean} expected */
  #end(expected) {
    this.#tokens = null;
    this.deps.store.removeItem(storageKey);
    this.deps.onEnd(expected);
  }

  /** @param {{used?: string, tokens?: Tokens}} message another tab's exchange */
  #adopt(message) {
    if (!message?.tokens || !message.used) return;
    if (message.used === (this.#tokens?.refresh_token ?? this.deps.store.getItem(storageKey))) this.#keep(message.tokens);
  }

  /**
   * @param {string} path
   * @param {unknown} body
   * @param {string} [access]
   */
  async #post(path, body, access) {
    /** @type {Record<string, string>} */
    const headers = {};
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    if (access) headers.Authorization = `Bearer ${access}`;
    let answer;
    try {
      answer = await this.deps.fetch(this.base + path, {
        method: 'POST', headers, body: body === undefined ? undefined : JSON.stringify(body),
        cache: 'no-store', signal: AbortSignal.timeout(requestTimeout),
      });
    } catch (thrown) {
      throw fromFetch(thrown);
    }
    if (!answer.ok) throw await fromAnswer(answer);
    return answer.status === 204 ? null : answer.json();
  }
}
