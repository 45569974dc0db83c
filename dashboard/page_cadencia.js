// Cadência: the way through its steps, of those who began in the last days, and the same by the day
// or week on which they began.

import {add, dotted, fill, h, link} from './dom.js';
import {waitingOf} from './page_cadencias.js';
import {dayOf, daysOf, periods} from './period.js';
import {channelOf} from './sender_card.js';
import {shareOf} from './share.js';
import {table} from './table.js';

const CHOICES = [7, 30, 90, 366];
const USUAL = 30;
const MEASURES = ['sent', 'delivered', 'read', 'replied', 'opted_out', 'failed'];

export function render(root, params, ctx) {
  const {t} = ctx;
  const days = daysOf(params, CHOICES, USUAL);
  const measure = MEASURES.includes(params.measure) ? params.measure : 'sent';
  const one = ctx.source('cadencia', {id: params.id, days});
  const panel = (key, draw, hint) => root.append(ctx.panel({title: t(key), key, hint, from: one, wide: true, draw}).element);
  root.append(h('p', {}, link('cadencias', {days}, t('cadencia.back'))), periods(ctx, 'cadencia', {id: params.id, measure: params.measure}, CHOICES, days));
  panel('cadencia.steps', (body, data, fmt) => drawSteps(ctx, body, data, fmt), t('cadencia.steps_hint'));
  panel('cadencia.cohorts', (body, data, fmt) => {
    fill(body, measures(ctx, params, days, measure));
    drawCohorts(ctx, body, data, measure, fmt);
  }, t('cadencia.cohorts_hint'));
}

/* ---- the steps ------------------------------------------------------------------------------- */

function drawSteps(ctx, body, data, fmt) {
  const {t} = ctx;
  const {cadence} = data;
  add(body, [
    h('h3', {}, cadence.name || cadence.code, ' ', cadence.active === false && h('span', {class: 'badge warn'}, t('cadencias.inactive'))),
    h('p', {class: 'hint'}, dotted(cadence.code, cadence.empresa)),
    h('p', {}, t('cadencia.enrolled', {n: data.enrolled}), ' ', dayOf(fmt, data.since), ' · ', waitingOf(ctx, data, fmt)),
    table(stepColumns(ctx, fmt), data.steps, {caption: t('cadencia.steps'), quiet: true, empty: t('cadencia.no_steps'), key: (row) => row.id}),
    data.none_left > 0 && h('p', {class: 'hint'}, t('cadencia.none_left', {n: data.none_left})),
  ]);
}

function nameOf(ctx, step) {
  if (step.removed) return ctx.t('cadencia.removed');
  return [step.step, channelOf(ctx, step.channel), step.template].filter((part) => part !== null).join(' · ');
}

function stepColumns(ctx, fmt) {
  const {t} = ctx;
  const ofEntered = (key) => ({label: t(`cadencias.${key}`), numeric: true, cell: (row) => shareOf(ctx, row[key], row.entered, fmt)});
  return [
    {label: t('cadencia.step'), header: true, cell: (row) => h('span', {class: 'named'}, nameOf(ctx, row))},
    {label: t('cadencia.entered'), numeric: true, cell: (row) => fmt.number(row.entered)},
    ...MEASURES.map(ofEntered),
    {label: t('cadencia.skipped'), numeric: true, cell: (row) => fmt.number(row.skipped)},
    {label: t('cadencia.stopped'), numeric: true, cell: (row) => fmt.number(row.stopped)},
    {label: t('cadencias.waiting'), numeric: true, cell: (row) => fmt.number(row.waiting)},
    {label: t('cadencias.paused'), numeric: true, cell: (row) => fmt.number(row.paused)},
  ];
}

/* ---- by the day on which they began ---------------------------------------------------------- */

function measures(ctx, params, days, current) {
  const {t} = ctx;
  return h('nav', {class: 'pager', 'aria-label': t('cadencia.measure')}, MEASURES.map((measure) => {
    const a = link('cadencia', {id: params.id, days, measure}, t(`cadencias.${measure}`));
    if (measure === current) a.setAttribute('aria-current', 'true');
    return a;
  }));
}

function drawCohorts(ctx, body, data, measure, fmt) {
  const {t} = ctx;
  const of = (row, step) => row.steps?.[step.id];
  add(body, table([
    {label: t(`cadencia.${data.bucket}`), header: true, cell: (row) => dayOf(fmt, row.day)},
    {label: t('cadencias.enrolled'), numeric: true, cell: (row) => fmt.number(row.enrolled)},
    ...data.steps.map((step) => ({
      label: nameOf(ctx, step),
      numeric: true,
      cell: (row) => (of(row, step) ? shareOf(ctx, of(row, step)[measure], of(row, step).entered, fmt) : '–'),
    })),
  ], data.cohorts, {caption: `${t('cadencia.cohorts')}: ${t(`cadencias.${measure}`)}`, empty: t('cadencia.no_cohorts'), key: (row) => row.day}));
}
