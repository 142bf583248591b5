// @ts-check
// What is known of one piece of equipment, to enter and to change.
//
// The token that goes with a change is of what was shown when the editing began: what somebody
// else set since then was not seen, and stays beside it as a conflict.

import { h, replace } from '../dom.js';
import { label, t, valuesOf } from '../strings.js';
import { field } from './condition.js';
import { press, problemBox } from './parts.js';
import { makeChoice } from './place.js';
import { showDone } from './notices.js';

const texts = /** @type {const} */ (['name', 'manufacturer', 'model', 'serial']);
const names = /** @type {const} */ ([...texts, 'category', 'unit']);

/**
 * @param {{app: import('../app.js').App, id: string, done: () => void}} deps an empty id for a new one;
 *   done is called when that was entered
 */
export function makeAssetForm(deps) {
  const { app } = deps;
  const isNew = deps.id === '';
  const input = Object.fromEntries(texts.map((name) => [name, h('input', { type: 'text', id: `asset-${name}`, maxlength: 200, required: name === 'name', autocomplete: 'off' })]));
  const category = h('select', { id: 'asset-category' });
  const unit = makeChoice({ id: 'asset-unit', title: t('device.unit'), none: t('asset.whole') });
  const status = h('div', { role: 'status' });
  const save = h('button', { type: 'submit', class: 'button primary' }, t(isNew ? 'asset.add' : 'asset.save'));
  const element = h('form', { class: 'asset-form', 'aria-label': t(isNew ? 'asset.new' : 'asset.change'), oninput: enable, onsubmit: (/** @type {Event} */ event) => {
    event.preventDefault();
    void press(save, isNew ? enter : send, (problem) => replace(status, problemBox(problem)));
  } }, h('div', { class: 'grid' }, field(t('asset.name'), input.name), field(t('asset.category'), category), unit.element,
    texts.slice(1).map((name) => field(t(`asset.${name}`), input[name]))), h('div', { class: 'actions' }, save, status));
  /** @type {import('../state.js').Asset|null} */
  let base = null;
  /** @type {unknown} */
  let units = null;
  return { element, draw };

  /** @param {import('../state.js').Asset} asset */
  function draw(asset) {
    if (base && dirty().length > 0) {
      if (asset.seen !== base.seen && !status.querySelector('.notice')) replace(status, h('p', { class: 'notice' }, t('asset.changed_meanwhile')));
      if (units !== app.units) fillUnits(value('unit'));
      return;
    }
    if (base === asset && units === app.units) return;
    base = asset;
    for (const name of texts) input[name].value = asset[name] ?? '';
    const known = valuesOf('asset_category');
    const held = asset.category ?? '';
    replace(category, [...(known.includes(held) ? [] : [held]), ...known].map((v) => h('option', { value: v }, label('asset_category', v))));
    category.value = held;
    fillUnits(asset.unit ?? '');
    enable();
  }

  /** @param {string} chosen */
  function fillUnits(chosen) {
    units = app.units;
    unit.fill(app.units, { id: chosen, name: base?.unit_name });
  }

  /** @param {typeof names[number]} name */
  function value(name) {
    if (name === 'category') return category.value;
    return name === 'unit' ? unit.select.value : input[name].value.trim();
  }

  function dirty() {
    return names.filter((name) => value(name) !== (base?.[name] ?? ''));
  }

  function enable() {
    save.disabled = !isNew && dirty().length === 0;
    if (!save.disabled) replace(status);
  }

  async function enter() {
    const got = await app.api.enterAsset(app.state.building, Object.fromEntries(names.filter((name) => value(name) !== '').map((name) => [name, value(name)])));
    app.takeAsset(got);
    deps.done();
    showDone(t('asset.added', { name: got.name }));
  }

  async function send() {
    if (!base) return;
    const got = await app.api.changeAsset(app.state.building, deps.id, base.seen, Object.fromEntries(dirty().map((name) => [name, value(name)])));
    base = null;
    app.takeAsset(got);
    draw(got);
    replace(status, h('span', { class: 'quiet small' }, t('asset.saved')));
    if (got.conflicts?.length) await app.loadConflicts();
  }
}
