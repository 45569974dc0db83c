// Agora: is all well, what is going on, what was sent, and how each sender fares.

import {fill, h, link} from './dom.js';
import {timeChart} from './chart.js';
import {senderCard} from './sender_card.js';

export function render(root, params, ctx) {
  const {t} = ctx;
  const now = ctx.source('agora');
  const senders = ctx.source('servidores');
  root.append(
    ctx.panel({title: t('agora.health'), from: now, wide: true, draw: (...args) => drawHealth(ctx, ...args)}).element,
    ctx.panel({title: t('agora.counts'), from: now, wide: true, draw: (...args) => drawCounts(ctx, ...args)}).element,
    ctx.panel({title: t('agora.minutes'), from: now, wide: true, draw: (...args) => drawMinutes(ctx, ...args)}).element,
    ctx.panel({title: t('agora.senders'), from: senders, wide: true, draw: (body, data, fmt) =>
      fill(body, data.rows.length === 0 ? h('p', {class: 'empty'}, t('agora.senders.none'))
        : h('ul', {class: 'cards'}, data.rows.map((sender) => senderCard(ctx, sender, fmt))))}).element,
  );
}

function drawHealth(ctx, body, data, fmt) {
  const {t} = ctx;
  fill(body,
    h('p', {class: 'verdict'}, h('span', {class: `badge ${data.healthy ? 'good' : 'bad'}`},
      t(data.healthy ? 'agora.healthy' : 'agora.unhealthy', {n: data.reasons.length}))),
    data.healthy ? h('p', {class: 'hint'}, t(data.last_execution ? 'agora.healthy.more' : 'agora.healthy.new'))
      : h('ul', {class: 'reasons'}, data.reasons.map((reason) => reasonOf(ctx, reason))),
    h('p', {class: 'hint'}, data.last_execution
      ? [t('agora.last'), ' ', h('time', {datetime: data.last_execution}, fmt.dateTime(data.last_execution))] : t('agora.last.none'),
    ' · ', fmt.zoneName()));
}

// What the database says is English, and for whoever runs it; what it means, and what to do, is said before.
function reasonOf(ctx, reason) {
  const {t} = ctx;
  const [key, todo] = [`agora.reason.${reason.kind}`, `agora.todo.${reason.kind}`];
  return h('li', {}, h('strong', {}, t.has(key) ? t(key, {name: reason.name ?? ''}) : t('agora.reason.other')),
    h('p', {}, t(t.has(todo) ? todo : 'agora.todo.other')),
    h('details', {'data-key': `reason-${reason.kind}-${reason.name ?? ''}`}, h('summary', {}, t('agora.technical')), h('p', {lang: 'en'}, reason.text)));
}

function drawCounts(ctx, body, data, fmt) {
  const {t} = ctx;
  const figure = (key, value, more, long) => h('div', {'data-figure': key}, h('dt', {}, t(key)),
    h('dd', {class: long && 'long'}, value, more && h('small', {}, more)));
  fill(body, h('dl', {class: 'figures'},
    figure('agora.due', fmt.number(data.due), data.oldest_due ? t('agora.due.since', {time: fmt.dayTime(data.oldest_due)}) : t('agora.due.none')),
    figure('agora.lag', data.due > 0 && data.lag_seconds !== null ? fmt.duration(data.lag_seconds * 1000) : t('agora.lag.none'), t('agora.lag.more'), true),
    figure('agora.in_flight', fmt.number(data.in_flight), t('agora.in_flight.more')),
    figure('agora.sent_today', fmt.number(data.sent_today), data.failed_today > 0
      ? link('erros', {}, t('agora.failed_today', {n: data.failed_today})) : t('agora.failed_today.none')),
    figure('agora.next_due', data.next_due ? fmt.dayTime(data.next_due) : t('agora.next_due.none'), link('agenda', {}, t('agora.next_due.more')), true),
    data.uncertain > 0 && figure('agora.uncertain', fmt.number(data.uncertain), t('agora.uncertain.more'))));
}

function drawMinutes(ctx, body, data, fmt) {
  const {t} = ctx;
  const {from, sent, failed} = data.minutes;
  const start = Math.floor(new Date(from).getTime() / 1000);
  const times = sent.map((_, i) => start + i * 60);
  const total = (counts) => counts.reduce((sum, n) => sum + n, 0);
  const most = sent.reduce((best, n, i) => (n > sent[best] ? i : best), 0);
  const rows = times.map((time, i) => ({time, sent: sent[i], failed: failed[i]}))
    .filter((row) => row.sent > 0 || row.failed > 0).reverse();
  const summary = total(sent) === 0 ? t('agora.minutes.none')
    : t('agora.minutes.summary', {n: total(sent), most: sent[most], time: fmt.clock(times[most] * 1000)});
  fill(body, timeChart(ctx, {
    label: t('agora.minutes'),
    summary,
    times,
    series: [{label: t('agora.sent'), values: sent}, {label: t('agora.failed'), values: failed}],
    fmt,
    twin: {
      columns: [
        {label: t('agora.minute'), header: true, cell: (row) => fmt.dayTime(row.time * 1000)},
        {label: t('agora.sent'), numeric: true, cell: (row) => fmt.number(row.sent)},
        {label: t('agora.failed'), numeric: true, cell: (row) => fmt.number(row.failed)},
      ],
      rows,
    },
  }), h('p', {class: 'hint'}, t('agora.minutes.zone', {zone: fmt.zoneName()})));
}
