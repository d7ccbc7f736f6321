// Back-tests: jobs of the node, and the part of their results that a screen shows.
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

export interface BacktestResult {
  summary: { alerts: number; retracted: number; perWeek: number; mostInADay: number };
  /** The verdict on the budget, in words. */
  budget: string;
  weeks: { week: string; alerts: number }[];
  sources: { source: string; alerts: number }[];
  near: { time: number; words: string }[];
  nearTotal: number;
  incidents: { caught: number; missed: number } | null;
  against: { both: number; onlyA: number; onlyB: number } | null;
  sweep: { value: string; perWeek: number }[];
  suggestion: string | null;
  notes: string[];
}

const object = (value: unknown): Json => (value && typeof value === 'object' ? (value as Json) : {});
const list = (value: unknown): Json[] => (Array.isArray(value) ? (value as Json[]) : []);
const number = (value: unknown): number => (typeof value === 'number' ? value : 0);
const many = (value: unknown): number => (Array.isArray(value) ? value.length : number(value));
const text = (value: unknown): string => (typeof value === 'string' ? value : value == null ? '' : String(value));
const STATES = ['waiting', 'running', 'done', 'failed', 'cancelled'] as const;

function job(body: unknown): BacktestJob {
  const item = object(body);
  const progress = object(item.progress);
  return { id: text(item.id), state: STATES.find((one) => one === item.state) ?? 'failed', done: number(progress.done), alerts: number(progress.alerts), error: item.error ? text(item.error) : null };
}

function result(body: unknown): BacktestResult {
  const item = object(body);
  const summary = object(item.summary);
  const near = object(item.near_misses);
  const sweep = object(item.sweep);
  const suggestion = object(sweep.suggestion);
  return {
    summary: { alerts: number(summary.alerts), retracted: number(summary.retracted), perWeek: number(summary.per_week), mostInADay: number(summary.most_in_a_day) },
    budget: text(object(item.budget).words),
    weeks: list(item.by_week).map((one) => ({ week: text(one.week), alerts: number(one.alerts) })),
    sources: list(item.by_source).map((one) => ({ source: text(one.source), alerts: number(one.alerts) })),
    near: list(near.list).map((one) => ({ time: instant(one.time) ?? 0, words: text(one.words) })),
    nearTotal: number(near.total),
    incidents: item.incidents ? { caught: many(object(item.incidents).caught), missed: many(object(item.incidents).missed) } : null,
    against: item.against ? { both: many(object(item.against).both), onlyA: many(object(item.against).only_a), onlyB: many(object(item.against).only_b) } : null,
    sweep: list(sweep.rows).map((one) => ({ value: text(one.value), perWeek: number(one.per_week) })),
    suggestion: suggestion.why ? `${text(suggestion.value)}: ${text(suggestion.why)}` : null,
    notes: Array.isArray(item.notes) ? item.notes.map(text) : [],
  };
}

export const startBacktest = async (question: Record<string, string | undefined>): Promise<BacktestJob> => job(await postJson(ROOT, question));
export const getBacktest = async (id: string): Promise<BacktestJob> => job(await getJson(`${ROOT}/${encodeURIComponent(id)}`));
export const cancelBacktest = async (id: string): Promise<BacktestJob> => job(await postJson(`${ROOT}/${encodeURIComponent(id)}/cancel`, {}));
export const getBacktestResult = async (id: string): Promise<BacktestResult> => result(await getJson(`${ROOT}/${encodeURIComponent(id)}/result`));
