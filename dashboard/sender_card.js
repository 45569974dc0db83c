// One sender: whether it sends, how much, what its limits leave, and what its provider said last.

import {h} from './dom.js';

const TONES = {sending: 'good', idle: 'good', paused: 'warn', open: 'bad', no_new: 'warn', slow: 'warn', failing: 'bad'};

export function senderCard(ctx, sender, fmt) {
  const {t} = ctx;
  // what is open to messages may still have had no luck with any
  const isFailing = ['sending', 'idle'].includes(sender.state) && sender.failed_last_hour > 0 && sender.sent_last_hour === 0;
  const state = isFailing ? 'failing' : sender.state;
  const since = sender.since && t('sender.since', {time: fmt.dayTime(sender.since)});
  const until = sender.until && t('sender.until', {time: fmt.dayTime(sender.until)});
  const fact = (key, value) => value !== null && value !== undefined && [h('dt', {}, t(key)), h('dd', {}, value)];
  return h('li', {class: 'card', 'data-key': `sender-${sender.server}`},
    h('h3', {}, sender.server, ' ', h('span', {class: `badge ${TONES[state] ?? ''}`}, t(`sender.state.${state}`))),
    h('p', {class: 'hint'}, [channelOf(ctx, sender.channel), sender.company ?? t('sender.any_company')].filter(Boolean).join(' · ')),
    (since || until) && h('p', {}, [since, until].filter(Boolean).join('; ')),
    sender.reason && h('blockquote', {class: 'quote'}, sender.reason),
    h('dl', {class: 'facts'},
      fact('sender.in_flight', sender.in_flight !== null ? fmt.number(sender.in_flight) : null),
      fact('sender.rate', sender.rate_per_minute !== null ? t('sender.per_minute', {rate: fmt.decimal(sender.rate_per_minute)}) : null),
      fact('sender.sent_last_hour', fmt.number(sender.sent_last_hour)),
      fact('sender.failed_last_hour', fmt.number(sender.failed_last_hour)),
      sender.waiting > 0 && fact('sender.waiting', fmt.number(sender.waiting)),
      sender.gap && !/^0\D*$/.test(sender.gap) && fact('sender.gap', sender.gap),
      sender.max_rate && fact('sender.max_rate', t('sender.per_second', {rate: fmt.decimal(sender.max_rate)}))),
    sender.limits.map((limit) => limitOf(ctx, limit, fmt)),
    sender.last_error && h('div', {class: 'said-last'}, h('h4', {}, t('sender.last_error')),
      h('blockquote', {class: 'quote'}, sender.last_error),
      sender.last_error_at && h('p', {class: 'hint'}, h('time', {datetime: sender.last_error_at}, fmt.dayTime(sender.last_error_at)))));
}

/** A channel's name for people; one that has none is said as it is stored. */
export function channelOf(ctx, channel) {
  const key = `channel.${String(channel).toUpperCase()}`;
  return ctx.t.has(key) ? ctx.t(key) : channel;
}

function limitOf(ctx, limit, fmt) {
  const label = ctx.t(`sender.limit.${limit.window}`);
  return h('div', {class: 'meter'},
    h('span', {}, h('span', {}, label), h('span', {}, ctx.t('sender.used', {used: fmt.number(limit.used), most: fmt.number(limit.most)}))),
    h('meter', {min: 0, max: limit.most, value: Math.min(limit.used, limit.most), high: limit.most * 0.9, optimum: 0, 'aria-label': label}));
}
