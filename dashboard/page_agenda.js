// Agenda: what will leave, by day and hour, by channel and by sender, when nobody replies and nothing
// is changed. Where too much is due to be foreseen, what is merely due is said to be that.

import {add, fill, h} from './dom.js';
import {timeChart} from './chart.js';
import {channelOf} from './sender_card.js';
import {table} from './table.js';

const HOUR = 3600;

export function render(root, params, ctx) {
  const {t} = ctx;
  const plan = ctx.source('agenda', {}, {poll: false});
  const panel = (key, draw) => root.append(ctx.panel({title: t(key), from: plan, wide: true, draw}).element);
  root.append(h('p', {class: 'hint whole'}, t('agenda.about')), h('p', {}, h('button', {type: 'button', class: 'quiet', handlers: {click: () => plan.refresh()}}, t('agenda.again'))));
  panel('agenda.hours', (body, data, fmt) => drawHours(ctx, body, data, fmt));
  panel('agenda.days', (body, data, fmt) => drawDays(ctx, body, data, fmt));
  panel('agenda.senders', (body, data, fmt) => drawSenders(ctx, body, data, fmt));
}

function sum(rows, of = (row) => row.n) {
  return rows.reduce((total, row) => total + of(row), 0);
}

function unique(values) {
  return [...new Set(values)].sort();
}

function seconds(time) {
  return Math.floor(new Date(time).getTime() / 1000);
}

// A series for each channel, and one for what is due and not foreseen.
function seriesOf(ctx, data, times) {
  const place = new Map(times.map((time, i) => [time, i]));
  const counted = (rows) => {
    const values = times.map(() => 0);
    for (const row of rows) values[place.get(seconds(row.at))] += row.n;
    return values;
  };
  const series = unique(data.hours.map((row) => row.channel)).map((channel) => ({
    label: channelOf(ctx, channel),
    values: counted(data.hours.filter((row) => row.channel === channel)),
  }));
  if (data.due.length > 0) series.push({label: ctx.t('agenda.due'), values: counted(data.due)});
  return series;
}

function hoursOf(data) {
  const known = [...data.hours, ...data.due].map((row) => seconds(row.at));
  if (known.length === 0) return [];
  const times = [];
  for (let time = Math.min(...known); time <= Math.max(...known); time += HOUR) times.push(time);
  return unique([...times, ...known]).sort((a, b) => a - b);
}

function drawHours(ctx, body, data, fmt) {
  const {t} = ctx;
  const times = hoursOf(data);
  if (!data.exact) add(body, h('p', {class: 'notice'}, t('agenda.too_many', {time: fmt.dayTime(data.exact_until)})));
  if (times.length === 0) {
    add(body, h('p', {class: 'empty'}, t('agenda.none')));
    return;
  }
  const series = seriesOf(ctx, data, times);
  const totals = times.map((_, i) => series.reduce((total, one) => total + one.values[i], 0));
  const most = totals.indexOf(Math.max(...totals));
  add(body, timeChart(ctx, {
    label: t('agenda.hours'),
    summary: t('agenda.summary', {n: sum(totals, (n) => n), most: totals[most], time: fmt.dayTime(times[most] * 1000)}),
    times,
    series,
    stepped: true,
    fmt,
    twin: {
      columns: [
        {label: t('agenda.hour'), header: true, cell: (i) => fmt.dayTime(times[i] * 1000)},
        ...series.map((one) => ({label: one.label, numeric: true, cell: (i) => fmt.number(one.values[i])})),
      ],
      rows: times.map((_, i) => i).filter((i) => totals[i] > 0),
    },
  }));
  add(body, h('p', {class: 'hint'}, fmt.zoneName()));
}

function drawDays(ctx, body, data, fmt) {
  const {t} = ctx;
  const channels = unique(data.hours.map((row) => row.channel));
  // the day in the company's zone stands in its times
  const dayOf = (row) => row.at.slice(0, 10);
  const days = unique([...data.hours, ...data.due].map(dayOf));
  const of = (rows, day, channel) => sum(rows.filter((row) => dayOf(row) === day && (!channel || row.channel === channel)));
  const first = (day) => [...data.hours, ...data.due].find((row) => dayOf(row) === day).at;
  fill(body, table([
    {label: t('agenda.day'), header: true, cell: (day) => fmt.day(first(day))},
    ...channels.map((channel) => ({label: channelOf(ctx, channel), numeric: true, cell: (day) => fmt.number(of(data.hours, day, channel))})),
    ...(data.due.length > 0 ? [{label: t('agenda.due'), numeric: true, cell: (day) => fmt.number(of(data.due, day))}] : []),
    {label: t('agenda.total'), numeric: true, cell: (day) => fmt.number(of(data.hours, day) + of(data.due, day))},
  ], days, {caption: fmt.zoneName(), empty: t('agenda.none'), key: (day) => day}));
}

function drawSenders(ctx, body, data, fmt) {
  const {t} = ctx;
  const senders = unique(data.hours.map((row) => row.server));
  const of = (server) => data.hours.filter((row) => row.server === server);
  fill(body, table([
    {label: t('agenda.sender'), header: true, cell: (server) => server},
    {label: t('agenda.channel'), cell: (server) => unique(of(server).map((row) => channelOf(ctx, row.channel))).join(', ')},
    {label: t('agenda.messages'), numeric: true, cell: (server) => fmt.number(sum(of(server)))},
    {label: t('agenda.certain'), numeric: true, cell: (server) => fmt.number(sum(of(server), (row) => row.certain))},
    {label: t('agenda.first'), cell: (server) => fmt.dayTime(of(server)[0].at)},
  ], senders, {caption: t('agenda.senders.until', {time: fmt.dayTime(data.exact_until)}), empty: t('agenda.none'), key: (server) => server}));
}
