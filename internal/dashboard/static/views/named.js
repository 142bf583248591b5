// @ts-check
import { nameOf, valueText } from './parts.js';
import { label } from '../strings.js';

/**
 * A value of a field as people call it: what it names is shown by its name.
 * @param {import('../app.js').App} app
 * @param {string} kind
 * @param {string} field
 * @param {any} value
 */
export function named(app, kind, field, value) {
  if (kind === 'asset' && field === 'category' && value) return label('asset_category', String(value));
  return (value && nameIn(app, field, value)) || valueText(field, value);
}

/** @param {import('../app.js').App} app @param {string} field @param {any} id @returns {string|undefined} */
function nameIn(app, field, id) {
  const device = app.state.devices.get(id);
  switch (field) {
    case 'assignee':
      return app.members.find((m) => m.person === id)?.name;
    case 'unit':
      return app.units.find((u) => u.id === id)?.name;
    case 'asset':
      return app.state.assets.get(id)?.name;
    case 'device':
      return device && nameOf(device);
  }
}
