// @ts-check
// The plot of the study, as SVG: on the left users at risk day by day, the paper's
// beside the model's; on the right what the interval between promotions does.
// Decides how it looks, and computes nothing that the tables do not print.

import { DAYS } from './curves.mjs';
import { atEndOf, INTERVALS, MAXIMUM, USERS } from './study.mjs';

/** @import { Outcome, Runs } from './study.mjs' */

/** A panel's place, its title, and the ends of its axes. @typedef {{ left: number, title: string, top: number, step: number }} Panel */
/** @typedef {readonly (readonly [x: number, y: number])[]} Points */

/** The whole picture. @param {{ lasting: Outcome, launch: Outcome }} outcomes */
export function plotOf({ lasting, launch }) {
  const days = Array.from({ length: DAYS }, (_, i) => i + 1);
  /** @param {Runs} runs @param {'mean' | 'least' | 'most'} what @returns {Points} */
  const byDay = (runs, what) => [
    [0, 0],
    ...days.map((day) => /** @type {const} */ ([day, 100 * atEndOf(runs, day)[what]])),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}"`,
    `  font-family="Helvetica, Arial, 'DejaVu Sans', sans-serif" font-size="13" fill="${INK}">`,
    '<title>Users at risk in the maximum model, day by day and by the interval between promotions</title>',
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    ...frame(BY_DAY, 'days since the compromise, last promotion on its day', [0, 5, 10, 15, 20, 25, 30]),
    band(BY_DAY, byDay(lasting.onTheDay, 'least'), byDay(lasting.onTheDay, 'most'), LASTING),
    band(BY_DAY, byDay(launch.onTheDay, 'least'), byDay(launch.onTheDay, 'most'), LAUNCH),
    line(BY_DAY, byDay(lasting.onTheDay, 'mean'), LASTING),
    line(BY_DAY, byDay(launch.onTheDay, 'mean'), LAUNCH),
    ...dots(
      BY_DAY,
      MAXIMUM.map((users, i) => [i + 1, (100 * users) / USERS]),
      INK,
      2.6,
    ),
    ...legend(BY_DAY, [
      ['dots', INK, 'the paper’s maximum model'],
      ['line', LAUNCH, 'model, launch interest'],
      ['line', LASTING, 'model, lasting interest'],
      ['note', INK, 'bands: least and most of the seeds'],
    ]),
    ...frame(BY_INTERVAL, 'days between promotions', INTERVALS),
    ...effect(lasting, LASTING),
    ...effect(launch, LAUNCH),
    ...legend(BY_INTERVAL, [
      ['line', LASTING, 'lasting, last one an interval before'],
      ['line', LAUNCH, 'launch, last one an interval before'],
      ['dash', LASTING, 'lasting, promotions go on'],
      ['dash', LAUNCH, 'launch, promotions go on'],
    ]),
    '</svg>',
    '',
  ].join('\n');
}

/** What the interval does, with promotions stopped and with promotions going on. @param {Outcome} outcome @param {string} colour */
function effect({ stopped, keptUp }, colour) {
  /** @param {ReadonlyMap<number, Runs>} runs @returns {Points} */
  const points = (runs) => INTERVALS.map((every) => [every, 100 * atEndOf(runs.get(every) ?? [], DAYS).mean]);
  return [
    line(BY_INTERVAL, points(stopped), colour),
    ...dots(BY_INTERVAL, points(stopped), colour, 4),
    line(BY_INTERVAL, points(keptUp), colour, '5 4'),
    ...dots(BY_INTERVAL, points(keptUp), colour, 4, '#ffffff'),
  ];
}

/** Title, grid and axes. @param {Panel} panel @param {string} below @param {readonly number[]} ticks */
function frame(panel, below, ticks) {
  const levels = Array.from({ length: Math.round(panel.top / panel.step) + 1 }, (_, i) => i * panel.step);
  return [
    text(panel.left, 24, panel.title, 'font-size="15" font-weight="bold"'),
    text(panel.left, 43, `users at risk, % of ${USERS.toLocaleString('en-US')}`, `fill="${GREY}"`),
    ...levels.flatMap((level) => [
      `<path d="M${panel.left} ${yOf(panel, level)}h${PANEL_WIDTH}" stroke="${level === 0 ? GREY : '#e3e3e3'}"/>`,
      text(panel.left - 8, yOf(panel, level) + 4, level.toFixed(1), `text-anchor="end" fill="${GREY}"`),
    ]),
    ...ticks.flatMap((tick) => [
      `<path d="M${xOf(panel, tick)} ${BOTTOM}v5" stroke="${GREY}"/>`,
      text(xOf(panel, tick), BOTTOM + 20, String(tick), `text-anchor="middle" fill="${GREY}"`),
    ]),
    text(panel.left + PANEL_WIDTH / 2, BOTTOM + 42, below, 'text-anchor="middle"'),
  ];
}

/** In the corner that rising lines leave free. @param {Panel} panel @param {readonly (readonly [string, string, string])[]} entries */
function legend(panel, entries) {
  return entries.flatMap(([kind, colour, label], i) => {
    const y = TOP + 18 + 20 * i;
    const x = panel.left + 12;
    const dash = kind === 'dash' ? ' stroke-dasharray="5 4"' : '';
    const mark =
      kind === 'line' || kind === 'dash'
        ? [`<path d="M${x} ${y}h24" stroke="${colour}" stroke-width="2"${dash}/>`]
        : kind === 'dots'
          ? [3, 12, 21].map((step) => `<circle cx="${x + step}" cy="${y}" r="2.6" fill="${colour}"/>`)
          : [];
    return [...mark, text(x + 32, y + 4, label, `${HALO} fill="${kind === 'note' ? GREY : INK}"`)];
  });
}

/** @param {Panel} panel @param {Points} points @param {string} colour @param {string} [dash] */
function line(panel, points, colour, dash) {
  const dashed = dash === undefined ? '' : ` stroke-dasharray="${dash}"`;
  return `<path d="M${path(panel, points)}" fill="none" stroke="${colour}" stroke-width="2"${dashed}/>`;
}

/** @param {Panel} panel @param {Points} low @param {Points} high @param {string} colour */
function band(panel, low, high, colour) {
  return `<path d="M${path(panel, low)}L${path(panel, [...high].reverse())}Z" fill="${colour}" opacity="0.15"/>`;
}

/** @param {Panel} panel @param {Points} points @param {string} colour @param {number} radius @param {string} [fill] */
function dots(panel, points, colour, radius, fill = colour) {
  return points.map(
    ([x, y]) =>
      `<circle cx="${xOf(panel, x)}" cy="${yOf(panel, y)}" r="${radius}" fill="${fill}" stroke="${colour}" stroke-width="1.5"/>`,
  );
}

/** @param {Panel} panel @param {Points} points */
function path(panel, points) {
  return points.map(([x, y]) => `${xOf(panel, x)} ${yOf(panel, y)}`).join('L');
}

/** @param {number} x @param {number} y @param {string} label @param {string} attributes */
function text(x, y, label, attributes) {
  return `<text x="${x}" y="${y}" ${attributes}>${label}</text>`;
}

/** @param {Panel} panel @param {number} x */
function xOf(panel, x) {
  return Number((panel.left + (x / DAYS) * PANEL_WIDTH).toFixed(1));
}

/** @param {Panel} panel @param {number} y */
function yOf(panel, y) {
  return Number((BOTTOM - (y / panel.top) * (BOTTOM - TOP)).toFixed(1));
}

const WIDTH = 960;
const HEIGHT = 430;
const TOP = 60;
const BOTTOM = 370;
const PANEL_WIDTH = 400;
const INK = '#222222';
const GREY = '#666666';
const HALO = 'paint-order="stroke" stroke="#ffffff" stroke-width="5"'; // keeps grid lines out of letters
const LASTING = '#c2500a';
const LAUNCH = '#1f5fbf';
const BY_DAY = { left: 50, title: 'Model and paper', top: 1, step: 0.2 };
const BY_INTERVAL = { left: 530, title: 'After a month, by interval of promotion', top: 2.5, step: 0.5 };
