// @ts-check
// Elements without markup in strings: text is always text.

const svgSpace = 'http://www.w3.org/2000/svg';

/**
 * @typedef {any} Child
 * @typedef {Record<string, unknown>} Props
 */

/**
 * An element. Props: class, on… (listeners), data (dataset), boolean properties, and any
 * attribute.
 * @param {string} tag
 * @param {Props} [props]
 * @param {...(Child|Child[])} children
 * @returns {any}
 */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/**
 * @param {string} tag
 * @param {Props} [props]
 * @param {...(Child|Child[])} children
 * @returns {any}
 */
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS(svgSpace, tag), props, children);
}

/** @param {any} element @param {Props} props @param {(Child|Child[])[]} children */
function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'data') Object.assign(element.dataset, value);
    else if (name === 'value') element.value = value;
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false).map((c) => (c instanceof Node ? c : String(c))));
  return element;
}

/** @param {string} id @returns {any} */
export function byId(id) {
  return document.getElementById(id);
}

/** @param {Element} parent @param {...(Child|Child[])} children */
export function replace(parent, ...children) {
  parent.replaceChildren();
  fill(parent, {}, children);
}

/**
 * Shows items in a parent in place: an element is made anew only when its item's version
 * changed, and keyboard focus inside it goes to its successor.
 * @template T
 * @param {any} parent
 * @param {T[]} items
 * @param {(item: T) => string} key
 * @param {(item: T) => unknown[]} version
 * @param {(item: T) => HTMLElement} make
 */
export function keyed(parent, items, key, version, make) {
  /** @type {Map<string, {version: unknown[], element: HTMLElement}>} */
  const held = parent.keyed ?? new Map();
  const first = !parent.keyed;
  if (first) parent.replaceChildren(); // what stood there belongs to a list that is forgotten
  const next = new Map();
  /** @type {any} */
  let before = null;
  for (const item of items) {
    const k = key(item);
    const v = version(item);
    const old = held.get(k);
    const same = old !== undefined && old.version.length === v.length && old.version.every((x, i) => x === v[i]);
    const element = same ? old.element : make(item);
    if (!same) {
      if (old) succeed(old.element, element);
      if (!first) element.classList.add('changed');
    }
    next.set(k, { version: v, element });
    const wanted = before ? before.nextSibling : parent.firstChild;
    if (wanted !== element) parent.insertBefore(element, wanted);
    before = element;
  }
  for (const [k, old] of held) if (!next.has(k)) old.element.remove();
  parent.keyed = next;
}

/** @param {HTMLElement} old @param {HTMLElement} element */
function succeed(old, element) {
  const focused = document.activeElement instanceof HTMLElement && old.contains(document.activeElement) ? document.activeElement : null;
  const name = focused?.dataset.focus;
  old.replaceWith(element);
  if (!focused || !name) return;
  const successor = element.querySelector(`[data-focus="${name}"]`);
  if (successor instanceof HTMLElement) successor.focus();
}
