// How each report is drawn. Times on the axes are the city's own: instants are moved to its wall clock and drawn as if that were UTC.
import { areaY, barX, barY, cell, dot, lineY, ruleX, ruleY, text, type PlotOptions } from '@observablehq/plot';
import type { Report } from '../api/reports';
import { zoneOffset } from '../i18n';
import { count, t } from '../i18n';

export type Chart = (width: number) => PlotOptions;
type Row = Record<string, unknown>;

const ACCENT = 'var(--accent)';
const MUTED = 'var(--event-old)';
const LOUD = 'var(--warn)';
const DAYS = Array.from({ length: 7 }, (_, day) => day * 24);
const number = (value: unknown): number => (typeof value === 'number' ? value : Number.NaN);
const wall = (instant: unknown): Date => {
  const at = Date.parse(String(instant));
  return new Date(at + zoneOffset(at));
};

/** Monday first; 3 January 2000 was one. */
export const weekday = (day: number, how: 'short' | 'long' = 'short'): string => new Intl.DateTimeFormat('en', { weekday: how, timeZone: 'UTC' }).format(Date.UTC(2000, 0, 3 + day));

export const hourOfWeek = (hour: number): string => `${weekday(Math.floor(hour / 24))} ${String(hour % 24).padStart(2, '0')}:00`;

export function forecastChart(report: Report): Chart {
  const rows = report.rows.map((row) => ({ ...row, at: wall(row.start) }));
  const first = rows.findLastIndex((row: Row) => typeof row.actual === 'number') + 1;
  const now = rows[Math.min(first, rows.length - 1)]?.at;
  return (width) => ({
    width,
    height: 240,
    x: { type: 'utc', label: null },
    y: { grid: true, zero: true, nice: true, label: t('rep.perHour') },
    marks: [
      areaY(rows, { x: 'at', y1: 'low', y2: 'high', fill: ACCENT, fillOpacity: 0.22 }),
      lineY(rows, { x: 'at', y: 'expected', stroke: ACCENT, strokeWidth: 1.8 }),
      dot(rows.slice(0, first), { x: 'at', y: 'actual', r: 1.8, fill: 'currentColor' }),
      ...(now ? [ruleX([now], { stroke: LOUD, strokeDasharray: '4 3' })] : []),
      ruleY([0], { stroke: MUTED }),
    ],
  });
}

export function volumeChart(report: Report): Chart {
  const rows = report.rows.map((row) => ({ ...row, hour: number(row.hour_of_week) }));
  return (width) => ({
    width,
    height: 240,
    x: { domain: [0, 168], ticks: DAYS, tickFormat: (hour: number) => weekday(hour / 24), label: null },
    y: { grid: true, zero: true, nice: true, label: t('rep.perHour') },
    marks: [
      areaY(rows, { x: 'hour', y: 'usual', fill: MUTED, fillOpacity: 0.45, curve: 'step-after' }),
      lineY(rows, { x: 'hour', y: 'last', stroke: ACCENT, strokeWidth: 1.6, curve: 'step-after' }),
      dot(rows.filter((row: Row) => row.unusual === true), { x: (row: Row) => number(row.hour) + 0.5, y: 'last', r: 3.5, stroke: LOUD, strokeWidth: 2 }),
      ruleY([0], { stroke: MUTED }),
    ],
  });
}

/** One station: percentiles by hour; several: nine of ten calls of each, by hour. Minutes. */
export function responseChart(report: Report): Chart {
  const stations = [...new Set(report.rows.map((row) => String(row.station ?? '')))];
  const rows = report.rows.map((row) => ({ ...row, station: String(row.station ?? ''), p50: number(row.p50_s) / 60, p90: number(row.p90_s) / 60, p95: number(row.p95_s) / 60 }));
  if (stations.length < 2)
    return (width) => ({
      width,
      height: 220,
      x: { domain: [0, 23], label: t('rep.hourOfDay') },
      y: { grid: true, zero: true, nice: true, label: t('rep.minutes') },
      marks: [
        areaY(rows, { x: 'hour', y1: 'p50', y2: 'p95', fill: ACCENT, fillOpacity: 0.2 }),
        lineY(rows, { x: 'hour', y: 'p90', stroke: ACCENT, strokeWidth: 2, marker: 'dot' }),
        lineY(rows, { x: 'hour', y: 'p50', stroke: 'currentColor', strokeDasharray: '4 3' }),
        ruleY([0], { stroke: MUTED }),
      ],
    });
  const most = Math.max(...rows.map((row) => row.p90));
  return (width) => ({
    width,
    height: 40 + 20 * stations.length,
    marginLeft: 90,
    x: { domain: Array.from({ length: 24 }, (_, hour) => hour), label: t('rep.hourOfDay'), tickFormat: (hour: number) => (hour % 3 === 0 ? String(hour) : '') },
    y: { label: null, padding: 0.08 },
    marks: [
      cell(rows, { x: 'hour', y: 'station', fill: ACCENT, fillOpacity: (row: { p90: number }) => 0.08 + 0.55 * (row.p90 / most), inset: 0.5 }),
      text(rows, { x: 'hour', y: 'station', text: (row: { p90: number }) => row.p90.toFixed(0), fill: 'currentColor' }),
    ],
  });
}

const nameRoom = (width: number): number => Math.min(220, width / 2.5);

/** As much of a name as there is room for in so many pixels; the whole of it stands among the numbers. */
const fitted = (name: string, pixels: number): string => {
  const letters = Math.floor((pixels - 12) / 6);
  return name.length > letters ? `${name.slice(0, letters - 1)}…` : name;
};

/** Null when no alert came to nothing: there are no bars to draw. */
export function falseChart(report: Report): Chart | null {
  const found = report.rows.filter((row) => number(row.retracted) + number(row.closed_as_false) > 0);
  if (found.length === 0) return null;
  const rows = found.slice(0, 12).flatMap((row) => [
    { source: String(row.source), alerts: number(row.retracted), why: t('rep.retracted') },
    { source: String(row.source), alerts: number(row.closed_as_false), why: t('rep.closedFalse') },
  ]);
  return (width) => ({
    width,
    height: 50 + 11 * rows.length,
    marginLeft: nameRoom(width),
    x: { grid: true, label: t('rep.alerts'), tickFormat: (value: number) => (Number.isInteger(value) ? count(value) : '') },
    y: { label: null, domain: [...new Set(rows.map((row) => row.source))], tickFormat: (name: string) => fitted(name, nameRoom(width)) },
    color: { domain: [t('rep.retracted'), t('rep.closedFalse')], range: [MUTED, LOUD], legend: false },
    marks: [barX(rows, { x: 'alerts', y: 'source', fill: 'why' }), ruleX([0], { stroke: MUTED })],
  });
}

export function coverageChart(report: Report): Chart {
  let before = 0;
  const rings = report.rows.map((row) => {
    const people = number(row.people) - before;
    before = number(row.people);
    return { ring: t('rep.upTo', { km: number(row.within_m) / 1000 }), people };
  });
  const far = number(report.facts.people) - before;
  if (far > 0) rings.push({ ring: t('rep.farther'), people: far });
  return (width) => ({
    width,
    height: 220,
    marginLeft: 58,
    x: { label: null, domain: rings.map((one) => one.ring) },
    y: { grid: true, label: t('rep.people'), tickFormat: (value: number) => count(value) },
    marks: [barY(rings, { x: 'ring', y: 'people', fill: ACCENT }), text(rings, { x: 'ring', y: 'people', text: (one: { people: number }) => count(Math.round(one.people)), dy: -7, fill: 'currentColor' }), ruleY([0], { stroke: MUTED })],
  });
}
