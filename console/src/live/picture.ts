// The picture: what is on the screen at the conductor's moment, before and after the filter. Every pane reads this and nothing else.
import { computed } from '@preact/signals';
import { families } from '../model/family';
import { countHidden, passesAlert, passesEvent } from '../model/filter';
import { kindGroup } from '../model/kinds';
import { currentEvents, fadeOf, type Fade } from '../model/picture';
import type { Alert, Event } from '../model/types';
import { pastAlerts, pastEvents } from './replay';
import * as store from './store';
import { conductor, filter, isFixed, isLive, selected, timeWindow } from './view';

/** The moment shown: the node's clock, or the cursor. */
export const moment = computed(() => (conductor.value.mode === 'fixed' ? conductor.value.at : store.now.value));

export const allAlerts = computed<Alert[]>(() => {
  if (isFixed.value) return pastAlerts.value ?? [];
  void store.alertsVersion.value;
  return [...store.alerts.values()];
});

/** Whether the alerts of this moment have been heard of at all. */
export const alertsKnown = computed(() => (isFixed.value ? pastAlerts.value !== null : store.alertsKnown.value));

/** The newest alert that came after the screen was opened, for those who do not see it come. */
export const newest = computed<Alert | null>(() => {
  if (!isLive.value) return null;
  let found: Alert | null = null;
  for (const alert of allAlerts.value) {
    if (alert.state === 'open' && alert.knownAt > opened && alert.knownAt > (found?.knownAt ?? 0)) found = alert;
  }
  return found;
});
let opened = Number.POSITIVE_INFINITY;
const stopOpened = store.now.subscribe((at) => {
  if (at === 0) return;
  opened = at;
  queueMicrotask(() => stopOpened());
});

const knownEvents = computed<Event[]>(() => {
  if (!isFixed.value) {
    void store.eventsVersion.value;
    return currentEvents(store.events.values(), Number.POSITIVE_INFINITY);
  }
  return currentEvents(pastEvents.value ?? [], moment.value);
});

export interface Seen {
  event: Event;
  fade: Fade;
}

/** Events that are present at the moment, with how present they look. */
export const present = computed<Seen[]>(() => {
  const { at, fade: span } = timeWindow.value;
  const found: Seen[] = [];
  for (const event of knownEvents.value) {
    const fade = fadeOf(event, at, span);
    if (fade !== null) found.push({ event, fade });
  }
  return found;
});

export const shownAlerts = computed(() => allAlerts.value.filter((alert) => passesAlert(filter.value, alert)));
export const shownEvents = computed(() => present.value.filter((seen) => passesEvent(filter.value, seen.event)));

export const hidden = computed(() =>
  countHidden(
    filter.value,
    allAlerts.value,
    present.value.map((seen) => seen.event),
  ),
);

/** Kind groups seen so far or declared by a feed, for the filter and the legend. */
export const groups = computed(() => {
  const found = new Set<string>();
  for (const feed of store.feeds.value) for (const kind of feed.kinds) found.add(kindGroup(kind));
  for (const event of knownEvents.value) found.add(kindGroup(event.kind));
  return [...found].sort();
});

export const selectedAlert = computed<Alert | null>(() => {
  const id = selected.value;
  return id === null ? null : (allAlerts.value.find((alert) => alert.id === id) ?? null);
});

/** How many of the unacknowledged stand under another alert. */
export const unacknowledgedUnder = computed(() => [...families(shownAlerts.value).values()].flat().filter((alert) => alert.state === 'open').length);

/** Real ones only: an exercise must not make the number look smaller or larger. */
export const unacknowledged = computed(() => allAlerts.value.filter((alert) => alert.state === 'open' && alert.run === null).length);
export const practised = computed(() => allAlerts.value.filter((alert) => alert.state === 'open' && alert.run !== null).length);
