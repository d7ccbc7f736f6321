import { describe, expect, it } from 'vitest';
import { countEvents, lanes, ticks } from '../src/model/timeline';
import { event, T0 } from './make';

const HOUR = 3_600_000;
const counts = (rows: [string, number[]][]) => ({ from: T0, to: T0 + 2, stepMs: 1, rows: rows.map(([kind, found]) => ({ kind, counts: found })) });

describe('timeline', () => {
  it('adds kinds up to their group, by name, without the hidden ones', () => {
    const found = lanes(counts([['call.fire.outdoor', [1, 2]], ['call.fire.vehicle', [0, 3]], ['air.pm25', [1, 0]], ['x.y', [9, 9]]]), ['x.y'], 7);
    expect(found).toEqual([
      { group: 'air.pm25', counts: [1, 0] },
      { group: 'call.fire', counts: [1, 5] },
    ]);
  });

  it('puts the emptiest into one lane when there are too many, and loses nothing', () => {
    const found = lanes(counts([['a', [1, 0]], ['b', [5, 5]], ['c', [2, 2]], ['d', [0, 1]]]), [], 3);
    expect(found).toEqual([
      { group: 'b', counts: [5, 5] },
      { group: 'c', counts: [2, 2] },
      { group: '', counts: [1, 1] },
    ]);
  });

  it('counts events into buckets, edges as [from, to)', () => {
    const events = [event(1, { eventTime: T0 }), event(2, { eventTime: T0 + 99 }), event(3, { eventTime: T0 + 100 }), event(4, { eventTime: T0 - 1 })];
    expect(countEvents(events, T0, T0 + 100, 2).rows).toEqual([{ kind: 'call.fire', counts: [1, 1] }]);
  });

  it('puts tick marks on whole hours of the city, also where the offset is half an hour', () => {
    const found = ticks(T0, T0 + 6 * HOUR, 6, -7 * HOUR);
    expect(found).toHaveLength(6);
    expect(found.every((at) => at % HOUR === 0)).toBe(true);
    expect(ticks(T0, T0 + 6 * HOUR, 6, 5.5 * HOUR).every((at) => (at + 5.5 * HOUR) % HOUR === 0)).toBe(true);
  });
});
