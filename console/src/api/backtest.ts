// Back-tests: jobs of the node, and the part of their results that a screen shows. docs/backtest.md says what each key holds.
import type { Position } from '../model/types';
import { instant } from './decode';
import { getJson, postJson } from './http';

const ROOT = 'api/v1/backtests';
type Json = Record<string, unknown>;

export interface BacktestJob {
  id: string;
  state: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled';
  done: number;
  alerts: number;
  error: string | null;
}

/** Something at a time and a place, as every list of a result has it. */
export interface Moment {
  key: string;
  time: number;
  position: Position | null;
  words: string;
  place: string;
}

export interface BacktestPlace {
  position: Position;
  alerts: number;
  place: string;
}

export interface NearMiss extends Moment {
  threshold: string;
  needed: number;
  /** Null where the evidence does not show it; `relative` is the most it can be then. */
  found: number | null;
  short: number | null;
  unit: string;
  relative: number;
}

export interface Caught extends Moment {
  earlyMs: number;
  apartM: number;
}

export interface Incidents {
  kind: string;
  total: number;
  caught: number;
  missed: number;
  share: number;
  before: number;
  /** Median; positive when the alert was first. */
  earlyMs: number | null;
  idle: number;
  rule: string;
  caughtList: Caught[];
  missedList: Moment[];
}

export interface Against {
  name: string;
  both: number;
  onlyThis: number;
  onlyOther: number;
  /** How much later the other one knew of the same, in the median. */
  laterMs: number | null;
  thisList: Moment[];
  otherList: Moment[];
}

export interface SweepRow {
  value: string;
  alerts: number;
  perWeek: number;
  caught: number | null;
  missed: number | null;
  idle: number | null;
}

export interface BacktestResult {
  name: string;
  title: string;
  version: string;
  from: number;
  to: number;
  order: 'journal' | 'time';
  summary: { alerts: number; retracted: number; perWeek: number; mostInADay: number };
  budget: { words: string; exceeds: boolean } | null;
  days: { day: string; alerts: number }[];
  weeks: { week: string; alerts: number }[];
  places: BacktestPlace[];
  sources: { source: string; alerts: number; share: number }[];
  near: NearMiss[];
  nearTotal: number;
  /** How many missed each threshold, most first. */
  nearBy: { threshold: string; n: number }[];
  incidents: Incidents | null;
  against: Against | null;
  sweep: { key: string; now: string; rows: SweepRow[] } | null;
  suggestion: { value: string; why: string; changes: boolean } | null;
  notes: string[];
}

const object = (value: unknown): Json => (value && typeof value === 'object' ? (value as Json) : {});
const list = (value: unknown): Json[] => (Array.isArray(value) ? (value as Json[]) : []);
const maybe = (value: unknown): number | null => (typeof value === 'number' ? value : null);
const number = (value: unknown): number => maybe(value) ?? 0;
const ms = (seconds: unknown): number | null => (typeof seconds === 'number' ? seconds * 1000 : null);
const text = (value: unknown): string => (typeof value === 'string' ? value : value == null ? '' : String(value));
const STATES = ['waiting', 'running', 'done', 'failed', 'cancelled'] as const;

function job(body: unknown): BacktestJob {
  const item = object(body);
  const progress = object(item.progress);
  return { id: text(item.id), state: STATES.find((one) => one === item.state) ?? 'failed', done: number(progress.done), alerts: number(progress.alerts), error: item.error ? text(item.error) : null };
}

const position = (item: Json): Position | null => (typeof item.lon === 'number' && typeof item.lat === 'number' ? { lon: item.lon, lat: item.lat } : null);

const moment = (item: Json, at: number): Moment => ({
  key: `${text(item.id)} ${at}`,
  time: instant(item.time ?? item.known_at) ?? 0,
  position: position(item),
  words: text(item.words) || text(item.headline) || text(item.text) || text(item.id),
  place: text(item.place) || text(item.source),
});

const nearMiss = (item: Json, at: number): NearMiss => ({
  ...moment(item, at),
  threshold: text(item.threshold),
  needed: number(item.needed),
  found: maybe(item.found),
  short: maybe(item.short),
  unit: text(item.unit),
  relative: number(item.relative),
});

function incidents(item: Json): Incidents {
  return {
    kind: text(item.kind),
    total: number(item.incidents),
    caught: number(item.caught),
    missed: number(item.missed),
    share: number(item.share),
    before: number(item.before),
    earlyMs: ms(object(item.early_s).median),
    idle: number(item.alerts_without),
    rule: text(item.rule),
    caughtList: list(item.caught_list).map((one, at) => ({ ...moment(one, at), earlyMs: ms(one.early_s) ?? 0, apartM: number(one.distance_m) })),
    missedList: list(item.missed_list).map(moment),
  };
}

function against(item: Json): Against {
  const other = object(item.b);
  return {
    name: text(other.rule),
    both: number(item.both),
    onlyThis: number(object(item.a).only),
    onlyOther: number(other.only),
    laterMs: ms(object(item.b_later_s).median),
    thisList: list(item.only_a).map(moment),
    otherList: list(item.only_b).map(moment),
  };
}

const sweepRow = (row: Json): SweepRow => ({ value: text(row.value), alerts: number(row.alerts), perWeek: number(row.per_week), caught: maybe(row.caught), missed: maybe(row.missed), idle: maybe(row.alerts_without) });

function places(items: Json[]): BacktestPlace[] {
  return items.flatMap((item) => {
    const at = position(item);
    return at === null ? [] : [{ position: at, alerts: number(item.alerts), place: text(item.place) || text(item.source) }];
  });
}

export function decodeResult(body: unknown): BacktestResult {
  const item = object(body);
  const [rule, span, summary, near, sweep] = [object(item.rule), object(item.span), object(item.summary), object(item.near_misses), object(item.sweep)];
  const [suggestion, budget] = [object(sweep.suggestion), object(item.budget)];
  return {
    name: text(rule.name),
    title: text(rule.title) || text(rule.name),
    version: text(rule.version),
    from: instant(span.from) ?? 0,
    to: instant(span.to) ?? 0,
    order: span.order === 'time' ? 'time' : 'journal',
    summary: { alerts: number(summary.alerts), retracted: number(summary.retracted), perWeek: number(summary.per_week), mostInADay: number(summary.most_in_a_day) },
    budget: item.budget ? { words: text(budget.words), exceeds: budget.exceeds === true } : null,
    days: list(item.by_day).map((one) => ({ day: text(one.day), alerts: number(one.alerts) })),
    weeks: list(item.by_week).map((one) => ({ week: text(one.week), alerts: number(one.alerts) })),
    places: places(list(item.by_place)),
    sources: list(item.by_source).map((one) => ({ source: text(one.source), alerts: number(one.alerts), share: number(one.share) })),
    near: list(near.list).map(nearMiss),
    nearTotal: number(near.total),
    nearBy: Object.entries(object(near.by_threshold))
      .map(([threshold, n]) => ({ threshold, n: number(n) }))
      .sort((a, b) => b.n - a.n),
    incidents: item.incidents ? incidents(object(item.incidents)) : null,
    against: item.against ? against(object(item.against)) : null,
    sweep: item.sweep ? { key: text(sweep.key), now: text(sweep.now), rows: list(sweep.rows).map(sweepRow) } : null,
    suggestion: suggestion.why ? { value: text(suggestion.value), why: text(suggestion.why), changes: suggestion.changes === true } : null,
    notes: Array.isArray(item.notes) ? item.notes.map(text) : [],
  };
}

export const startBacktest = async (question: Record<string, string | undefined>): Promise<BacktestJob> => job(await postJson(ROOT, question));
export const getBacktest = async (id: string): Promise<BacktestJob> => job(await getJson(`${ROOT}/${encodeURIComponent(id)}`));
export const cancelBacktest = async (id: string): Promise<BacktestJob> => job(await postJson(`${ROOT}/${encodeURIComponent(id)}/cancel`, {}));
export const getBacktestResult = async (id: string): Promise<BacktestResult> => decodeResult(await getJson(`${ROOT}/${encodeURIComponent(id)}/result`));
