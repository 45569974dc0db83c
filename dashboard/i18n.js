// The words of the pages, from a flat file for each language.

export const LANGUAGES = ['pt-BR', 'en'];

/** The language that was chosen, else the browser's, else Portuguese. */
export function preferredLanguage() {
  const chosen = remembered('language');
  if (LANGUAGES.includes(chosen)) return chosen;
  const wanted = navigator.languages?.[0] ?? 'pt-BR';
  return wanted.toLowerCase().startsWith('pt') ? 'pt-BR' : 'en';
}

/** A choice that this browser remembers; null where it may not remember anything. */
export function remembered(name) {
  try {
    return localStorage.getItem(`cadence.${name}`);
  } catch {
    return null;
  }
}

/** Remembers a choice, where that is allowed. */
export function remember(name, value) {
  try {
    localStorage.setItem(`cadence.${name}`, value);
  } catch {
    // it holds until the page is left
  }
}

/**
 * Makes t(key, values): the text with each {name} replaced. Where values.n is a number and the key
 * has forms (key.one, key.other), the language chooses. A key that is missing is shown as itself.
 */
export function translator(strings, language) {
  const plural = new Intl.PluralRules(language);
  const number = new Intl.NumberFormat(language);
  const formOf = (key, n) => {
    const form = `${key}.${plural.select(n)}`;
    return form in strings ? form : `${key}.other`;
  };
  const t = (key, values = {}) => {
    const form = key in strings ? key : formOf(key, Number(values.n));
    return (strings[form] ?? key).replace(/\{(\w+)\}/g, (whole, name) => {
      const value = values[name];
      if (value === undefined || value === null) return whole;
      return typeof value === 'number' ? number.format(value) : String(value);
    });
  };
  /** Whether there is such a text: for words that come from the database, as outcomes and states. */
  t.has = (key) => key in strings;
  return t;
}

/** Loads a language's texts. */
export async function loadStrings(language) {
  const answer = await fetch(`/static/strings.${language}.json`);
  if (!answer.ok) throw new Error(`strings.${language}.json: ${answer.status}`);
  return answer.json();
}
