// A number with its share of a whole. What is more than its whole, where the counting has begun in
// the middle, has no share that would mean something.

import {h} from './dom.js';

export function shareOf(ctx, part, whole, fmt) {
  if (!(whole > 0) || part > whole) return fmt.number(part);
  return h('span', {class: 'share'}, fmt.number(part), ' ',
    h('small', {}, ctx.t('share.of', {percent: fmt.percent(part, whole), whole})));
}
