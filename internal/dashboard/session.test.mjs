import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Api } from './static/api.js';
import { Session, storageKey } from './static/session.js';

/** A server that hands out tokens a1/r1, a2/r2 … and takes each refresh token once. */
function setup({ life = 3600_000, stored } = {}) {
  let now = Date.parse('2026-05-01T12:00:00Z');
  let n = 0;
  let good = stored;
  const kept = new Map(stored ? [[storageKey, stored]] : []);
  const seen = [];
  const ended = [];
  const world = {
    seen, ended, kept, answers: [], hold: null, sent: [],
    pass: (ms) => { now += ms; },
    store: { getItem: (k) => kept.get(k) ?? null, setItem: (k, v) => kept.set(k, v), removeItem: (k) => kept.delete(k) },
  };
  const tokens = () => {
    n++;
    good = `r${n}`;
    return Response.json({ person: 'p', access_token: `a${n}`, access_expires: new Date(now + life).toISOString(), refresh_token: good });
  };
  const refusal = (code, status) => Response.json({ code, message: code, remedy: 'Do better.' }, { status });
  const fetch = async (path, init) => {
    seen.push(`${init.method} ${path} ${init.headers.Authorization ?? ''}`.trim());
    if (world.hold) await world.hold;
    if (world.down) throw new TypeError('fetch failed');
    if (path === '/auth/login') return tokens();
    if (path === '/auth/refresh') return JSON.parse(init.body).refresh_token === good ? tokens() : refusal('refresh_reused', 401);
    if (path === '/auth/logout') return new Response(null, { status: 204 });
    return world.answers.shift()?.(refusal) ?? Response.json({ ok: true });
  };
  world.channel = { postMessage: (m) => world.sent.push(m), onmessage: null };
  world.session = new Session({ fetch, store: world.store, now: () => now, onEnd: (expected) => ended.push(expected), channel: world.channel });
  world.api = new Api({ fetch, session: world.session });
  return world;
}

test('sign-in keeps only the refresh token in the tab’s storage', async () => {
  const w = setup();
  await w.session.signIn('a@b.c', 'secret');
  assert.deepEqual([...w.kept], [[storageKey, 'r1']]);
  assert.equal(await w.session.token(), 'a1');
});

test('many callers at once share one refresh', async () => {
  const w = setup({ stored: 'r0' });
  const got = await Promise.all([w.session.token(), w.session.token(), w.session.refresh(), w.session.token()]);
  assert.deepEqual(got.filter(Boolean), ['a1', 'a1', 'a1']);
  assert.equal(w.seen.length, 1);
  assert.equal(w.kept.get(storageKey), 'r1');
});

test('a token about to end is refreshed before it is used', async () => {
  const w = setup({ life: 120_000 });
  await w.session.signIn('a@b.c', 'secret');
  assert.equal(await w.session.token(), 'a1');
  w.pass(90_000);
  assert.equal(await w.session.token(), 'a2');
});

test('an expired token is refreshed once and the request sent again', async () => {
  const w = setup();
  await w.session.signIn('a@b.c', 'secret');
  w.answers.push((refusal) => refusal('token_expired', 401));
  assert.deepEqual(await w.api.me(), { ok: true });
  assert.deepEqual(w.seen.slice(1), ['GET /auth/me Bearer a1', 'POST /auth/refresh', 'GET /auth/me Bearer a2']);
});

test('a refused refresh ends the session and forgets the token', async () => {
  const w = setup({ stored: 'stolen' });
  await w.session.refresh();
  w.kept.set(storageKey, 'r0');
  const other = setup({ stored: 'x' });
  other.kept.set(storageKey, 'wrong');
  assert.equal(await other.session.resume(), false);
  assert.deepEqual(other.ended, [false]);
  assert.equal(other.kept.size, 0);
});

test('an unreachable server does not end the session', async () => {
  const w = setup({ stored: 'r0' });
  w.down = true;
  await assert.rejects(w.session.resume(), (p) => p.code === 'unreachable' && p.remedy !== '');
  assert.deepEqual([w.ended, w.kept.get(storageKey)], [[], 'r0']);
  w.down = false;
  assert.equal(await w.session.resume(), true);
});

test('a duplicated tab takes over the new tokens instead of using the old one again', async () => {
  const first = setup({ stored: 'r0' });
  const second = setup({ stored: 'r0' });
  await first.session.refresh();
  second.channel.onmessage({ data: first.sent[0] });
  assert.equal(await second.session.token(), 'a1');
  assert.equal(second.kept.get(storageKey), 'r1');
  assert.equal(second.seen.length, 0);
  second.channel.onmessage({ data: { used: 'someone else’s', tokens: { access_token: 'evil', refresh_token: 'evil' } } });
  assert.equal(second.kept.get(storageKey), 'r1');
});

test('sign-out tells the server and forgets the tokens even if it cannot be told', async () => {
  for (const down of [false, true]) {
    const w = setup();
    await w.session.signIn('a@b.c', 'secret');
    w.down = down;
    await w.session.signOut();
    assert.deepEqual([w.kept.size, w.ended, w.seen.at(-1)], [0, [true], 'POST /auth/logout Bearer a1']);
    assert.equal(w.session.signedIn, false);
  }
});

test('a problem keeps its message, remedy and fields', async () => {
  const w = setup();
  await w.session.signIn('a@b.c', 'secret');
  w.answers.push(() => Response.json({ code: 'invalid_input', message: 'm', remedy: 'r', errors: [{ field: 'q', message: 'long' }], request_id: 'x' }, { status: 400 }));
  await assert.rejects(w.api.me(), (p) => p.message === 'm' && p.remedy === 'r' && p.errors[0].field === 'q' && p.requestId === 'x');
  w.answers.push(() => new Response('<html>proxy</html>', { status: 502 }));
  await assert.rejects(w.api.me(), (p) => p.code === 'unknown' && p.message.includes('502'));
});
