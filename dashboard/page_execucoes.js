// Execuções: the log, the newest first. The newest page is kept up to date; older ones stay.

import {add, fill, h, link} from './dom.js';
import {table} from './table.js';

export function render(root, params, ctx) {
  const {t} = ctx;
  const isNewest = !params.before;
  const log = ctx.source('execucoes', {before: params.before, before_id: params.before_id}, {poll: isNewest});
  root.append(ctx.panel({
    title: t(isNewest ? 'execucoes.newest' : 'execucoes.older'),
    hint: t('execucoes.hint'),
    from: log,
    wide: true,
    draw: (body, data, fmt) => {
      fill(body, table(columns(ctx, fmt), data.rows, {
        caption: fmt.zoneName(),
        empty: t('execucoes.none'),
        key: (row) => row.id,
      }));
      add(body, h('nav', {class: 'pager', 'aria-label': t('execucoes.pages')},
        !isNewest && link('execucoes', {}, t('execucoes.to_newest')),
        data.next && link('execucoes', data.next, t('execucoes.to_older'))));
    },
  }).element);
}

function columns(ctx, fmt) {
  const {t} = ctx;
  return [
    {label: t('execucoes.at'), header: true, cell: (row) => link('execucao', {id: row.id}, h('time', {datetime: row.at}, fmt.dateTime(row.at)))},
    {label: t('execucoes.trigger'), cell: (row) => triggerOf(ctx, row.trigger)},
    {label: t('execucoes.total'), numeric: true, cell: (row) => fmt.number(row.total)},
    {label: t('execucoes.sent'), numeric: true, cell: (row) => fmt.number(row.sent)},
    {label: t('execucoes.errors'), numeric: true, cell: (row) => fmt.number(row.errors)},
    {label: t('execucoes.duration'), numeric: true, cell: (row) => fmt.duration(row.duration_ms)},
    {label: t('execucoes.result'), cell: (row) => resultOf(ctx, row)},
  ];
}

/** Who or what began an execution, in words. */
export function triggerOf(ctx, trigger) {
  const key = `execucoes.trigger.${trigger}`;
  return ctx.t.has(key) ? ctx.t(key) : trigger;
}

/** How an execution went, as a badge; the words of what ended it beside it. */
export function resultOf(ctx, row) {
  const kind = row.error ? 'failed' : row.errors > 0 ? 'some' : row.total === 0 ? 'nothing' : 'good';
  const tone = {failed: 'bad', some: 'warn', nothing: '', good: 'good'}[kind];
  return [h('span', {class: `badge ${tone}`}, ctx.t(`execucoes.result.${kind}`)), row.error && h('span', {class: 'why'}, ' ', row.error)];
}
