// Pessoa: somebody is searched for; then who it is, what comes next and why not yet, and their story.

import {add, address, dotted, fill, h, link} from './dom.js';
import {sentence} from './format.js';
import {channelOf} from './sender_card.js';
import {table} from './table.js';

const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
// times stand beside the reason, in the page's zone; how to call what is to be done is for others
const SAID_ELSEWHERE = /^(?:até|until|será visto de novo em|it is looked at again at|uma mensagem tenta em|one message tries it at) \d{4}-|^cadence_\w+\(\)/;
const TONES = {sent: 'good', delivered: 'good', read: 'good', received: 'good', answered: 'good', 'not sent': 'bad', 'not delivered': 'bad',
  uncertain: 'warn', held: 'warn', paused: 'warn', cancelled: 'warn', 'opted out': 'warn'};

export function render(root, params, ctx) {
  const q = (params.q ?? '').trim();
  root.append(searchForm(ctx, q));
  const named = nameOf(params, q);
  if (named) showPerson(root, ctx, named);
  else if (q) showFound(root, ctx, q);
}

// Who names a run means its person.
function nameOf(params, q) {
  if (params.run || UUID.test(q)) return {run: params.run ?? q};
  return params.lead_id && params.empresa ? {lead_id: params.lead_id, empresa: params.empresa} : null;
}

/* ---- searching ------------------------------------------------------------------------------- */

function searchForm(ctx, q) {
  const {t} = ctx;
  const input = h('input', {id: 'q', name: 'q', type: 'search', value: q, maxlength: 200, autocomplete: 'off', spellcheck: 'false', 'aria-describedby': 'q-hint'});
  return h('section', {class: 'card wide', 'aria-labelledby': 'p-q'},
    h('h2', {id: 'p-q'}, t('pessoa.search')),
    h('form', {role: 'search', 'aria-labelledby': 'p-q', handlers: {
      submit: (event) => {
        event.preventDefault();
        if (input.value.trim()) ctx.go('pessoa', {q: input.value.trim()});
      },
    }},
    h('div', {class: 'fields'},
      h('div', {}, h('label', {for: 'q'}, t('pessoa.q')), input),
      h('button', {type: 'submit'}, t('pessoa.go'))),
    h('p', {class: 'hint', id: 'q-hint'}, t(ctx.me.people ? 'pessoa.hint' : 'pessoa.hint_masked'))));
}

function showFound(root, ctx, q) {
  const {t} = ctx;
  let shown = false;
  root.append(ctx.panel({
    title: t('pessoa.found'),
    from: ctx.source('pessoas', {q}, {poll: false}),
    wide: true,
    draw: (body, data) => {
      fill(body, h('p', {class: 'hint'}, searchedAs(ctx, data)), table(foundColumns(ctx), data.people, {
        caption: t('pessoa.found'), quiet: true, empty: t('pessoa.nobody'), key: (row) => `${row.lead_id} ${row.empresa}`,
      }));
      if (data.more) add(body, h('p', {class: 'hint'}, t('pessoa.more', {n: data.people.length})));
      // who is found alone is meant
      if (data.people.length === 1 && !shown) {
        shown = true;
        // what was searched, a number or a name, does not stay in the browser's history
        if (ctx.me.people) history.replaceState(null, '', address('pessoa', {lead_id: data.people[0].lead_id, empresa: data.people[0].empresa}));
        showPerson(root, ctx, {lead_id: data.people[0].lead_id, empresa: data.people[0].empresa});
      }
    },
  }).element);
}

function searchedAs(ctx, {searched, may_search: maySearch}) {
  const names = (kinds) => new Intl.ListFormat(ctx.language, {type: 'disjunction'}).format(kinds.map((kind) => ctx.t(`pessoa.kind.${kind}`)));
  return searched.length > 0 ? ctx.t('pessoa.searched', {kinds: names(searched)}) : ctx.t('pessoa.may_search', {kinds: names(maySearch)});
}

function foundColumns(ctx) {
  const {t} = ctx;
  return [
    {label: t('pessoa.name'), header: true, cell: (row) => link('pessoa', {lead_id: row.lead_id, empresa: row.empresa}, row.name || row.lead_id)},
    {label: t('pessoa.lead'), cell: (row) => row.lead_id},
    {label: t('pessoa.company'), cell: (row) => row.empresa},
    {label: t('pessoa.phone'), cell: (row) => row.phone ?? '–'},
    {label: t('pessoa.email'), cell: (row) => row.email ?? '–'},
    {label: t('pessoa.runs'), cell: (row) => runsOf(ctx, row)},
  ];
}

function runsOf(ctx, person) {
  return ['active', 'paused', 'over'].filter((kind) => person[kind] > 0).map((kind) => ctx.t(`pessoa.${kind}`, {n: person[kind]})).join(', ') || '–';
}

/* ---- one person ------------------------------------------------------------------------------ */

function showPerson(root, ctx, named) {
  const {t} = ctx;
  const one = ctx.source('pessoa', {...named, lang: ctx.language});
  const panel = (key, draw) => root.append(ctx.panel({title: t(key), key, from: one, wide: true, draw}).element);
  panel('pessoa.who', (body, data) => fill(body, factsOf(ctx, data)));
  panel('pessoa.next', (body, data, fmt) => fill(body, data.next.length === 0 ? h('p', {class: 'empty'}, t('pessoa.next_none'))
    : [h('p', {class: 'hint'}, fmt.zoneName()), h('ul', {class: 'cards'}, data.next.map((next) => nextOf(ctx, next, fmt)))]));
  panel('pessoa.story', (body, data, fmt) => {
    fill(body, h('p', {class: 'hint'}, t('pessoa.story_hint', {zone: fmt.zoneName()})),
      data.timeline.length === 0 ? h('p', {class: 'empty'}, t('pessoa.story_none'))
        : h('ol', {class: 'story'}, data.timeline.map((event) => eventOf(ctx, event, fmt))));
    if (data.timeline_total > data.timeline.length) {
      add(body, h('p', {class: 'hint'}, t('pessoa.story_more', {n: data.timeline.length, total: data.timeline_total})));
    }
  });
}

function factsOf(ctx, {person}) {
  const {t} = ctx;
  const fact = (key, value) => [h('dt', {}, t(key)), h('dd', {}, value ?? '–')];
  return h('dl', {class: 'facts'},
    fact('pessoa.name', person.name), fact('pessoa.lead', person.lead_id), fact('pessoa.company', person.empresa),
    fact('pessoa.phone', person.phone), fact('pessoa.email', person.email),
    fact('pessoa.runs', runsOf(ctx, person)),
    person.opted_out === null && fact('pessoa.contact', t('pessoa.no_contact')),
    person.opted_out && fact('pessoa.contact', h('span', {class: 'badge warn'}, t('pessoa.opted_out'))));
}

function nextOf(ctx, next, fmt) {
  const {t} = ctx;
  return h('li', {class: 'card', 'data-key': `next-${next.run}`},
    h('h3', {}, next.cadence_id ? link('cadencia', {id: next.cadence_id}, next.cadence_name ?? next.cadence ?? t('pessoa.unnamed')) : t('pessoa.unnamed'), ' ',
      h('span', {class: next.status === 'ATIVA' ? 'badge good' : 'badge warn'}, t(next.being_sent ? 'pessoa.being_sent' : `pessoa.status.${next.status}`))),
    h('p', {}, dotted(stepOf(ctx, next))),
    next.at && !next.being_sent && h('p', {}, h('time', {datetime: next.at}, t('pessoa.at', {time: fmt.dayTime(next.at), ago: fmt.ago(next.at)}))),
    next.why === null ? h('p', {class: 'notice'}, t('pessoa.why_failed', {code: next.error}))
      : next.why.length === 0 ? h('p', {class: 'hint'}, t('pessoa.why_nothing'))
        : [h('h4', {}, t('pessoa.why')), h('ul', {class: 'reasons'}, next.why.map((reason) => reasonOf(ctx, reason, fmt)))]);
}

function reasonOf(ctx, reason, fmt) {
  const {t} = ctx;
  const times = [reason.since && t('pessoa.since', {time: fmt.dayTime(reason.since)}), reason.clears_at && t('pessoa.clears', {time: fmt.dayTime(reason.clears_at)})];
  const [words, ...details] = reason.text.split('; ');
  const [key, todo] = [`why.${reason.code}`, `why.todo.${reason.code}`];
  return h('li', {class: reason.clears_at ? 'warn' : null}, sentence(t.has(key) ? t(key) : words),
    h('small', {}, times.filter(Boolean).join('; ')),
    h('small', {}, details.filter((detail) => !SAID_ELSEWHERE.test(detail)).join('; ')),
    h('small', {}, t.has(todo) ? t(todo) : reason.todo));
}

function stepOf(ctx, event) {
  return [event.step !== null && ctx.t('pessoa.step', {n: event.step}), event.channel && channelOf(ctx, event.channel), event.template];
}

function eventOf(ctx, event, fmt) {
  const {t} = ctx;
  const key = `pessoa.what.${event.what.replace(' ', '_')}`;
  return h('li', {},
    h('p', {}, h('time', {datetime: event.at}, fmt.dateTime(event.at)), ' ',
      h('span', {class: `badge ${TONES[event.what] ?? ''}`}, t.has(key) ? t(key) : event.what), ' ', h('span', {class: 'hint'}, dotted(event.cadence_name || event.cadence, stepOf(ctx, event)))),
    event.code && h('p', {}, sentence(event.means ?? event.code)),
    event.text && h('blockquote', {class: 'quote'}, event.text),
    event.due_at && h('p', {class: 'hint'}, t(event.what === 'scheduled' ? 'pessoa.due' : 'pessoa.again', {time: fmt.dayTime(event.due_at)})));
}
