// One filter for everything: map, list, queue, timeline. It hides what was chosen to be hidden, so new kinds are always shown.
import { kindGroup } from './kinds';
import type { Alert, Event, Rank } from './types';

export interface Filter {
  hiddenKinds: readonly string[];
  hiddenRanks: readonly Rank[];
  text: string;
}

export const NO_FILTER: Filter = { hiddenKinds: [], hiddenRanks: [], text: '' };

export const isFiltering = (filter: Filter): boolean => filter.hiddenKinds.length + filter.hiddenRanks.length > 0 || filter.text.trim() !== '';

function matchesText(filter: Filter, haystack: () => string): boolean {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const text = haystack().toLowerCase();
  return words.every((word) => text.includes(word));
}

export function passesEvent(filter: Filter, event: Event): boolean {
  if (filter.hiddenKinds.includes(kindGroup(event.kind))) return false;
  return matchesText(filter, () => [event.text, event.kind, event.source, event.feed, event.id, ...Object.values(event.attrs)].join(' '));
}

export function passesAlert(filter: Filter, alert: Alert): boolean {
  if (filter.hiddenRanks.includes(alert.rank)) return false;
  return matchesText(filter, () => [alert.headline, alert.title, alert.rule, alert.place, alert.owner, alert.id].join(' '));
}

/** Adds or removes one value; the result is sorted so that equal filters are equal texts. */
export function toggled<T extends string | number>(values: readonly T[], value: T): T[] {
  const next = values.includes(value) ? values.filter((one) => one !== value) : [...values, value];
  return next.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

export interface Hidden {
  alerts: number;
  events: number;
  unacknowledged: number;
}

/** What the filter keeps from the eye: said on the screen all the time, unacknowledged alerts by name. */
export function countHidden(filter: Filter, alerts: Iterable<Alert>, events: Iterable<Event>): Hidden {
  const hidden: Hidden = { alerts: 0, events: 0, unacknowledged: 0 };
  if (!isFiltering(filter)) return hidden;
  for (const alert of alerts) {
    if (alert.state === 'resolved' || passesAlert(filter, alert)) continue;
    hidden.alerts += 1;
    if (alert.state === 'open') hidden.unacknowledged += 1;
  }
  for (const event of events) if (!passesEvent(filter, event)) hidden.events += 1;
  return hidden;
}

/** From storage: anything that is not a filter is no filter. */
export function parseFilter(text: string | null): Filter {
  try {
    const found = JSON.parse(text ?? '') as Partial<Filter>;
    return {
      hiddenKinds: Array.isArray(found.hiddenKinds) ? found.hiddenKinds.filter((kind) => typeof kind === 'string') : [],
      hiddenRanks: Array.isArray(found.hiddenRanks) ? found.hiddenRanks.filter((rank) => [1, 2, 3, 4].includes(rank)) : [],
      text: typeof found.text === 'string' ? found.text : '',
    };
  } catch {
    return NO_FILTER;
  }
}
