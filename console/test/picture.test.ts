import { describe, expect, it } from 'vitest';
import { alertAsKnown, currentEvents, fadeOf, onMap } from '../src/model/picture';
import { alert, event, T0 } from './make';

const ids = (events: { id: string }[]): string[] => events.map((one) => one.id);

describe('picture', () => {
  it('applies corrections: an update replaces, a cancel removes, also before its target', () => {
    const events = [
      event(2, { id: 'b', action: 'update', refersTo: 'a' }),
      event(1, { id: 'a' }),
      event(3, { id: 'c' }),
      event(4, { id: 'd', action: 'cancel', refersTo: 'c' }),
    ];
    expect(ids(currentEvents(events, T0))).toEqual(['b']);
  });

  it('shows only what was known at that moment', () => {
    const events = [event(1, { id: 'a' }), event(2, { id: 'late', ingestTime: T0 + 60_000 }), event(3, { id: 'x', action: 'cancel', refersTo: 'a', ingestTime: T0 + 1 })];
    expect(ids(currentEvents(events, T0))).toEqual(['a']);
    expect(ids(currentEvents(events, T0 + 60_000))).toEqual(['late']);
  });

  it('keeps references inside their feed', () => {
    const events = [event(1, { id: 'a' }), event(2, { id: 'b', feed: 'other', action: 'cancel', refersTo: 'a' })];
    expect(ids(currentEvents(events, T0))).toEqual(['a']);
  });

  it('shows a moving asset once, where it was last', () => {
    const moves = [1, 2, 3].map((seq) => event(seq, { kind: 'asset.position', source: 'E32' }));
    expect(ids(currentEvents(moves, T0))).toEqual(['e3']);
  });

  it('fades reports over the window and areas not at all until they end', () => {
    const span = 100_000;
    const ages = [0, 20_000, 50_000, 90_000, 100_001];
    expect(ages.map((age) => fadeOf(event(1, { eventTime: T0 - age }), T0, span))).toEqual([0, 1, 2, 3, null]);
    const area = event(1, { eventTime: T0 - 9e9, validUntil: T0 });
    expect(fadeOf(area, T0 - 1, span)).toBe(0);
    expect(fadeOf(area, T0, span)).toBeNull();
  });

  it('takes later evidence and later steps away from an alert of the past', () => {
    const entry = { from: 'open', to: 'acknowledged', by: 'x', note: '' };
    const full = alert('a', { history: [{ at: T0, ...entry }, { at: T0 + 2, ...entry }], evidence: [] });
    expect(alertAsKnown(full, T0 + 1).history).toHaveLength(1);
  });

  it('draws what still needs somebody', () => {
    expect(onMap(alert('a'))).toBe(true);
    expect(onMap(alert('a', { state: 'resolved' }))).toBe(false);
    expect(onMap(alert('a', { position: null }))).toBe(false);
  });
});
