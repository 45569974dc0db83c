// Numbers and times in the reader's language. Times are the company's, in its zone, which is named.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Whatever cannot be shown: nothing known. */
export const NOTHING = '–';

/** Makes the formatters of a language. The zone is the answer's: fmt.inZone(answer.zone). */
export function formats(language, zone) {
  const timeZone = zone || undefined;
  const integer = new Intl.NumberFormat(language, {maximumFractionDigits: 0});
  const decimal = new Intl.NumberFormat(language, {maximumFractionDigits: 1});
  const percents = new Intl.NumberFormat(language, {style: 'percent', maximumFractionDigits: 1});
  const relative = new Intl.RelativeTimeFormat(language, {numeric: 'auto'});
  const of = (options) => {
    const format = new Intl.DateTimeFormat(language, {timeZone, ...options});
    return (value) => (isTime(value) ? format.format(new Date(value)) : NOTHING);
  };
  const unit = (value, name, digits = 0) => new Intl.NumberFormat(language,
    {style: 'unit', unit: name, unitDisplay: 'short', maximumFractionDigits: digits}).format(value);

  return {
    zone,
    zoneName: () => nameOfZone(language, zone),
    inZone: (other) => (other === zone ? formats(language, zone) : formats(language, other)),
    number: (n) => (isNumber(n) ? integer.format(n) : NOTHING),
    decimal: (n) => (isNumber(n) ? decimal.format(n) : NOTHING),
    /** part of whole, as in "3 %"; nothing of nothing is no number. */
    percent: (part, whole) => (isNumber(part) && whole > 0 ? percents.format(part / whole) : NOTHING),
    dateTime: of({dateStyle: 'short', timeStyle: 'medium'}),
    dayTime: of({weekday: 'short', day: '2-digit', month: '2-digit', hour: '2-digit', minute: '2-digit'}),
    shortTime: of({day: '2-digit', month: '2-digit', hour: '2-digit', minute: '2-digit'}),
    date: of({weekday: 'short', day: '2-digit', month: '2-digit', year: 'numeric'}),
    shortDay: of({day: '2-digit', month: '2-digit'}),
    day: of({weekday: 'long', day: 'numeric', month: 'long'}),
    clock: of({hour: '2-digit', minute: '2-digit'}),
    clockWithSeconds: of({timeStyle: 'medium'}),
    /** "há 5 minutos", "em 2 horas". */
    ago(value) {
      if (!isTime(value)) return NOTHING;
      const distance = new Date(value) - Date.now();
      const size = Math.abs(distance);
      if (size < MINUTE) return relative.format(Math.round(distance / SECOND), 'second');
      if (size < HOUR) return relative.format(Math.round(distance / MINUTE), 'minute');
      if (size < 2 * DAY) return relative.format(Math.round(distance / HOUR), 'hour');
      return relative.format(Math.round(distance / DAY), 'day');
    },
    /** How long something took or takes, from milliseconds. */
    duration(ms) {
      if (!isNumber(ms)) return NOTHING;
      if (ms < SECOND) return unit(ms, 'millisecond');
      if (ms < MINUTE) return unit(ms / SECOND, 'second', 1);
      if (ms < HOUR) return `${unit(Math.floor(ms / MINUTE), 'minute')} ${unit(Math.floor(ms % MINUTE / SECOND), 'second')}`;
      if (ms < DAY) return `${unit(Math.floor(ms / HOUR), 'hour')} ${unit(Math.floor(ms % HOUR / MINUTE), 'minute')}`;
      return `${unit(Math.floor(ms / DAY), 'day')} ${unit(Math.floor(ms % DAY / HOUR), 'hour')}`;
    },
  };
}

// "Horário de Brasília (America/Sao_Paulo)": as people call it, and as it is configured. Browsers that
// do not know the first say the second.
function nameOfZone(language, zone) {
  try {
    const parts = new Intl.DateTimeFormat(language, {timeZone: zone || undefined, timeZoneName: 'longGeneric'}).formatToParts(new Date());
    const name = parts.find((part) => part.type === 'timeZoneName')?.value;
    return name && zone ? `${name} (${zone})` : name ?? zone;
  } catch {
    return zone;
  }
}

/** With a capital letter, as a sentence begins. */
export function sentence(text) {
  const [first = ''] = text ?? '';
  return first.toLocaleUpperCase() + (text ?? '').slice(first.length);
}

function isNumber(n) {
  return typeof n === 'number' && Number.isFinite(n);
}

function isTime(value) {
  return value !== null && value !== undefined && !Number.isNaN(new Date(value).getTime());
}
