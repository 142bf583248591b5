// @ts-check
// Rules for people and charts. Pure.

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
