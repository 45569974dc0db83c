// Of how many days the numbers are: links, so that what is looked at can be kept and shared.

import {h, link} from './dom.js';

/** The choice for a page; other parameters stay as they are. */
export function periods(ctx, page, params, choices, current) {
  const {t} = ctx;
  return h('nav', {class: 'pager whole', 'aria-label': t('period.label')}, choices.map((days) => {
    const a = link(page, {...params, days: String(days)}, days > 365 ? t('period.year') : t('period.days', {n: days}));
    if (days === current) a.setAttribute('aria-current', 'true');
    return a;
  }));
}

/** The number of days that a page's parameters ask for, of the choices there are. */
export function daysOf(params, choices, otherwise) {
  return choices.find((days) => String(days) === params.days) ?? otherwise;
}

/** A day as it stands in an answer, written out; no zone moves it. */
export function dayOf(fmt, day) {
  return h('time', {datetime: day}, fmt.inZone('UTC').date(`${day}T12:00:00Z`));
}
