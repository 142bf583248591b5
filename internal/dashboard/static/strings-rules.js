// @ts-check
// The texts of rules: part of the catalogue of strings.js.

/** @type {Readonly<Record<string, string>>} */
export const ruleStrings = Object.freeze({
  'rules.title': 'Rules',
});
