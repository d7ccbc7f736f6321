// What the node has told us, kept small: the newest events, all alerts, feeds, the clock. Big maps change in place and carry a
// version, so that two hundred events a second cost a few redraws a second.
import { batch, signal } from '@preact/signals';
import { nodeTime, type ClockReading } from '../model/clock';
import type { Alert, ClockFrame, Event, Feed, MapLayer, Rule, Status } from '../model/types';

/** The live layer stays below what a map without a GPU can redraw; the past is asked for when it is looked at. */
export const MOST_EVENTS = 5_000;
export const MOST_ALERTS = 2_000;
const APPLY_MS = 400;

export const status = signal<Status | null>(null);
export const feeds = signal<Feed[]>([]);
export const rules = signal<Rule[] | null>(null);
/** Null until the node has said which there are. */
export const layers = signal<MapLayer[] | null>(null);
export const counters = signal({ perMin: 0, total: 0 });
/** The node's configuration: another number means other rules, feeds or layers. */
export const config = signal(0);
/** What keeps the live picture from being whole. */
export const troubles = signal<string[]>([]);
export const reading = signal<ClockReading | null>(null);

export const alerts = new Map<string, Alert>();
export const alertsVersion = signal(0);
/** False until the list of alerts has come: until then an empty queue means nothing. */
export const alertsKnown = signal(false);
/** The node has more unresolved alerts than were fetched. */
export const alertsCut = signal(false);
export const events = new Map<number, Event>();
export const eventsVersion = signal(0);
/** Older events than those at hand have been let go. */
export const eventsCut = signal(false);

/** The node's time, moved on by `tick`; everything that shows an age reads it. */
export const now = signal(0);

let waitingEvents: Event[] = [];
let waitingAlerts: Alert[] = [];
let applying: ReturnType<typeof setTimeout> | undefined;
let troubledBefore = false;

export function tick(wall: number): void {
  now.value = nodeTime(reading.value, wall);
}

export function takeClock(frame: ClockFrame, wall: number): void {
  batch(() => {
    reading.value = { now: frame.now, speed: frame.speed, seenAt: wall };
    counters.value = { perMin: frame.perMin, total: frame.total };
    config.value = frame.config;
    takeTroubles(frame.troubles);
  });
}

/** Said when two words in a row, a second apart, speak of trouble: a server that is started again is back before. */
function takeTroubles(told: string[]): void {
  const first = !troubledBefore && told.length > 0;
  troubledBefore = told.length > 0;
  if (!first && String(told) !== String(troubles.value)) troubles.value = told;
}

export function takeStatus(found: Status, wall: number): void {
  batch(() => {
    status.value = found;
    const { clock, events: counts } = found;
    takeClock({ now: clock.now, speed: clock.speed, perMin: counts.perMin, total: counts.total, config: found.config, running: found.running?.run ?? null, troubles: found.troubles }, wall);
    tick(wall);
  });
}

/** From the stream: the newest word on an alert. Evidence and history come only with the single view. */
export function takeAlert(alert: Alert): void {
  waitingAlerts.push(alert);
  schedule();
}

export function takeEvents(items: Event[]): void {
  waitingEvents.push(...items);
  if (waitingEvents.length > MOST_EVENTS) waitingEvents = waitingEvents.slice(-MOST_EVENTS);
  schedule();
}

/** A list asked for at `askedAt` must not undo what the stream said meanwhile. */
export function takeAlertList(items: Alert[], changedSince: ReadonlySet<string>, whole = true): void {
  for (const alert of items) if (!changedSince.has(alert.id)) alerts.set(alert.id, alert);
  trimAlerts();
  alertsCut.value = !whole;
  alertsKnown.value = true;
  alertsVersion.value += 1;
}

/** Answer to our own step: shown at once. */
export function takeAlertNow(alert: Alert): void {
  alerts.set(alert.id, alert);
  alertsVersion.value += 1;
}

function schedule(): void {
  applying ??= setTimeout(apply, APPLY_MS);
}

export function apply(): void {
  clearTimeout(applying);
  applying = undefined;
  batch(() => {
    if (waitingAlerts.length > 0) {
      for (const alert of waitingAlerts) alerts.set(alert.id, alert);
      waitingAlerts = [];
      trimAlerts();
      alertsVersion.value += 1;
    }
    if (waitingEvents.length > 0) {
      addEvents(waitingEvents);
      waitingEvents = [];
      eventsVersion.value += 1;
    }
  });
}

function addEvents(items: Event[]): void {
  for (const event of items) events.set(event.seq, event);
  if (events.size <= MOST_EVENTS) return;
  eventsCut.value = true;
  const oldest = [...events.keys()].sort((a, b) => a - b).slice(0, events.size - MOST_EVENTS);
  for (const seq of oldest) events.delete(seq);
}

/** Resolved alerts go first; what still needs somebody is never dropped. */
function trimAlerts(): void {
  if (alerts.size <= MOST_ALERTS) return;
  const done = [...alerts.values()].filter((alert) => alert.state === 'resolved').sort((a, b) => a.updated - b.updated);
  for (const alert of done.slice(0, alerts.size - MOST_ALERTS)) alerts.delete(alert.id);
}

/** Nothing is known any more: another picture begins. */
export function forget(): void {
  batch(() => {
    reset();
    feeds.value = [];
    alertsKnown.value = false;
    alertsVersion.value += 1;
    eventsVersion.value += 1;
  });
}

export function reset(): void {
  alerts.clear();
  events.clear();
  eventsCut.value = false;
  waitingAlerts = [];
  waitingEvents = [];
  clearTimeout(applying);
  applying = undefined;
}
