// @ts-check
// Name, unit and equipment of a device, adoption, and the ways out of service.

import { h, replace } from '../dom.js';
import { t } from '../strings.js';
import { nameOf, press, problemBox } from './parts.js';
import { ask } from './panel.js';
import { adopt, makePlace, proposed } from './place.js';
import { showDone, showProblem } from './notices.js';

/** @param {{app: import('../app.js').App, id: string, done: () => void}} deps */
export function makeDeviceChange(deps) {
  const { app } = deps;
  const status = h('div', { role: 'status' });
  const name = h('input', { type: 'text', id: 'device-name', maxlength: 200 });
  const place = makePlace(app, 'device');
  const save = h('button', { type: 'submit', class: 'button primary' });
  const ways = h('div', { class: 'actions' });
  const form = h('form', { class: 'change', onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    void press(save, send, (problem) => replace(status, problemBox(problem)));
  } }, h('div', { class: 'field' }, h('label', { for: 'device-name' }, t('device.name')), name), place.elements, h('div', { class: 'actions' }, save, status));
  const element = h('section', { class: 'drawer-part', 'aria-labelledby': 'change-head' }, h('h3', { id: 'change-head' }, t('device.change')), form, ways);
  /** The device as it was shown when the editing began. @type {import('../state.js').Device|null} */
  let base = null;
  /** The lists to choose from that are shown. @type {unknown[]} */
  let lists = [];
  return { element, draw };

  /** @param {import('../state.js').Device} device */
  function draw(device) {
    const edited = dirty();
    const same = lists[0] === app.units && lists[1] === app.state.assets;
    if (base && same && (edited || base.seen === device.seen)) return;
    lists = [app.units, app.state.assets];
    if (base && edited) return place.fill(base, place.value());
    base = device;
    place.fill(device);
    name.value = device.name ?? '';
    save.textContent = t(device.adopted ? 'device.save' : 'device.adopt');
    replace(ways, device.adopted ? h('button', { type: 'button', class: 'button', onclick: () => leave('retire') }, t('device.retire')) : null,
      app.manages ? h('button', { type: 'button', class: 'button danger', onclick: () => leave('remove') }, t('device.remove')) : null);
  }

  function dirty() {
    if (!base) return false;
    const [begun, now] = [proposed(base), place.value()];
    return name.value !== (base.name ?? '') || now.unit !== begun.unit || now.asset !== begun.asset;
  }

  async function send() {
    if (!base) return;
    const as = { name: name.value.trim(), ...place.value() };
    const adopting = !base.adopted;
    const got = adopting ? await adopt(app, base, as) : await app.api.changeDevice(app.state.building, deps.id, base.seen, changed(base, as));
    base = null;
    app.takeDevice(got);
    draw(got); // at once: what is changed before the next frame is a change of this
    if (adopting) showDone(t('device.adopted', { name: nameOf(got) }));
    else replace(status, h('span', { class: 'quiet small' }, t('device.saved')));
  }

  /** @param {import('../state.js').Device} device @param {{name: string, unit: string, asset: string}} as */
  function changed(device, as) {
    return Object.fromEntries(/** @type {const} */ (['name', 'unit', 'asset']).filter((field) => as[field] !== (device[field] ?? '')).map((field) => [field, as[field]]));
  }

  /** @param {'retire'|'remove'} way */
  function leave(way) {
    const device = app.state.devices.get(deps.id);
    if (!device) return;
    const called = nameOf(device);
    const button = ask({ title: t(`device.${way}_title`, { name: called }), text: t(`device.${way}_text`), confirm: t(`device.${way}`), danger: way === 'remove', act: (close) => press(button, async () => {
      const got = await app.api.changeDevice(app.state.building, deps.id, device.seen, way === 'remove' ? { deleted: true } : { adopted: false });
      close();
      deps.done();
      if (way === 'remove') app.dropDevice(deps.id);
      else app.takeDevice(got);
      showDone(t(way === 'remove' ? 'device.removed' : 'device.retired', { name: called }));
    }, showProblem) });
  }
}
