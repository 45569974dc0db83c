// Erros: what has failed, by what it was, by which sender and of which template; what it means and
// what to do about it.

import {fill, h, link} from './dom.js';
import {sentence} from './format.js';
import {daysOf, periods} from './period.js';
import {table} from './table.js';

const CHOICES = [1, 7, 30, 90];
const USUAL = 7;

export function render(root, params, ctx) {
  const {t} = ctx;
  const days = daysOf(params, CHOICES, USUAL);
  root.append(periods(ctx, 'erros', {}, CHOICES, days), ctx.panel({
    title: t('erros.groups'),
    hint: t('erros.hint'),
    from: ctx.source('erros', {days, lang: ctx.language}),
    wide: true,
    draw: (body, data, fmt) => {
      fill(body,
        h('p', {}, t('erros.sum', {n: data.n}), ' ', h('span', {class: 'hint'}, t('erros.since', {time: fmt.dayTime(data.since), zone: fmt.zoneName()}))),
        table(columns(ctx, days, fmt), data.groups, {
          caption: t('erros.groups'), quiet: true, empty: t('erros.none'), key: (row) => `${row.code} ${row.server} ${row.template}`,
        }),
        data.group_count > data.groups.length && h('p', {class: 'hint'}, t('erros.more', {n: data.groups.length, total: data.group_count})));
    },
  }).element);
}

function columns(ctx, days, fmt) {
  const {t} = ctx;
  const time = (at) => h('time', {datetime: at}, fmt.shortTime(at));
  return [
    {label: t('erros.what'), header: true, cell: (row) => h('span', {class: 'named'}, link('erro', {code: row.code, server: row.server, template: row.template, days}, row.means ? sentence(row.means) : row.code),
      row.means && h('small', {}, row.code))},
    {label: t('erros.server'), cell: (row) => row.server || '–'},
    {label: t('erros.template'), cell: (row) => row.template || '–'},
    {label: t('erros.n'), numeric: true, cell: (row) => fmt.number(row.n)},
    {label: t('erros.first'), cell: (row) => time(row.first_at)},
    {label: t('erros.last'), cell: (row) => time(row.last_at)},
    {label: t('erros.todo'), prose: true, cell: (row) => row.todo ?? t('erros.unknown')},
  ];
}
