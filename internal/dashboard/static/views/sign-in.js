// @ts-check
import { h, replace } from '../dom.js';
import { fromThrown } from '../problem.js';
import { t } from '../strings.js';
import { problemBox } from './parts.js';

/**
 * @param {HTMLElement} root
 * @param {{signIn: (email: string, password: string) => Promise<void>, notice?: string}} deps
 */
export function drawSignIn(root, deps) {
  const status = h('div', { class: 'form-status', role: 'alert' }, deps.notice ? h('p', { class: 'notice' }, deps.notice) : null);
  const email = h('input', { id: 'email', type: 'email', autocomplete: 'username', required: true, maxlength: 254, inputmode: 'email' });
  const password = h('input', { id: 'password', type: 'password', autocomplete: 'current-password', required: true });
  const submit = h('button', { class: 'button primary wide', type: 'submit' }, t('sign_in.submit'));
  const form = h('form', { class: 'sign-in card', onsubmit },
    h('div', { class: 'brand' }, h('img', { src: 'icon.svg', alt: '', width: 36, height: 36 }), h('span', {}, t('app.name'))),
    h('h1', {}, t('sign_in.title')), status,
    h('label', { for: 'email' }, t('sign_in.email')), email,
    h('label', { for: 'password' }, t('sign_in.password')), password, submit);

  /** @param {Event} event */
  async function onsubmit(event) {
    event.preventDefault();
    submit.disabled = true;
    replace(submit, t('sign_in.busy'));
    try {
      await deps.signIn(email.value, password.value);
    } catch (thrown) {
      replace(status, problemBox(fromThrown(thrown)));
      password.value = '';
      password.focus();
    } finally {
      submit.disabled = false;
      replace(submit, t('sign_in.submit'));
    }
  }

  replace(root, h('main', { class: 'sign-in-page' }, form));
  email.focus();
}

/**
 * While it is found out who is signed in, or why that is not possible.
 * @param {HTMLElement} root
 * @param {any} problem
 * @param {() => void} retry
 */
export function drawWaiting(root, problem, retry) {
  replace(root, h('main', { class: 'sign-in-page' }, h('div', { class: 'card sign-in' },
    problem ? problemBox(problem, retry) : h('p', { role: 'status' }, t('sign_in.resuming')))));
}

/** @param {HTMLElement} root @param {() => void} signOut */
export function drawNoBuildings(root, signOut) {
  replace(root, h('main', { class: 'sign-in-page' }, h('div', { class: 'card sign-in' },
    h('h1', {}, t('app.no_buildings')), h('p', { class: 'quiet' }, t('app.no_buildings_hint')),
    h('button', { type: 'button', class: 'button', onclick: signOut }, t('app.sign_out')))));
}
