import assert from 'node:assert/strict';
import { test } from 'node:test';

import { readyMax } from './static/line.js';
import { Socket } from './static/socket.js';

const settle = () => new Promise((done) => setImmediate(done));

/** A page with a clock and sockets that the test plays the server of. */
function setup() {
  const w = { opened: [], lines: [], messages: [], timers: new Map(), attempts: [], now: 1000, fail: null };
  let n = 0;
  class Wire {
    constructor(url, protocols) {
      Object.assign(this, { url, protocols, sent: [], closed: false });
      w.opened.push(this);
    }
    send(text) { this.sent.push(JSON.parse(text)); }
    close() { this.closed = true; }
    say(message) { this.onmessage({ data: JSON.stringify(message) }); }
  }
  w.socket = new Socket({
    url: 'ws://x/ws', WebSocket: Wire, now: () => w.now, random: () => 0,
    token: async (attempt) => { w.attempts.push(attempt); if (w.fail) throw w.fail; return 'tok'; },
    setTimeout: (fn, after) => { w.timers.set(++n, { fn, after }); return n; },
    clearTimeout: (id) => w.timers.delete(id),
    onLine: (line) => w.lines.push(line.name), onMessage: (m) => w.messages.push(m),
  });
  w.last = () => w.opened.at(-1);
  w.fire = async () => {
    const [[id, timer]] = w.timers;
    w.timers.delete(id);
    timer.fn();
    await settle();
    return timer.after;
  };
  w.live = async (cursor = 'g.1') => {
    await settle();
    w.last().onopen();
    w.last().say({ type: 'subscribed', building: 'b', cursor });
  };
  return w;
}

test('the token travels as a subprotocol and the line is live once the server answered', async () => {
  const w = setup();
  w.socket.follow('b');
  await settle();
  assert.deepEqual(w.last().protocols, ['estate.v1', 'estate.bearer.tok']);
  w.last().onopen();
  assert.deepEqual(w.last().sent, [{ type: 'subscribe', building: 'b' }]);
  assert.equal(w.socket.line.name, 'connecting', 'an open socket is not yet live');
  w.last().say({ type: 'subscribed', building: 'b', cursor: 'g.1' });
  assert.equal(w.socket.line.name, 'live');
  assert.equal(w.messages[0].reset, true, 'without a cursor everything is to be loaded');
});

test('a lost line continues at its cursor', async () => {
  const w = setup();
  w.socket.follow('b');
  await w.live();
  w.last().say({ type: 'change', building: 'b', kind: 'ticket', id: 't', position: 7, cursor: 'g.7', record: {} });
  w.last().onclose({});
  assert.equal(w.socket.line.name, 'waiting');
  assert.ok((await w.fire()) < 1000);
  w.last().onopen();
  assert.deepEqual(w.last().sent, [{ type: 'subscribe', building: 'b', cursor: 'g.7' }]);
  w.last().say({ type: 'subscribed', building: 'b', cursor: 'g.7' });
  assert.equal(w.messages.at(-1).reset, undefined, 'nothing was missed');
});

test('a refused cursor is handed on as a reset', async () => {
  const w = setup();
  w.socket.follow('b');
  await w.live();
  w.last().onclose({});
  await w.fire();
  w.last().onopen();
  w.last().say({ type: 'subscribed', building: 'b', cursor: 'h.2', reset: true });
  assert.equal(w.messages.at(-1).reset, true);
});

test('another building’s cursor and messages are not taken over', async () => {
  const w = setup();
  w.socket.follow('b');
  await w.live();
  const old = w.last();
  w.socket.follow('c');
  await settle();
  assert.equal(old.closed, true);
  old.say({ type: 'change', building: 'b', cursor: 'g.9' });
  w.last().onopen();
  assert.deepEqual(w.last().sent, [{ type: 'subscribe', building: 'c' }]);
  assert.equal(w.messages.length, 1);
});

test('silence is asked about with the cursor, and no answer is a lost line', async () => {
  const w = setup();
  w.socket.follow('b');
  await w.live('g.4');
  await w.fire();
  assert.deepEqual(w.last().sent.at(-1), { type: 'subscribe', building: 'b', cursor: 'g.4' });
  w.last().say({ type: 'subscribed', building: 'b', cursor: 'g.4' });
  assert.equal(w.socket.line.name, 'live');
  await w.fire();
  await w.fire();
  assert.equal(w.socket.line.name, 'waiting');
  assert.equal(w.last().closed, true);
});

test('without a token it waits and tries again, telling which attempt it is', async () => {
  const w = setup();
  w.fail = new Error('unreachable');
  w.socket.follow('b');
  await settle();
  assert.equal(w.socket.line.name, 'waiting');
  await w.fire();
  w.fail = null;
  await w.fire();
  assert.deepEqual(w.attempts, [0, 1, 2]);
  assert.equal(w.opened.length, 1);
});

test('a server that accepts and says nothing is given up', async () => {
  const w = setup();
  w.socket.follow('b');
  await settle();
  w.last().onopen();
  assert.equal(await w.fire(), readyMax);
  assert.deepEqual([w.socket.line.name, w.last().closed], ['waiting', true]);
});

test('what stops while a token is being fetched opens nothing', async () => {
  const w = setup();
  w.socket.follow('b');
  w.socket.stop();
  await settle();
  assert.equal(w.opened.length, 0);
  assert.equal(w.timers.size, 0);
});

test('what is no message ends the line', async () => {
  const w = setup();
  w.socket.follow('b');
  await w.live();
  w.last().onmessage({ data: '<html>' });
  assert.equal(w.socket.line.name, 'waiting');
});
