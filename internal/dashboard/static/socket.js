// @ts-check
// Drives the line (line.js): opens WebSockets, keeps the cursor, and hands messages on.
// A line counts as live when the server has answered the subscription, not when the
// socket is open.

import { idle, step } from './line.js';

/** The protocol, and how the token travels: a browser cannot set headers here. */
const protocol = 'estate.v1';
const bearer = 'estate.bearer.';

/**
 * @typedef {{type: string, building?: string, kind?: string, id?: string, ticket?: string, position?: number, cursor?: string,
 *   reset?: boolean, record?: any, edge?: any, link?: any, code?: string, message?: string, remedy?: string}} Message
 */

export class Socket {
  #line = idle;
  #building = '';
  #cursor = '';
  /** @type {WebSocket|null} */
  #socket = null;
  /** @type {any} */
  #timer = null;
  #epoch = 0;

  /**
   * @param {{url: string, WebSocket: typeof WebSocket, token: (attempt: number) => Promise<string>, now: () => number, random: () => number,
   *   setTimeout: (fn: () => void, after: number) => any, clearTimeout: (timer: any) => void,
   *   onLine: (line: import('./line.js').Line) => void, onMessage: (message: Message) => void}} deps
   */
  constructor(deps) {
    this.deps = deps;
  }

  get line() {
    return this.#line;
  }

  /** Follows a building from now on. @param {string} building */
  follow(building) {
    this.stop();
    this.#building = building;
    this.#cursor = '';
    this.#take('start');
  }

  stop() {
    this.#take('stop');
  }

  online() {
    this.#take('online');
  }

  offline() {
    this.#take('offline');
  }

  /** @param {import('./line.js').EventName} event */
  #take(event) {
    const before = this.#line;
    const { line, effects } = step(before, event, { at: this.deps.now(), random: this.deps.random() });
    this.#line = line;
    for (const effect of effects) this.#perform(effect);
    if (line !== before) this.deps.onLine(line);
  }

  /** @param {import('./line.js').Effect} effect */
  #perform(effect) {
    switch (effect.do) {
      case 'open':
        void this.#open();
        break;
      case 'close':
        this.#drop();
        break;
      case 'probe':
        this.#subscribe();
        break;
      case 'timer':
        this.#timer = this.deps.setTimeout(() => this.#take('timer'), effect.after);
        break;
      case 'clear':
        this.deps.clearTimeout(this.#timer);
    }
  }

  #drop() {
    this.#epoch++;
    this.#socket?.close();
    this.#socket = null;
  }

  async #open() {
    this.#drop();
    const epoch = this.#epoch;
    let token;
    try {
      token = await this.deps.token(this.#line.attempt);
    } catch {
      if (epoch === this.#epoch) this.#take('lost');
      return;
    }
    if (epoch !== this.#epoch) return; // the line has moved on meanwhile
    const socket = new this.deps.WebSocket(this.deps.url, [protocol, bearer + token]);
    this.#socket = socket;
    const current = () => this.#socket === socket;
    socket.onopen = () => current() && this.#subscribe();
    socket.onclose = () => current() && this.#take('lost');
    socket.onmessage = (event) => current() && this.#receive(event.data);
  }

  /** Says where to continue; while live it asks whether the server is still there. */
  #subscribe() {
    this.#socket?.send(JSON.stringify({ type: 'subscribe', building: this.#building, cursor: this.#cursor || undefined }));
  }

  /** @param {unknown} data */
  #receive(data) {
    /** @type {Message} */
    let message;
    try {
      message = JSON.parse(String(data));
    } catch {
      return this.#take('lost'); // not our server
    }
    if (message.building && message.building !== this.#building) return;
    const fresh = this.#cursor === '';
    // Handed on first: a change that could not be taken in is sent again.
    this.deps.onMessage(message.type === 'subscribed' ? { ...message, reset: fresh || message.reset } : message);
    if (message.cursor) this.#cursor = message.cursor;
    this.#take(message.type === 'subscribed' ? 'ready' : 'heard');
  }
}
