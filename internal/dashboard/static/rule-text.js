// @ts-check
// Rules for people and charts. Pure.

import { label, t } from './strings.js';

/**
 * Whether a rule is about a device. @param {any} rule @param {{hardware: string, unit?: string}} device
 */
export function isAbout(rule, device) {
  if (rule.not_devices?.includes(device.hardware)) return false;
  if (!rule.devices?.length && !rule.units?.length) return true;
  return Boolean(rule.devices?.includes(device.hardware) || (device.unit && rule.units?.includes(device.unit)));
}

/** The conditions without parts of a condition. @param {any} when @returns {any[]} */
export function leaves(when) {
  const parts = [...(when.all ?? []), ...(when.any ?? []), ...(when.not ? [when.not] : [])];
  return parts.length === 0 ? [when] : parts.flatMap(leaves);
}

/**
 * Where rules that are on draw a line for a series of a device.
 * @param {any[]} rules @param {{hardware: string, unit?: string}} device @param {{kind?: string, unit_of_measure?: string}} series
 */
export function thresholdsOf(rules, device, series) {
  const out = [];
  for (const rule of rules) {
    if (rule.disabled || !isAbout(rule, device)) continue;
    for (const { threshold } of leaves(rule.when)) {
      if (!threshold || threshold.kind !== series.kind || (threshold.unit && threshold.unit !== series.unit_of_measure)) continue;
      out.push({ value: threshold.above ?? threshold.below, title: rule.name });
    }
  }
  return out;
}

/** A condition in words. @param {any} when @returns {string} */
export function sentence(when) {
  if (when.all?.length) return t('says.all', { parts: joined(when.all, 'says.and') });
  if (when.any?.length) return t('says.any', { parts: joined(when.any, 'says.or') });
  if (when.not) return t('says.not', { part: sentence(when.not) });
  return leafSentence(when);
}

/** @param {any[]} parts @param {string} join */
function joined(parts, join) {
  const texts = parts.map(sentence);
  if (texts.length === 1) return texts[0];
  return t(join, { first: texts.slice(0, -1).join('; '), last: texts[texts.length - 1] });
}

/** @param {any} when */
function leafSentence(when) {
  const { is, threshold, rate, count, silence, unusual } = when;
  const lasting = (/** @type {string} */ what, /** @type {string|undefined} */ time) => (time && time !== '0s' ? t('says.for', { what, time: duration(time) }) : what);
  if (is) return lasting(t(is.value ? 'says.yes' : 'says.no', { kind: label('kind', is.kind) }), is.for);
  if (threshold) {
    const unit = threshold.unit ? ` ${threshold.unit}` : '';
    const limit = threshold.above ?? threshold.below;
    const until = threshold.clear === undefined ? '' : t('says.until', { clear: `${threshold.clear}${unit}` });
    const what = t(threshold.above === undefined ? 'says.below' : 'says.above', { kind: label('kind', threshold.kind), limit: `${limit}${unit}`, until: '' });
    return lasting(what, threshold.for) + until;
  }
  if (rate) return t(rate.rises ? 'says.rises' : 'says.falls', { kind: label('kind', rate.kind), by: rate.rises || rate.falls, time: duration(rate.within) });
  if (count) return t('says.count', { kind: label('kind', count.kind), count: count.more_than, time: duration(count.within) });
  if (unusual) return t('says.unusual', { kind: label('kind', unusual.kind), time: duration(unusual.for) });
  return silence?.after && silence.after !== '0s' ? t('says.silence', { time: duration(silence.after) }) : t('says.silence_learnt');
}

/** "1h30m0s" as "1h 30m". @param {string} text */
export function duration(text) {
  return text.replace(/(?<=[hm])0[ms]/g, '').replace(/([dhm])(?=\d)/g, '$1 ');
}

/** A rule without what the server adds to it. @param {any} rule */
export function definitionOf(rule) {
  const names = ['name', 'cause', 'severity', 'category', 'ticket', 'disabled', 'devices', 'units', 'not_devices', 'across', 'when', 'clear_after', 'times'];
  return Object.fromEntries(names.filter((name) => rule[name] !== undefined).map((name) => [name, rule[name]]));
}
