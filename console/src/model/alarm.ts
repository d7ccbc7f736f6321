// When the console makes a sound, and which: once for what is new, again and again only while severity 1 waits for somebody.
import { families } from './family';
import type { Alert, Rank } from './types';

/** Between 45 and 60 s, also where a hidden page is woken once a second only. */
export const REPEAT_MS = 50_000;
/** What comes within this time of a sound of the same or a higher severity is covered by it: a flood is one sound, not a hundred. */
export const COVERED_MS = 10_000;

export interface Heard {
  /** Alerts that have been heard, with the severity they had. */
  ranks: ReadonlyMap<string, Rank>;
  last: { rank: Rank; at: number } | null;
  /** When severity 1 was last heard. */
  urgentAt: number;
}

/** The sound to make at `wall`, or null. `before` is null at first: what waits already is not new, but severity 1 says so at once. */
export function alarm(before: Heard | null, alerts: readonly Alert[], passes: (alert: Alert) => boolean, wall: number): { rank: Rank | null; heard: Heard } {
  const waiting = ringing(alerts, passes);
  const ranks = new Map<string, Rank>();
  for (const alert of alerts) {
    const rank = before?.ranks.get(alert.id);
    if (rank !== undefined && alert.state !== 'resolved') ranks.set(alert.id, rank); // acknowledged and undone is not new
  }
  let rank: Rank | null = null;
  for (const alert of waiting) {
    const isNew = before !== null && alert.rank < (ranks.get(alert.id) ?? 5);
    if (isNew && alert.rank < (rank ?? 5)) rank = alert.rank;
    ranks.set(alert.id, alert.rank);
  }
  const last = before?.last ?? null;
  if (rank !== null && last !== null && wall - last.at < COVERED_MS && last.rank <= rank) rank = null;
  const urgentAt = before?.urgentAt ?? Number.NEGATIVE_INFINITY;
  if (wall - urgentAt >= REPEAT_MS && waiting.some((alert) => alert.rank === 1 && alert.run === null)) rank = 1;
  return { rank, heard: { ranks, last: rank === null ? last : { rank, at: wall }, urgentAt: rank === 1 ? wall : urgentAt } };
}

/** Unacknowledged, and not folded under another alert nor hidden by the filter; severity 1 always. */
function ringing(alerts: readonly Alert[], passes: (alert: Alert) => boolean): Alert[] {
  const under = new Set([...families(alerts).values()].flat());
  return alerts.filter((alert) => alert.state === 'open' && (alert.rank === 1 || (passes(alert) && !under.has(alert))));
}

export interface Note {
  /** Seconds after the first. */
  at: number;
  hz: number;
  lasts: number;
  gain: number;
}

/** Told apart by how often and how high, not by how loud alone. */
export function notes(rank: Rank): Note[] {
  if (rank === 1) return [0, 1, 2, 3, 4, 5].map((i) => ({ at: i * 0.2, hz: i % 2 ? 660 : 880, lasts: 0.18, gain: 0.3 }));
  if (rank === 2) return [0, 1].map((i) => ({ at: i * 0.3, hz: 740, lasts: 0.2, gain: 0.25 }));
  return [{ at: 0, hz: rank === 3 ? 587 : 440, lasts: 0.22, gain: rank === 3 ? 0.2 : 0.12 }];
}
