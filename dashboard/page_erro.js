// Erro: one group of errors, by day and by cadence, with the last of them as examples.

import {dotted, fill, h, link} from './dom.js';
import {sentence} from './format.js';
import {dayOf, daysOf, periods} from './period.js';
import {channelOf} from './sender_card.js';
import {table} from './table.js';

const CHOICES = [1, 7, 30, 90];
const USUAL = 7;

export function render(root, params, ctx) {
  const {t} = ctx;
  const days = daysOf(params, CHOICES, USUAL);
  const {code, server, template} = params;
  const group = ctx.source('erro', {code, server, template, days, lang: ctx.language});
  const panel = (key, draw) => root.append(ctx.panel({title: t(key), key, from: group, wide: true, draw}).element);
  root.append(h('p', {}, link('erros', {days}, t('erro.back'))), periods(ctx, 'erro', {code, server, template}, CHOICES, days));
  panel('erro.about', (body, data, fmt) => fill(body, factsOf(ctx, data, fmt)));
  panel('erro.examples', (body, data, fmt) => fill(body,
    h('p', {class: 'hint'}, fmt.zoneName()),
    data.examples.length === 0 ? h('p', {class: 'empty'}, t('erro.no_examples'))
      : h('ol', {class: 'story'}, data.examples.map((example) => exampleOf(ctx, example, fmt)))));
  panel('erro.days', (body, data, fmt) => fill(body, table([
    {label: t('erro.day'), header: true, cell: (row) => dayOf(fmt, row.day)},
    {label: t('erros.n'), numeric: true, cell: (row) => fmt.number(row.n)},
  ], data.days, {caption: t('erro.days'), quiet: true, empty: t('erros.none')})));
  panel('erro.cadences', (body, data, fmt) => fill(body, table([
    {label: t('erro.cadence'), header: true, cell: (row) => (row.cadence ? link('cadencia', {id: row.cadence_id}, row.cadence_name || row.cadence) : '–')},
    {label: t('erros.n'), numeric: true, cell: (row) => fmt.number(row.n)},
  ], data.cadences, {caption: t('erro.cadences'), quiet: true, empty: t('erros.none')})));
}

function factsOf(ctx, data, fmt) {
  const {t} = ctx;
  const fact = (key, value) => [h('dt', {}, t(key)), h('dd', {}, value)];
  return h('dl', {class: 'facts'},
    data.means && fact('erros.what', sentence(data.means)), fact('erros.code', h('code', {}, data.code)),
    fact('erros.server', data.server || '–'), fact('erros.template', data.template || '–'),
    fact('erros.n', fmt.number(data.n)),
    data.first_at && fact('erros.first', h('time', {datetime: data.first_at}, fmt.dayTime(data.first_at))),
    data.last_at && fact('erros.last', h('time', {datetime: data.last_at}, fmt.dayTime(data.last_at))),
    fact('erros.todo', data.todo ?? t('erros.unknown')));
}

function exampleOf(ctx, example, fmt) {
  const {t} = ctx;
  const about = dotted(example.name && example.lead_id, example.empresa, example.cadence_name || example.cadence, example.step !== null && t('pessoa.step', {n: example.step}),
    example.channel && channelOf(ctx, example.channel));
  return h('li', {},
    h('p', {}, h('time', {datetime: example.at}, fmt.dateTime(example.at)), ' ',
      example.run && link('pessoa', {run: example.run}, example.name || example.lead_id || example.run), ' ', h('span', {class: 'hint'}, about)),
    example.text && h('blockquote', {class: 'quote'}, example.text),
    example.reason && h('blockquote', {class: 'quote'}, example.reason),
    (example.permanent || example.http_status) && h('p', {class: 'hint'},
      [example.http_status && `HTTP ${example.http_status}`, example.permanent && t('erro.permanent')].filter(Boolean).join(' · ')));
}
