// What is true at a moment, out of what has been reported: corrections applied, old reports gone.
import type { Alert, Event } from './types';

/** How present an event looks: 0 new ... 3 old (hollow), null no longer shown. */
export type Fade = 0 | 1 | 2 | 3;

const FADES: [number, Fade][] = [
  [0.08, 0],
  [0.3, 1],
  [0.65, 2],
  [1, 3],
];

/** Areas with an end stay at full strength until then; reports fade over the window of the screen. */
export function fadeOf(event: Event, at: number, span: number): Fade | null {
  if (event.validUntil !== null) return event.validUntil > at ? 0 : null;
  const share = (at - event.eventTime) / span;
  return FADES.find(([limit]) => share <= limit)?.[1] ?? null;
}

/** Events known at `at`, each fact once: updates replace, cancels remove, a moving asset is where it was last. */
export function currentEvents(events: Iterable<Event>, at: number): Event[] {
  const known = [...events].filter((event) => event.ingestTime <= at).sort((a, b) => a.seq - b.seq);
  const gone = new Set<string>();
  for (const event of known) if (event.action !== 'report' && event.refersTo) gone.add(`${event.feed}\n${event.refersTo}`);
  const latest = new Map<string, Event>();
  for (const event of known) {
    if (event.action === 'cancel' || gone.has(`${event.feed}\n${event.id}`)) continue;
    const moving = event.kind.startsWith('asset.') && event.source !== null;
    const key = moving ? `${event.feed}\n${event.source}` : `${event.feed}\n\n${event.id}`;
    latest.delete(key);
    latest.set(key, event);
  }
  return [...latest.values()];
}

/** An alert as it was known at `at`: later evidence and later steps are taken away. */
export function alertAsKnown(alert: Alert, at: number): Alert {
  return {
    ...alert,
    evidence: alert.evidence?.filter((one) => one.ingestTime <= at) ?? null,
    context: alert.context?.filter((one) => one.ingestTime <= at) ?? null,
    history: alert.history?.filter((one) => one.at <= at) ?? null,
  };
}

/** Alerts that are drawn on the map: everything not yet dealt with. */
export const onMap = (alert: Alert): boolean => alert.position !== null && alert.state !== 'resolved' && alert.state !== 'retracted';
