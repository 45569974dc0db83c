// Cadências: each with how many began in the last days, what became of their messages, and who waits.

import {fill, h, link} from './dom.js';
import {dayOf, daysOf, periods} from './period.js';
import {shareOf} from './share.js';
import {table} from './table.js';

const CHOICES = [7, 30, 90, 366];
const USUAL = 30;

export function render(root, params, ctx) {
  const {t} = ctx;
  const days = daysOf(params, CHOICES, USUAL);
  root.append(periods(ctx, 'cadencias', {}, CHOICES, days), ctx.panel({
    title: t('cadencias.list'),
    hint: t('cadencias.hint'),
    from: ctx.source('cadencias', {days}),
    wide: true,
    draw: (body, data, fmt) => {
      fill(body, h('p', {class: 'hint'}, t('cadencias.since'), ' ', dayOf(fmt, data.since), ' · ', waitingOf(ctx, data, fmt)),
        table(columns(ctx, days, fmt), data.cadences, {caption: t('cadencias.list'), quiet: true, empty: t('cadencias.none'), key: (row) => row.id}),
        data.cadence_count > data.cadences.length && h('p', {class: 'hint'}, t('cadencias.more', {n: data.cadences.length, total: data.cadence_count})));
    },
  }).element);
}

/** When those that wait were last counted. */
export function waitingOf(ctx, data, fmt) {
  return data.waiting_as_of ? ctx.t('cadencias.waiting_as_of', {time: fmt.clockWithSeconds(data.waiting_as_of)}) : ctx.t('cadencias.not_counted');
}

function columns(ctx, days, fmt) {
  const {t} = ctx;
  const ofSent = (key) => ({label: t(`cadencias.${key}`), numeric: true, cell: (row) => shareOf(ctx, row[key], row.sent, fmt)});
  return [
    {label: t('cadencias.cadence'), header: true, cell: (row) => h('span', {class: 'named'}, link('cadencia', {id: row.id, days}, row.name || row.code),
      row.active === false && [' ', h('span', {class: 'badge warn'}, t('cadencias.inactive'))])},
    {label: t('cadencias.company'), cell: (row) => row.empresa},
    {label: t('cadencias.steps'), numeric: true, cell: (row) => fmt.number(row.steps)},
    {label: t('cadencias.enrolled'), numeric: true, cell: (row) => fmt.number(row.enrolled)},
    {label: t('cadencias.sent'), numeric: true, cell: (row) => fmt.number(row.sent)},
    ofSent('delivered'), ofSent('read'), ofSent('replied'),
    {label: t('cadencias.opted_out'), numeric: true, cell: (row) => shareOf(ctx, row.opted_out, row.sent, fmt)},
    {label: t('cadencias.failed'), numeric: true, cell: (row) => fmt.number(row.failed)},
    {label: t('cadencias.waiting'), numeric: true, cell: (row) => fmt.number(row.waiting)},
    {label: t('cadencias.paused'), numeric: true, cell: (row) => fmt.number(row.paused)},
  ];
}
