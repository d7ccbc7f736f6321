// Reports of the node: a table with its figures, notes, units and what made it.
import { address, getJson } from './http';

type Json = Record<string, unknown>;
export type Query = Record<string, string | number | undefined>;
export type ReportName = 'volume' | 'forecast' | 'responses' | 'feeds' | 'false-alarms' | 'coverage';

export interface Report {
  name: string;
  title: string;
  timezone: string;
  facts: Json;
  notes: string[];
  units: Record<string, string>;
  queries: string[];
  command: string;
  rows: Json[];
}

const ROOT = 'api/v1/archive/reports';
const texts = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);
const object = (value: unknown): Json => (value && typeof value === 'object' ? (value as Json) : {});

export async function getReport(name: ReportName, query: Query, signal?: AbortSignal): Promise<Report> {
  const body = object(await getJson(`${ROOT}/${name}`, query, signal));
  return {
    name,
    title: String(body.title ?? ''),
    timezone: String(body.timezone ?? 'UTC'),
    facts: object(body.facts),
    notes: texts(body.notes),
    units: Object.fromEntries(Object.entries(object(body.units)).map(([column, unit]) => [column, String(unit)])),
    queries: texts(body.queries),
    command: String(body.command ?? ''),
    rows: Array.isArray(body.items) ? body.items.map(object) : [],
  };
}

export const reportAddress = (name: ReportName, query: Query, format: 'csv' | 'parquet'): string => address(`${ROOT}/${name}`, { ...query, format });
