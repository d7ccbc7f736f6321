// Numbers behind the timeline's drawing.
import { kindGroup } from './kinds';
import type { Event, TimelineCounts } from './types';

export interface Lane {
  group: string;
  /** Events per bucket; the last buckets may be in the future of the window. */
  counts: number[];
}

/** Rows of kinds -> one lane a group, the fullest first, `most` lanes; the rest is one lane named ''. A row may also be a whole
 * family (`call`): it is hidden only when the filter hides everything in it, which `hidden` then names. */
export function lanes(counts: TimelineCounts, hiddenGroups: readonly string[], most: number): Lane[] {
  const byGroup = new Map<string, number[]>();
  for (const row of counts.rows) {
    const group = kindGroup(row.kind);
    if (hiddenGroups.includes(group)) continue;
    const sum = byGroup.get(group) ?? new Array<number>(row.counts.length).fill(0);
    row.counts.forEach((count, bucket) => (sum[bucket] = (sum[bucket] ?? 0) + count));
    byGroup.set(group, sum);
  }
  const total = (lane: Lane): number => lane.counts.reduce((a, b) => a + b, 0);
  const all = [...byGroup].map(([group, found]) => ({ group, counts: found })).sort((a, b) => total(b) - total(a));
  if (all.length <= most) return all.sort(byName);
  const kept = all.slice(0, most - 1).sort(byName);
  const rest = all.slice(most - 1).reduce<number[]>((sum, lane) => lane.counts.map((count, i) => count + (sum[i] ?? 0)), []);
  return [...kept, { group: '', counts: rest }];
}

const byName = (a: Lane, b: Lane): number => (a.group < b.group ? -1 : 1);

/** The same numbers from events in hand: for a server that does not answer, and for what came after the last answer. */
export function countEvents(events: Iterable<Event>, from: number, to: number, buckets: number): TimelineCounts {
  const step = (to - from) / buckets;
  const rows = new Map<string, number[]>();
  for (const event of events) {
    if (event.eventTime < from || event.eventTime >= to) continue;
    const group = kindGroup(event.kind);
    const counts = rows.get(group) ?? new Array<number>(buckets).fill(0);
    const bucket = Math.floor((event.eventTime - from) / step);
    counts[bucket] = (counts[bucket] ?? 0) + 1;
    rows.set(group, counts);
  }
  return { from, to, stepMs: step, rows: [...rows].map(([kind, counts]) => ({ kind, counts })) };
}

const STEPS_MS = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440].map((minutes) => minutes * 60_000);

/** Moments for tick marks: whole minutes or hours of the city's clock, about `wanted` of them. `offsetMs`: city time minus UTC. */
export function ticks(from: number, to: number, wanted: number, offsetMs: number): number[] {
  const step = STEPS_MS.find((one) => (to - from) / one <= wanted) ?? 86_400_000;
  const first = Math.ceil((from + offsetMs) / step) * step - offsetMs;
  const found: number[] = [];
  for (let at = first; at <= to; at += step) found.push(at);
  return found;
}
