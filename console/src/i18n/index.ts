// Words, numbers and times in the reader's language. No component holds a sentence of its own.
import { en, type Catalogue } from './en';
import { signal } from '@preact/signals';
import { plainKind } from '../model/kinds';
import { inImperial, milesOrFeet, type UnitSystem } from '../model/units';

export type Key = keyof Catalogue;
type Holes<S extends string> = S extends `${string}{${infer Inside}}${infer Rest}` ? (Inside extends `${infer Name}|${string}` ? Name : Inside) | Holes<Rest> : never;
type Values<K extends Key> = [Holes<(typeof en)[K]>] extends [never] ? [] : [Record<Holes<(typeof en)[K]>, string | number>];

const CATALOGUES: Record<string, Catalogue> = { en };
const wanted = typeof navigator === 'undefined' ? ['en'] : navigator.languages;
export const language = wanted.map((one) => one.slice(0, 2)).find((one) => one in CATALOGUES) ?? 'en';
const catalogue = CATALOGUES[language] ?? en;
const plurals = new Intl.PluralRules(language);

/** The sentence of `key` with its holes filled; numbers are written the way the language does. */
export function t<K extends Key>(key: K, ...values: Values<K>): string {
  return fill(catalogue[key], (values[0] ?? {}) as Record<string, string | number>);
}

/** The word for a value that comes from the server: a state, a severity. Said as it is when no catalogue knows it. */
export const word = (group: 'state' | 'severity' | 'feedState', value: string): string => catalogue[`${group}.${value}` as Key] ?? value;

export function fill(sentence: string, values: Record<string, string | number>): string {
  return sentence.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (_, name: string, one?: string, many?: string) => {
    const value = values[name] ?? '';
    const written = typeof value === 'number' ? count(value) : value;
    if (one === undefined || many === undefined) return written;
    return (plurals.select(Number(value)) === 'one' ? one : many).replace('#', written);
  });
}

export const kindName = (group: string): string => {
  const key = `kind.${group}`;
  return key in catalogue ? catalogue[key as Key] : plainKind(group);
};

const ordinals = new Intl.PluralRules(language, { type: 'ordinal' });
/** 13 as 13th. */
export const ordinal = (n: number): string => fill(catalogue[`ordinal.${ordinals.select(n)}` as Key] ?? catalogue['ordinal.other'], { n });

const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(language, { maximumSignificantDigits: 4 });
export const count = (value: number): string => (Number.isInteger(value) ? whole.format(value) : short.format(value));
/** A signal, so that what is on the screen changes with it. */
const units = signal<UnitSystem>('metric');
export const setUnits = (system: UnitSystem): void => {
  units.value = system;
};

export function measure(value: number, unit: string | null): string {
  const shown = units.value === 'imperial' ? inImperial(value, unit) : { value, unit };
  return `${short.format(shown.value)}${shown.unit ? ` ${plainUnit(shown.unit)}` : ''}`;
}

/** UCUM annotations in braces are remarks, not units: `{magnitude}` is written as a word. */
const plainUnit = (unit: string): string => unit.replace(/^\{(.*)\}$/, '$1').replace(/^u(?=[a-zA-Z]+\/)/, 'µ').replace(/(?<=[a-z])3\b/, '³').replace('Cel', '°C');

export function metres(value: number): string {
  if (units.value === 'imperial') {
    const shown = milesOrFeet(value);
    return `${new Intl.NumberFormat(language, { maximumFractionDigits: shown.digits }).format(shown.value)} ${shown.unit}`;
  }
  if (value < 995) return `${whole.format(Math.round(value))} m`;
  return `${new Intl.NumberFormat(language, { maximumFractionDigits: value < 9_950 ? 1 : 0 }).format(value / 1000)} km`;
}

/** A span the way one says it: 42 s, 12 min, 3 h 05, 2 d. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 && hours < 10 ? `${hours} h ${String(minutes % 60).padStart(2, '0')}` : `${hours} h`;
  return `${Math.floor(hours / 24)} d`;
}

/** How long a feed's events are kept, as its file says it: `730 d` is two years. */
export function keptFor(text: string): string {
  const days = Number(/^(\d+) ?d$/.exec(text)?.[1] ?? Number.NaN);
  if (Number.isNaN(days)) return text;
  return days >= 365 && days % 365 === 0 ? t('feeds.years', { n: days / 365 }) : t('feeds.days', { n: days });
}

/** Words of the node as a sentence: a capital first, a full stop last. */
export const sentence = (words: string): string => words.charAt(0).toUpperCase() + words.slice(1) + (/[.!?:]$/.test(words) ? '' : '.');

let zone = 'UTC';
let formats = makeFormats();

function makeFormats() {
  const base = { timeZone: zone, hourCycle: 'h23' } as const;
  return {
    second: new Intl.DateTimeFormat(language, { ...base, hour: '2-digit', minute: '2-digit', second: '2-digit' }),
    minute: new Intl.DateTimeFormat(language, { ...base, hour: '2-digit', minute: '2-digit' }),
    day: new Intl.DateTimeFormat(language, { ...base, weekday: 'short', day: 'numeric', month: 'short' }),
    whole: new Intl.DateTimeFormat(language, { ...base, weekday: 'short', year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' }),
    date: new Intl.DateTimeFormat(language, { ...base, year: 'numeric', month: '2-digit', day: '2-digit' }),
    utc: new Intl.DateTimeFormat(language, { timeZone: 'UTC', hourCycle: 'h23', hour: '2-digit', minute: '2-digit', second: '2-digit' }),
    offset: new Intl.DateTimeFormat('en', { timeZone: zone, timeZoneName: 'longOffset' }),
  };
}

/** All city times from here on are of this IANA zone. */
export function setZone(name: string): void {
  zone = name;
  try {
    formats = makeFormats();
  } catch {
    zone = 'UTC'; // a zone this browser does not know
    formats = makeFormats();
  }
}

export const clock = (ms: number): string => formats.second.format(ms);
export const clockMinute = (ms: number): string => formats.minute.format(ms);
export const clockUtc = (ms: number): string => formats.utc.format(ms);
/** The date-time group of messages, always in UTC: 050440Z JUL 17. */
export function dtg(ms: number): string {
  const at = new Date(ms).toISOString();
  const month = MONTHS[new Date(ms).getUTCMonth()] ?? '';
  return `${at.slice(8, 10)}${at.slice(11, 13)}${at.slice(14, 16)}Z ${month} ${at.slice(2, 4)}`;
}
/** Of the format, not of a language. */
const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
export const day = (ms: number): string => formats.day.format(ms);
/** With its year, for a time that may be long ago. */
export const dateTime = (ms: number): string => formats.whole.format(ms);
/** For an input of type datetime-local, in city time; empty for none. */
export const toField = (ms: number | null): string => (ms === null ? '' : new Date(ms + zoneOffset(ms)).toISOString().slice(0, 16));

/** What such an input holds; null when it is empty. */
export function fromField(text: string): number | null {
  const local = Date.parse(`${text}Z`);
  if (Number.isNaN(local)) return null;
  return local - zoneOffset(local - zoneOffset(local));
}
const sameDay = (a: number, b: number): boolean => formats.date.format(a) === formats.date.format(b);

/** City time; with its day when that is not the day of `now`. */
export const moment = (ms: number, now: number): string => (sameDay(ms, now) ? clock(ms) : `${day(ms)}, ${clockMinute(ms)}`);

/** Instants that a sentence of the node writes in UTC, said in city time. */
export const inCityTime = (sentence: string, now: number): string =>
  sentence.replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, (instant) => moment(Date.parse(instant), now));

/** The same with day and year, for sentences about a long time. */
export const inCityDates = (words: string): string => words.replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, (instant) => dateTime(Date.parse(instant)));

/** City time minus UTC at that moment, milliseconds. */
export function zoneOffset(ms: number): number {
  const name = formats.offset.formatToParts(ms).find((part) => part.type === 'timeZoneName')?.value ?? 'GMT';
  const found = /GMT([+-])(\d{2}):?(\d{2})?/.exec(name);
  if (!found) return 0;
  return (found[1] === '-' ? -1 : 1) * (Number(found[2]) * 60 + Number(found[3] ?? 0)) * 60_000;
}
