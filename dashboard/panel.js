// Panels: a heading and what is below it. Each says for itself that it is loading, has failed or is
// old, and whatever becomes of one, the others stay.

import {ApiError, apiUrl, passes, watch} from './api.js';
import {fill, h, keepingPlace} from './dom.js';

/**
 * Where panels get their numbers from: one question, however many panels show its answer. Asked as
 * soon as the page has been put together. refresh() asks now.
 */
export function source(ctx, name, params, {poll = true} = {}) {
  const panels = [];
  let turn = null;
  const each = (what, ...args) => panels.forEach((panel) => panel[what](...args));
  queueMicrotask(() => {
    turn = watch(apiUrl(name, params), {
      signal: ctx.signal,
      poll,
      onData: (data) => each('show', data),
      onSame: () => each('fresh'),
      onError: (error) => {
        if (error instanceof ApiError && error.status === 401) ctx.signedOut();
        else if (passes(error)) each('fail', error);
        else refused(panels, error);
      },
    });
  });
  return {panels, refresh: () => turn?.()};
}

// What is wrong with the question is said once, however many panels wanted the answer.
function refused([first, ...others], error) {
  first?.fail(error);
  others.forEach((panel) => panel.hide());
}

/**
 * A panel. draw(body, data, fmt) fills it each time that its source's answer has changed; fmt has the
 * answer's zone. options: title, hint (a line below it), from (a source), draw, wide, key.
 */
export function panel(ctx, {title, hint, from, draw, wide = false, key = title}) {
  const id = `p-${key.replace(/\W+/g, '-')}`;
  const body = h('div', {class: 'body'}, h('p', {class: 'loading'}, ctx.t('app.loading')));
  // what fails and comes back is said aloud; numbers that change every few seconds are not
  const notice = h('p', {class: 'notice', role: 'status'});
  const element = h('section', {class: wide ? 'card wide' : 'card', 'aria-labelledby': id, 'aria-busy': 'true'},
    h('h2', {id}, title), hint && h('p', {class: 'hint'}, hint), notice, body);
  const calm = () => {
    element.hidden = false;
    element.classList.remove('failed');
    element.removeAttribute('aria-busy');
    if (notice.firstChild) notice.replaceChildren();
  };
  const stop = (hidden) => {
    element.hidden = hidden;
    element.removeAttribute('aria-busy');
    body.querySelector('.loading')?.remove();
  };
  const fail = (error) => {
    stop(false);
    element.classList.add('failed');
    const words = wordsOf(ctx, error);
    if (notice.textContent !== words) fill(notice, words);
  };
  const show = (data) => {
    try {
      keepingPlace(body, () => {
        body.replaceChildren();
        draw(body, data, ctx.fmt.inZone(data.zone));
      });
      calm();
    } catch (error) {
      console.error(error);
      fail(error);
    }
  };
  from?.panels.push({show, fail, hide: () => stop(true), fresh: calm});
  return {element, body, show, fail};
}

/** What went wrong, in words that somebody can act on. */
export function wordsOf(ctx, error) {
  const {t} = ctx;
  if (!(error instanceof ApiError)) {
    return t(error?.name === 'TimeoutError' ? 'error.timeout' : error instanceof TypeError ? 'error.network' : 'error.other');
  }
  const known = `error.${error.status}`;
  const words = t.has(known) ? t(known) : t('error.other');
  // by its code whoever runs the server finds it in the log, where its words are
  return error.code && error.status !== 404 ? `${words} (${error.code})` : words;
}
