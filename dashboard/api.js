// Asks for a page's numbers: again every five seconds while somebody looks, with the ETag of what is
// known, so that what has not changed is neither sent nor drawn again.

const EVERY_MS = 5000;
const TIMEOUT_MS = 30000;
const SLOWER_AFTER_FAILURES = 3;
const SLOW_MS = 30000;

/** An answer that is no answer: its status, and what it says. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The address of a number's source. */
export function apiUrl(name, params) {
  const given = Object.entries(params ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const query = new URLSearchParams(given).toString();
  return `/api/${encodeURIComponent(name)}${query ? `?${query}` : ''}`;
}

async function errorOf(answer) {
  let problem = {};
  try {
    problem = (await answer.json()).error ?? {};
  } catch {
    // a proxy's page
  }
  return new ApiError(answer.status, problem.code ?? '', problem.message ?? '');
}

/** One question. Returns {data, etag}, or null when nothing has changed since etag. */
export async function ask(url, etag, signal) {
  const headers = {Accept: 'application/json'};
  if (etag) headers['If-None-Match'] = etag;
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const answer = await fetch(url, {
    headers,
    cache: 'no-store',
    credentials: 'same-origin',
    signal: signal ? anyOf(signal, timeout) : timeout,
  });
  if (answer.status === 304) return null;
  if (!answer.ok) throw await errorOf(answer);
  return {data: await answer.json(), etag: answer.headers.get('ETag')};
}

// AbortSignal.any() is younger than the phones that people have.
function anyOf(...signals) {
  const either = new AbortController();
  for (const signal of signals) {
    if (signal.aborted) either.abort(signal.reason);
    signal.addEventListener('abort', () => either.abort(signal.reason), {once: true});
  }
  return either.signal;
}

/** Whether the same question may be answered later; what is wrong with the question stays so. */
export function passes(error) {
  return !(error instanceof ApiError) || ![400, 401, 403, 404].includes(error.status);
}

/**
 * Asks until signal is aborted: onData(data) when it has changed, onError(error) when it failed,
 * onSame() when it is as it was. With poll: false until there is an answer, and again by what is
 * returned: refresh().
 */
export function watch(url, {signal, poll = true, onData, onError, onSame}) {
  let etag = null;
  let timer = null;
  let asking = false;
  let failures = 0;

  async function turn() {
    clearTimeout(timer);
    if (asking || signal.aborted || document.hidden) return;
    let again = poll;
    asking = true;
    try {
      const answer = await ask(url, etag, signal);
      if (signal.aborted) return;
      failures = 0;
      if (answer) {
        etag = answer.etag;
        onData(answer.data);
      } else {
        onSame?.();
      }
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      // the next good answer is drawn, also if it is the one from before
      etag = null;
      again ||= passes(error);
      onError(error);
    } finally {
      asking = false;
    }
    if (again) timer = setTimeout(turn, failures >= SLOWER_AFTER_FAILURES ? SLOW_MS : EVERY_MS);
  }

  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && (poll || etag === null)) turn();
  }, {signal});
  signal.addEventListener('abort', () => clearTimeout(timer), {once: true});
  turn();
  return turn;
}
