// Questions to the archive: searched, counted, drawn. Every answer says what made it and what it cost.
import type { Event, Position } from '../model/types';
import { cursor, decodeEvent, instant, items } from './decode';
import { address, getJson, postJson } from './http';

const ROOT = 'api/v1/archive';
export const FORMATS = ['csv', 'parquet', 'gpkg', 'fgb', 'arrow'] as const;
export type Format = (typeof FORMATS)[number];
type Json = Record<string, unknown>;
type Query = Record<string, string | number | undefined>;

/** What is asked of the archive. Instants in ms, `to` not included. */
export interface ArchiveFilter {
  from: number | null;
  to: number | null;
  kind: string;
  feed: string;
  text: string;
  severity: number;
  /** West, south, east, north. */
  box: readonly [number, number, number, number] | null;
}

export interface Answer<T> {
  items: T[];
  next: string | null;
  cut: boolean;
  notes: string[];
  rows: number;
  files: number;
  basis: string;
  /** What `POST /query` takes to give the same. */
  sql: string;
}

export interface FoundEvent extends Event {
  distanceM: number | null;
  gapMs: number | null;
}

export interface Amount {
  /** Ms of its begin, or the hour of the week from Monday 00:00. */
  start: number;
  split: string;
  rows: number;
  mean: number | null;
}

export interface Cell {
  box: readonly [number, number, number, number];
  rows: number;
}

export interface Table {
  columns: string[];
  rows: unknown[][];
}

const object = (value: unknown): Json => (value && typeof value === 'object' ? (value as Json) : {});
const number = (value: unknown): number => (typeof value === 'number' ? value : 0);
const iso = (ms: number | null): string | undefined => (ms === null ? undefined : new Date(ms).toISOString());

export const filterQuery = (filter: ArchiveFilter): Query => ({
  from: iso(filter.from),
  to: iso(filter.to),
  kind: filter.kind || undefined,
  feed: filter.feed || undefined,
  text: filter.text || undefined,
  severity: filter.severity > 0 ? filter.severity : undefined,
  bbox: filter.box?.map((edge) => edge.toFixed(5)).join(',') || undefined,
});

function answer<T>(body: unknown, decode: (item: Json) => T): Answer<T> {
  const whole = object(body);
  const plan = object(whole.plan);
  return {
    items: items(body).map(decode),
    next: cursor(body),
    cut: whole.cut === true,
    notes: Array.isArray(whole.notes) ? whole.notes.map(String) : [],
    rows: number(plan.rows),
    files: number(plan.files),
    basis: typeof plan.basis === 'string' ? plan.basis : 'raw',
    sql: typeof whole.query === 'string' ? whole.query : '',
  };
}

const foundEvent = (item: Json): FoundEvent => ({
  ...decodeEvent(item),
  distanceM: typeof item.distance_m === 'number' ? item.distance_m : null,
  gapMs: typeof item.gap_us === 'number' ? item.gap_us / 1000 : null,
});

export interface AroundQuestion {
  alert: string | null;
  near: Position | null;
  at: number | null;
  within: string;
  span: string;
}

export const searchPath = `${ROOT}/search`;
export const aroundPath = `${ROOT}/around`;
export const aroundQuery = (asked: AroundQuestion): Query => ({
  alert: asked.alert ?? undefined,
  near: asked.alert === null && asked.near ? `${asked.near.lon.toFixed(6)},${asked.near.lat.toFixed(6)}` : undefined,
  at: asked.alert === null ? iso(asked.at) : undefined,
  within: asked.within,
  before: asked.span,
  after: asked.span,
});

export const findEvents = async (path: string, query: Query, signal?: AbortSignal): Promise<Answer<FoundEvent>> => answer(await getJson(path, query, signal), foundEvent);

export const exportAddress = (path: string, query: Query, format: Format): string => address(path, { ...query, format });

/** Vector tiles of everything a filter lets through: any number of events, drawn by the map as it needs them. */
export const tileAddress = (filter: ArchiveFilter): string => address(`${ROOT}/tiles/z-x-y`, { ...filterQuery(filter), bbox: undefined }).replace('z-x-y', '{z}/{x}/{y}.mvt');

export type Step = 'hour' | 'day' | 'hour-of-week';

export const getSeries = async (step: Step, by: string, filter: ArchiveFilter, confirm = false): Promise<Answer<Amount>> =>
  answer(await getJson(`${ROOT}/series`, { ...filterQuery(filter), step, by: by || undefined, confirm: confirm ? 'true' : undefined }), (item) => ({
    start: step === 'hour-of-week' ? number(item.start) : (instant(item.start) ?? number(item.start) / 1000),
    split: String(item[by.split(':')[0] ?? ''] ?? ''),
    rows: number(item.rows),
    mean: typeof item.mean === 'number' ? item.mean : null,
  }));

export const seriesAddress = (step: Step, by: string, filter: ArchiveFilter): string => address(`${ROOT}/series`, { ...filterQuery(filter), step, by: by || undefined, format: 'csv' });

export const getCells = async (filter: ArchiveFilter): Promise<Answer<Cell>> =>
  answer(await getJson(`${ROOT}/cells`, { ...filterQuery(filter), limit: 10 }), (item) => ({
    box: [number(item.west), number(item.south), number(item.east), number(item.north)] as const,
    rows: number(item.rows),
  }));

export const cellsAddress = (filter: ArchiveFilter): string => address(`${ROOT}/cells`, { ...filterQuery(filter), limit: 10, format: 'csv' });

export async function askSql(sql: string, confirm: boolean): Promise<Answer<Json> & { table: Table }> {
  const found = answer(await postJson('api/v1/query', { sql, limit: 1000, confirm }), (item) => item);
  const columns = Object.keys(found.items[0] ?? {});
  return { ...found, table: { columns, rows: found.items.map((item) => columns.map((name) => item[name])) } };
}
