// The frame: language, theme, login, and which page is shown. A page is a module page_NAME.js with
// render(root, params, ctx), and is loaded when somebody goes there. The address after the # is
// /NAME?params, so that a page can be kept, shared and gone back to.

import {ask, ApiError, apiUrl, watch} from './api.js';
import {address, fill, h} from './dom.js';
import {formats} from './format.js';
import {LANGUAGES, loadStrings, preferredLanguage, remember, remembered, translator} from './i18n.js';
import {panel, source, wordsOf} from './panel.js';

// Each page, and the one in the navigation that it belongs to.
const PAGES = {
  agora: 'agora',
  execucoes: 'execucoes',
  execucao: 'execucoes',
  erros: 'erros',
  erro: 'erros',
  cadencias: 'cadencias',
  cadencia: 'cadencias',
  pessoa: 'pessoa',
  agenda: 'agenda',
};
const FIRST = 'agora';
const THEMES = ['auto', 'light', 'dark'];

const main = document.getElementById('conteudo');
const loginForm = main.querySelector('section.login');
const state = {me: null, isWaiting: false, language: preferredLanguage(), t: null, leave: null, onTheme: new Set()};

/* ---- language and theme ---------------------------------------------------------------------- */

function applyTheme(theme) {
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  state.onTheme.forEach((changed) => changed());
}

function currentTheme() {
  const theme = remembered('theme');
  return THEMES.includes(theme) ? theme : 'auto';
}

async function applyLanguage(language) {
  state.language = language;
  state.t = translator(await loadStrings(language), language);
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll('[data-t]')) element.textContent = state.t(element.dataset.t);
  for (const element of document.querySelectorAll('[data-t-label]')) {
    element.setAttribute('aria-label', state.t(element.dataset.tLabel));
  }
  drawControls();
}

function select(name, label, values, current, onChange) {
  const id = `escolha-${name}`;
  return [h('label', {for: id, class: 'said'}, label), h('select', {
    id,
    handlers: {change: (event) => onChange(event.target.value)},
  }, values.map((value) => h('option', {value, selected: value === current}, state.t(`app.${name}.${value}`))))];
}

function drawControls() {
  const {t} = state;
  fill(document.getElementById('controles'),
    select('language', t('app.language'), LANGUAGES, state.language, async (language) => {
      remember('language', language);
      await applyLanguage(language);
      await route();
      document.getElementById('escolha-language').focus();
    }),
    select('theme', t('app.theme'), THEMES, currentTheme(), (theme) => {
      remember('theme', theme);
      applyTheme(theme);
    }),
    state.me && h('form', {method: 'post', action: '/logout'},
      h('button', {type: 'submit', class: 'quiet'}, t('app.logout'))));
  fill(document.getElementById('rodape'),
    state.me && h('p', {}, t(state.me.people ? 'app.people.shown' : 'app.people.masked')));
}

/* ---- who is there ---------------------------------------------------------------------------- */

async function whoIsThere() {
  state.me = (await ask(apiUrl('me'))).data;
}

function showLogin(words) {
  const {t} = state;
  const before = document.getElementById('token');
  const isTyping = before !== null && document.activeElement === before;
  leave();
  state.me = null;
  drawControls();
  document.title = `${t('login.title')} · ${t('app.name')}`;
  const error = h('p', {class: 'notice', role: 'alert'}, words);
  const input = h('input', {id: 'token', name: 'token', type: 'password', autocomplete: 'current-password', required: true});
  fill(main, h('section', {class: 'card login', 'aria-labelledby': 'entrar'},
    h('h1', {id: 'entrar'}, t('login.title')), h('p', {}, t('login.about')), error,
    h('form', {method: 'post', action: '/login', handlers: {submit: (event) => logIn(event, input, error)}},
      h('label', {for: 'token'}, t('login.token')), input, h('p', {class: 'hint'}, t('login.hint')),
      h('button', {type: 'submit'}, t('login.go')))));
  // somebody may have begun to type before there were scripts
  input.value = before?.value ?? '';
  if (isTyping) input.focus();
}

// The form works without this, too: it is posted, and the answer leads back here.
async function logIn(event, input, error) {
  event.preventDefault();
  error.replaceChildren();
  try {
    const answer = await fetch('/login', {method: 'POST', body: new URLSearchParams({token: input.value}), redirect: 'manual'});
    if (answer.type !== 'opaqueredirect' && !answer.ok) throw new ApiError(answer.status, '', '');
    await whoIsThere();
    drawControls();
    await route();
    main.focus();
  } catch (problem) {
    fill(error, state.t(problem.status === 401 ? 'login.wrong' : 'login.away'));
    input.select();
    input.focus();
  }
}

// The server or its database is away: who has a session need not know their code again when it is back.
function waitForServer(problem) {
  const {t} = state;
  const waiting = new AbortController();
  const words = h('p', {class: 'notice', role: 'status'}, wordsOf(context(), problem));
  const over = async (action) => {
    waiting.abort();
    state.isWaiting = false;
    drawControls();
    await action();
  };
  state.isWaiting = true;
  document.title = t('app.name');
  fill(main, h('section', {class: 'card login', 'aria-labelledby': 'esperar'}, h('h1', {id: 'esperar'}, t('app.away')), words));
  watch(apiUrl('me'), {
    signal: waiting.signal,
    onData: (me) => over(() => {
      state.me = me;
      return route();
    }),
    onError(error) {
      if (error.status === 401) over(() => showLogin(''));
      else fill(words, wordsOf(context(), error));
    },
  });
}

/* ---- which page ------------------------------------------------------------------------------ */

function leave() {
  state.leave?.abort();
  state.leave = new AbortController();
  state.onTheme.clear();
}

/** What a page is given beside its place and its parameters. */
function context() {
  const ctx = {
    t: state.t,
    fmt: formats(state.language),
    language: state.language,
    me: state.me,
    signal: state.leave?.signal,
    go(page, params) {
      const place = address(page, params);
      // where one is already: again
      if (location.hash === place) route();
      else location.hash = place;
    },
    signedOut: () => showLogin(state.t('login.again')),
    onTheme(changed) {
      state.onTheme.add(changed);
      return () => state.onTheme.delete(changed);
    },
  };
  ctx.source = (name, params, options) => source(ctx, name, params, options);
  ctx.panel = (options) => panel(ctx, options);
  return ctx;
}

function readAddress() {
  const [, name = '', query = ''] = /^#\/([^?]*)\??(.*)$/.exec(location.hash) ?? [];
  return {name: Object.hasOwn(PAGES, name) ? name : FIRST, params: Object.fromEntries(new URLSearchParams(query))};
}

function loadPage(name) {
  return import(`./page_${name}.js`);
}

function markNavigation(name) {
  for (const a of document.querySelectorAll('#paginas a')) {
    if (a.getAttribute('href') === `#/${PAGES[name]}`) a.setAttribute('aria-current', 'page');
    else a.removeAttribute('aria-current');
  }
}

async function route() {
  // the language is not there yet, or nobody knows who asks
  if (!state.t || state.isWaiting) return;
  if (!state.me) {
    showLogin('');
    return;
  }
  const {name, params} = readAddress();
  leave();
  const ctx = context();
  markNavigation(name);
  document.title = `${ctx.t(`${name}.title`)} · ${ctx.t('app.name')}`;
  const root = h('div', {class: `page page-${name}`});
  fill(main, h('h1', {}, ctx.t(`${name}.title`)), root);
  try {
    const page = await loadPage(name);
    if (!ctx.signal.aborted) page.render(root, params, ctx);
  } catch (error) {
    console.error(error);
    fill(root, h('p', {class: 'notice', role: 'alert'}, ctx.t('error.page')));
  }
}

async function start() {
  applyTheme(currentTheme());
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => applyTheme(currentTheme()));
  document.querySelector('a.skip').addEventListener('click', (event) => {
    // the # is the page's address
    event.preventDefault();
    main.focus();
    main.scrollIntoView();
  });
  // a page that the browser has kept is of whoever was logged in then
  window.addEventListener('pageshow', (event) => {
    if (event.persisted) location.reload();
  });
  window.addEventListener('hashchange', async () => {
    await route();
    main.focus({preventScroll: true});
    scrollTo(0, 0);
  });
  // what is needed in any case is asked for together
  const who = whoIsThere().then(() => null, (error) => error);
  loadPage(readAddress().name).catch(() => null);
  await applyLanguage(state.language);
  const problem = await who;
  drawControls();
  if (problem && problem.status !== 401) waitForServer(problem);
  else if (problem) showLogin('');
  else await route();
}

loginForm.setAttribute('aria-busy', 'true');
start();
