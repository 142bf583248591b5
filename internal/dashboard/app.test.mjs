// @ts-check
// The page's state as answers come in.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { App } from './static/app.js';

test('an answer that comes after the next one changes nothing', async () => {
  /** @type {((hearing: any) => void)[]} */
  const answers = [];
  const api = { hearing: () => new Promise((done) => answers.push(done)), readingsDisk: async () => null, refusals: async () => ({ items: [] }) };
  const app = new App({ api: /** @type {any} */ (api), now: () => 0, draw: () => {}, onChange: () => {} });
  app.building = { id: 'b1', name: 'Oak', code: 'OAK', role: 'manager' };
  const loads = [app.loadRefusals(), app.loadRefusals()];
  answers[1]({ heard: true });
  await loads[1];
  answers[0]({ heard: false });
  await loads[0];
  assert.deepEqual(app.hearing, { heard: true });
});
