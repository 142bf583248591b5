// @ts-check
// Where a device is and what it watches: chosen from lists, with what its name suggests.

import { byName } from '../asset-state.js';
import { h, replace } from '../dom.js';
import { t } from '../strings.js';

/** The building's equipment, by name. @param {import('../app.js').App} app */
export function assetsOf(app) {
  return [...app.state.assets.values()].sort(byName);
}

/** What the equipment that a record names is called now, also once it is hidden. @param {import('../app.js').App} app @param {{asset?: string, asset_name?: string}} x */
export function assetName(app, x) {
  return x.asset ? app.state.assets.get(x.asset)?.name ?? x.asset_name ?? '' : '';
}

/** What a list has to look at to draw a name, or the way there, anew. @param {import('../app.js').App} app @param {{asset?: string, asset_name?: string}} x */
export function assetVersion(app, x) {
  return `${assetName(app, x)} ${app.state.assets.has(x.asset ?? '')}`;
}

/** Its name, which leads to its page where that can be seen. @param {import('../app.js').App} app @param {{asset?: string, asset_name?: string}} x */
export function assetLink(app, x) {
  const name = assetName(app, x);
  return name && app.staff && app.state.assets.has(x.asset ?? '') ? h('a', { href: `#asset/${x.asset}`, data: { focus: 'asset' } }, name) : name;
}

/**
 * A list to choose one of many from, or none.
 * @param {{id: string, title: string, none: string, hint?: string}} texts
 */
export function makeChoice({ id, title, none, hint: usual = '' }) {
  const hint = h('p', { id: `${id}-hint`, class: 'quiet small' }, usual);
  const select = h('select', { id, 'aria-describedby': hint.id, data: { focus: id } });
  const element = h('div', { class: 'field' }, h('label', { for: id }, title), select, hint);
  hint.hidden = usual === '';
  return { element, select, fill };

  /**
   * @param {{id: string, name: string}[]} items
   * @param {{id: string, name?: string}} chosen also one that can no longer be chosen: it stays until somebody takes another
   * @param {string} [said] what stands below it instead of the usual
   */
  function fill(items, chosen, said = '') {
    const gone = chosen.id !== '' && !items.some((x) => x.id === chosen.id);
    replace(select, h('option', { value: '' }, none), gone ? h('option', { value: chosen.id }, chosen.name || t('app.unknown')) : null,
      items.map((x) => h('option', { value: x.id }, x.name)));
    select.value = chosen.id;
    hint.hidden = (said || usual) === '';
    if (hint.textContent !== (said || usual)) hint.textContent = said || usual;
  }
}

/** Equipment to choose from. @param {{id: string, title: string, none: string, hint?: string}} texts */
export function makeAssetChoice(texts) {
  const choice = makeChoice(texts);
  return { ...choice, fill };

  /** @param {import('../app.js').App} app @param {{id: string, name?: string}} chosen @param {string} [said] */
  function fill(app, chosen, said) {
    choice.fill(assetsOf(app).map((a) => ({ id: a.id, name: a.unit_name ? t('device.asset_in', { asset: a.name, unit: a.unit_name }) : a.name })), chosen, said);
  }
}

/**
 * Unit and equipment of a device. What somebody chose stays when the lists or the suggestions
 * change.
 * @param {import('../app.js').App} app
 * @param {string} prefix of the ids
 */
export function makePlace(app, prefix) {
  const unit = makeChoice({ id: `${prefix}-unit`, title: t('device.unit'), none: t('device.no_unit') });
  const asset = makeAssetChoice({ id: `${prefix}-asset`, title: t('device.asset'), none: t('device.no_asset'), hint: t('device.asset_hint') });
  return { elements: [unit.element, asset.element], fill, value: () => ({ unit: unit.select.value, asset: asset.select.value }) };

  /** @param {import('../state.js').Device} device @param {{unit?: string, asset?: string}} [picked] */
  function fill(device, picked = {}) {
    const begun = proposed(device);
    unit.fill(app.units, { id: picked.unit ?? begun.unit, name: device.unit_name }, device.suggested_unit_name && t('device.unit_suggested', { unit: device.suggested_unit_name }));
    asset.fill(app, { id: picked.asset ?? begun.asset, name: device.asset_name }, device.suggested_asset_name && t('device.asset_suggested', { asset: device.suggested_asset_name }));
  }
}

/** Where a form begins: what the device has, else what its name suggests. @param {import('../state.js').Device} device */
export function proposed(device) {
  return { unit: device.unit ?? device.suggested_unit ?? '', asset: device.asset ?? device.suggested_asset ?? '' };
}

/**
 * Takes a device into service.
 * @param {import('../app.js').App} app
 * @param {import('../state.js').Device} device
 * @param {{name: string, unit: string, asset: string}} as
 */
export function adopt(app, device, as) {
  const given = Object.fromEntries(Object.entries(as).filter(([, value]) => value !== ''));
  const cleared = Object.fromEntries(/** @type {const} */ (['unit', 'asset']).filter((field) => device[field] && as[field] === '').map((field) => [field, '']));
  if (Object.keys(cleared).length === 0) return app.api.adopt(app.state.building, device.id, given);
  // An adoption leaves what it does not name; a change can take away.
  return app.api.changeDevice(app.state.building, device.id, device.seen, { ...given, ...cleared, adopted: true });
}
