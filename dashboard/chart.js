// Curves, by uPlot, each with a table twin: what the eye sees is also there to be read.

import {h} from './dom.js';
import {table} from './table.js';

const HEIGHT = 220;
const NARROW = 480;
const COLOURS = ['--series-1', '--series-2', '--series-3', '--series-4'];

/**
 * A figure of counts over time. times: seconds since 1970, ascending; series: [{label, values}];
 * stepped: whether each point is a span. twin: {columns, rows} of the table, summary: what the picture
 * says in one sentence. Drawn when it is on the page, again when its size or the theme changes.
 */
export function timeChart(ctx, {label, summary, times, series, stepped = false, twin, fmt, key = label}) {
  const place = h('div', {class: 'plot', role: 'img', 'aria-label': `${label}. ${summary}`});
  const readout = h('p', {class: 'readout', 'aria-hidden': 'true'}, summary);
  const shown = {place, readout, summary, times, series, stepped, fmt};
  const names = series.length > 1 && h('ul', {class: 'legend'}, series.map((one, i) =>
    h('li', {class: `series-${i + 1}`}, one.label)));
  let chart = null;
  const draw = async () => {
    const {default: UPlot} = await import('./uplot.js');
    if (!place.isConnected) return;
    chart?.destroy();
    chart = new UPlot(optionsOf(UPlot, shown), [times, ...series.map((one) => one.values)], place);
  };
  const forget = ctx.onTheme(draw);
  watchSize(place, (width) => (chart && chart.width === width ? null : draw()), () => {
    forget();
    chart?.destroy();
  });
  return h('figure', {class: 'chart'}, names, place, readout, twinOf(ctx, twin, label, key));
}

// The first size comes when the place is on the page, the last when it is not any more: a chart listens
// to the window, and would stay for ever.
function watchSize(place, changed, gone) {
  let wasThere = false;
  const observer = new ResizeObserver(() => {
    const width = Math.floor(place.clientWidth);
    if (width > 0) changed(width);
    if (wasThere && !place.isConnected) {
      observer.disconnect();
      gone();
    }
    wasThere = place.isConnected;
  });
  observer.observe(place);
}

// A day has many rows: they are made when somebody asks for them.
function twinOf(ctx, twin, label, key) {
  const details = h('details', {'data-key': `twin-${key}`}, h('summary', {}, ctx.t('chart.table')));
  details.addEventListener('toggle', () => {
    if (!details.open || details.children.length > 1) return;
    details.append(table(twin.columns, twin.rows, {caption: label, quiet: true, empty: ctx.t('chart.empty')}));
    details.lastChild.scrollTop = Number(details.dataset.scrolled ?? 0);
  });
  return details;
}

function optionsOf(UPlot, {place, readout, summary, times, series, stepped, fmt}) {
  const width = Math.floor(place.clientWidth);
  const colour = (name) => getComputedStyle(place).getPropertyValue(name).trim();
  const grid = {stroke: colour('--line'), width: 1};
  const axis = {stroke: colour('--soft'), grid, ticks: {show: false}, font: '12px system-ui, sans-serif'};
  return {
    width,
    height: HEIGHT,
    legend: {show: false},
    cursor: {y: false, drag: {setScale: false, x: false, y: false}},
    tzDate: (seconds) => (fmt.zone ? UPlot.tzDate(new Date(seconds * 1000), fmt.zone) : new Date(seconds * 1000)),
    scales: {x: {time: true}, y: {range: (_, __, most) => [0, Math.max(most ?? 0, 4)]}},
    axes: [
      {...axis, size: 30, grid: {show: false}, space: width < NARROW ? 60 : 80, values: (_, splits) => ticksOf(splits, fmt)},
      {...axis, size: 48, values: (_, splits) => splits.map((n) => (Number.isInteger(n) ? fmt.number(n) : ''))},
    ],
    series: [{}, ...series.map((one, i) => ({
      label: one.label,
      stroke: colour(COLOURS[i]),
      fill: colour(`${COLOURS[i]}-fill`),
      width: 1.5,
      points: {show: false},
      paths: stepped ? UPlot.paths.stepped({align: 1}) : undefined,
    }))],
    hooks: {setCursor: [(chart) => {
      const at = chart.cursor.idx;
      readout.textContent = at === null || at === undefined ? summary
        : [fmt.dayTime(times[at] * 1000), ...series.map((one) => `${one.label}: ${fmt.number(one.values[at])}`)].join(' · ');
    }]},
  };
}

// Hours by the clock of the company, days by their date.
function ticksOf(splits, fmt) {
  const days = splits.length > 1 && splits[1] - splits[0] >= 86400;
  return splits.map((s) => (days ? fmt.shortDay(s * 1000) : fmt.clock(s * 1000)));
}
