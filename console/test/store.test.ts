// @vitest-environment happy-dom
import { beforeEach, describe, expect, it } from 'vitest';
import * as store from '../src/live/store';
import { eventDiff } from '../src/map/features';
import { alert, event } from './make';

beforeEach(store.reset);

describe('store', () => {
  it('keeps the newest events only', () => {
    store.takeEvents(Array.from({ length: store.MOST_EVENTS }, (_, i) => event(i + 1)));
    store.apply();
    store.takeEvents([event(store.MOST_EVENTS + 1)]);
    store.apply();
    expect(store.events.size).toBe(store.MOST_EVENTS);
    expect(store.events.has(1)).toBe(false);
    expect(store.events.has(store.MOST_EVENTS + 1)).toBe(true);
  });

  it('never loses an alert change to a list that was asked for earlier', () => {
    store.takeAlert(alert('a', { state: 'acknowledged' }));
    store.apply();
    store.takeAlertList([alert('a'), alert('b')], new Set(['a']));
    expect(store.alerts.get('a')?.state).toBe('acknowledged');
    expect(store.alerts.get('b')?.state).toBe('open');
  });

  it('draws many frames as one change', () => {
    const before = store.eventsVersion.value;
    for (let i = 0; i < 50; i += 1) store.takeEvents([event(i)]);
    store.apply();
    expect(store.eventsVersion.value).toBe(before + 1);
    expect(store.events.size).toBe(50);
  });

  it('drops only resolved alerts when there are too many', () => {
    const many = Array.from({ length: store.MOST_ALERTS }, (_, i) => alert(`o${i}`));
    store.takeAlertList([...many, alert('done', { state: 'resolved' })], new Set());
    expect(store.alerts.has('done')).toBe(false);
    expect(store.alerts.size).toBe(store.MOST_ALERTS);
  });
});

describe('map features', () => {
  it('sends only what changed', () => {
    const drawn = new Map<string, number>();
    const first = [event(1), event(2), event(3, { position: null })].map((one) => ({ event: one, fade: 0 as const }));
    expect(eventDiff(first, drawn).add).toHaveLength(2);
    expect(eventDiff(first, drawn)).toEqual({ add: [], remove: [] });
    const faded = eventDiff([{ event: event(1), fade: 3 as const }], drawn);
    expect(faded.add.map((feature) => feature.properties?.key)).toEqual(['1']);
    expect(faded.remove).toEqual(['2']);
  });
  it('speaks of trouble when two words in a row do, and of its end at once', () => {
    const frame = (troubles: string[]) => ({ now: 1, speed: 1, perMin: 0, total: 0, config: 1, running: null, troubles });
    const said = (troubles: string[]): string[] => {
      store.takeClock(frame(troubles), 0);
      return store.troubles.value;
    };
    expect([said(['away']), said([]), said(['away']), said(['away']), said(['other']), said([])]).toEqual([[], [], [], ['away'], ['other'], []]);
  });
});
