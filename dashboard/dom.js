// Builds elements. Names, replies and a provider's words are hostile text: whatever is given as a
// child becomes a text node, no attribute takes script, and nothing here parses HTML.

const FORBIDDEN = /^(on|style$|srcdoc$|innerhtml$|outerhtml$)/i;
const ADDRESS = /^(href|action|formaction|src)$/i;
// two slashes, of either kind, begin the name of another host
const OURS = /^(#|\/(?![/\\]))/;

function setAttribute(element, name, value) {
  if (FORBIDDEN.test(name)) throw new TypeError(`attribute ${name} is not for values`);
  if (value === null || value === undefined || value === false) return;
  if (ADDRESS.test(name) && !OURS.test(value)) throw new TypeError('a link leads to a place of ours');
  element.setAttribute(name, value === true ? '' : String(value));
}

/**
 * h('p', {class: 'hint'}, 'text', node, [more]) makes an element. Handlers are given as
 * {handlers: {click: function}}. null, undefined and false are left out as children and values.
 */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name === 'handlers') {
      for (const [type, handler] of Object.entries(value)) element.addEventListener(type, handler);
    } else {
      setAttribute(element, name, value);
    }
  }
  add(element, children);
  return element;
}

/** Adds children as h() does. */
export function add(element, children) {
  for (const child of [children].flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** Puts children in the place of those that are there. */
export function fill(element, ...children) {
  element.replaceChildren();
  return add(element, children);
}

/** Texts of others in a row: none of them changes the direction in which the next is read. */
export function dotted(...parts) {
  return parts.flat().filter((part) => part !== null && part !== undefined && part !== '' && part !== false)
    .flatMap((part, i) => [i > 0 && ' · ', h('bdi', {}, part)]);
}

/** A link to one of our pages: link('execucao', {id: '…'}, 'text'). */
export function link(page, params, ...children) {
  return h('a', {href: address(page, params)}, ...children);
}

/** The address of one of our pages. */
export function address(page, params) {
  const given = Object.entries(params ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const query = new URLSearchParams(given).toString();
  return `#/${page}${query ? `?${query}` : ''}`;
}

/**
 * Does something that replaces what an element shows, and leaves the reader where they were: the
 * focus by the focused element's id or data-key, opened details by their data-key, and how far the
 * table in them was scrolled.
 */
export function keepingPlace(element, change) {
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  const key = focused?.id || focused?.closest('[data-key]')?.dataset.key;
  const opened = new Map([...element.querySelectorAll('details[open][data-key]')]
    .map((details) => [details.dataset.key, details.querySelector('.scroll')?.scrollTop ?? 0]));
  change();
  for (const details of element.querySelectorAll('details[data-key]')) {
    if (!opened.has(details.dataset.key)) continue;
    details.dataset.scrolled = opened.get(details.dataset.key);
    details.open = true;
  }
  if (!focused || !key) return;
  const again = element.querySelector(`#${CSS.escape(key)}`) ?? element.querySelector(`[data-key="${CSS.escape(key)}"]`);
  const target = again?.matches('a, button, input, select, summary, [tabindex]') ? again
    : again?.querySelector('a, button, input, select, summary, [tabindex]');
  target?.focus({preventScroll: true});
}
