// Execução: one row of the log with what became of each step, the errors first.

import {add, fill, h, link} from './dom.js';
import {sentence} from './format.js';
import {resultOf, triggerOf} from './page_execucoes.js';
import {channelOf} from './sender_card.js';
import {table} from './table.js';

const TONES = {DISPARADO: 'good', CONCLUIDA: 'good', ERRO: 'bad'};

export function render(root, params, ctx) {
  const {t} = ctx;
  const one = ctx.source('execucao', {id: params.id, lang: ctx.language}, {poll: false});
  root.append(
    h('p', {}, link('execucoes', {}, t('execucao.back'))),
    ctx.panel({title: t('execucao.summary'), from: one, wide: true, draw: (body, data, fmt) => fill(body, facts(ctx, data, fmt))}).element,
    ctx.panel({
      title: t('execucao.results'),
      from: one,
      wide: true,
      draw: (body, data) => {
        if (data.truncated) add(body, h('p', {class: 'hint'}, t('execucao.truncated', {n: data.results.length, total: data.execution.total})));
        add(body, table(columns(ctx), data.results, {caption: t('execucao.results'), quiet: true, empty: t('execucao.none')}));
      },
    }).element,
  );
}

function facts(ctx, {execution}, fmt) {
  const {t} = ctx;
  const fact = (key, value) => [h('dt', {}, t(key)), h('dd', {}, value)];
  return h('dl', {class: 'facts'},
    fact('execucoes.at', h('time', {datetime: execution.at}, fmt.dateTime(execution.at))),
    fact('execucoes.trigger', triggerOf(ctx, execution.trigger)),
    fact('execucoes.result', resultOf(ctx, execution)),
    fact('execucoes.total', fmt.number(execution.total)),
    fact('execucoes.sent', fmt.number(execution.sent)),
    fact('execucoes.errors', fmt.number(execution.errors)),
    fact('execucao.skipped', fmt.number(execution.skipped)),
    fact('execucoes.duration', fmt.duration(execution.duration_ms)),
    execution.error && fact('execucao.error', h('span', {}, execution.error, execution.sqlstate && ` (${execution.sqlstate})`)),
    fact('execucao.zone', fmt.zoneName()));
}

function columns(ctx) {
  const {t} = ctx;
  return [
    {label: t('execucao.lead'), header: true, cell: (row) => h('span', {class: 'named'}, link('pessoa', {q: row.run}, row.name || row.lead), row.name && h('small', {}, row.lead))},
    {label: t('execucao.step'), numeric: true, cell: (row) => (row.step === null ? '–' : ctx.fmt.number(row.step))},
    {label: t('execucao.template'), cell: (row) => row.template ?? '–'},
    {label: t('execucao.status'), cell: (row) => h('span', {class: `badge ${TONES[row.status] ?? ''}`},
      t.has(`result.${row.status}`) ? t(`result.${row.status}`) : row.status)},
    {label: t('execucao.words'), prose: true, cell: (row) => wordsOf(ctx, row)},
  ];
}

// What the runner says is said in the reader's words; what a provider has answered is quoted behind it.
function wordsOf(ctx, {message, means}) {
  if (means) return [sentence(means), h('small', {}, message)];
  const [, channel] = /^sent by (\w+)$/.exec(message ?? '') ?? [];
  if (channel) return ctx.t('result.sent_by', {channel: channelOf(ctx, channel)});
  if (message === 'no step was left') return ctx.t('result.no_step');
  return message ?? '–';
}
