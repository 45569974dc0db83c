// Tables that a screen reader reads as such, also on a phone, where each row is shown as a card.

import {h} from './dom.js';

/**
 * columns: [{label, cell(row), numeric, header, prose}]. cell returns what h() takes as a child; header
 * marks the column that names its row, prose one of whole sentences. options: caption (said, and shown unless quiet), empty (what
 * is said where there are no rows), key(row) for keeping the reader's place.
 */
export function table(columns, rows, {caption, quiet = false, empty, key} = {}) {
  if (rows.length === 0 && empty) return h('p', {class: 'empty'}, empty);
  // roles: with another display the rows would be none any more for a screen reader
  const head = h('thead', {role: 'rowgroup'}, h('tr', {role: 'row'}, columns.map((column) =>
    h('th', {role: 'columnheader', scope: 'col', class: column.numeric && 'numeric'}, h('span', {}, column.label)))));
  const body = h('tbody', {role: 'rowgroup'}, rows.map((row) =>
    h('tr', {role: 'row', 'data-key': key?.(row)}, columns.map((column) => cellOf(column, row)))));
  const element = h('table', {role: 'table'}, caption && h('caption', {class: quiet && 'said'}, caption), head, body);
  return scrolling(element, caption);
}

function cellOf(column, row) {
  const attributes = {class: (column.numeric && 'numeric') || (column.prose && 'prose'), 'data-label': column.label};
  return column.header
    ? h('th', {...attributes, role: 'rowheader', scope: 'row'}, h('span', {}, column.cell(row)))
    : h('td', {...attributes, role: 'cell'}, h('span', {}, column.cell(row)));
}

// What is wider than its place scrolls by itself, and can then be scrolled from the keyboard.
function scrolling(element, label) {
  const box = h('div', {class: 'scroll'}, element);
  new ResizeObserver(() => {
    const scrolls = box.scrollWidth > box.clientWidth;
    for (const [name, value] of [['tabindex', '0'], ['role', 'group'], ['aria-label', label ?? '']]) {
      if (scrolls) box.setAttribute(name, value);
      else box.removeAttribute(name);
    }
  }).observe(box);
  return box;
}
