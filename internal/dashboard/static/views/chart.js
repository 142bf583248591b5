// @ts-check
// Tickets per day as bars, and as a sentence for who does not see them.

import { h, replace, svg } from '../dom.js';
import { perDay } from '../state.js';
import { plural, t } from '../strings.js';
import { dayStart, shortDay } from '../time.js';
import { chartDays } from '../app.js';

const height = 44;
const step = 20;
const bar = 14;

/** @param {HTMLElement & {shown?: string}} place @param {import('../state.js').State} state @param {number} now */
export function drawChart(place, state, now) {
  const starts = Array.from({ length: chartDays }, (_, i) => dayStart(now, chartDays - 1 - i));
  const { counts, known, since } = perDay(state, starts);
  const shown = JSON.stringify([counts, known, since, starts[0]]);
  if (place.shown === shown) return;
  place.shown = shown;
  place.hidden = !known;
  const most = Math.max(...counts);
  const total = counts.reduce((a, b) => a + b, 0);
  const summary = plural('chart.total', total, { days: chartDays, most });
  const bars = counts.map((count, i) => {
    const tall = count === 0 ? 2 : Math.max(4, Math.round((count / Math.max(most, 1)) * height));
    const rect = svg('rect', { x: i * step + (step - bar) / 2, y: height - tall, width: bar, height: tall, class: count === 0 ? 'bar bar-none' : i === counts.length - 1 ? 'bar bar-today' : 'bar' });
    rect.append(svg('title', {}, t('chart.day', { day: shortDay(starts[i]), count })));
    return rect;
  });
  replace(place,
    h('figcaption', {}, h('span', { class: 'chart-title' }, t('chart.title', { days: chartDays })), h('span', { class: 'quiet' }, summary),
      since === null ? null : h('span', { class: 'quiet' }, t('chart.partial', { day: shortDay(since) }))),
    svg('svg', { viewBox: `0 0 ${chartDays * step} ${height}`, role: 'img', 'aria-label': summary, preserveAspectRatio: 'none' }, bars),
    h('div', { class: 'chart-axis quiet', 'aria-hidden': 'true' }, h('span', {}, shortDay(starts[0])), h('span', {}, shortDay(now))));
}
