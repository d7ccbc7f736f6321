import { describe, expect, it } from 'vitest';
import { allowed, buildQueue, FLOOD_ALERTS, heldBack, neighbour, TRANSITIONS, type Row } from '../src/model/queue';
import { alert, T0 } from './make';

const NONE: ReadonlySet<string> = new Set();
const keys = (rows: Row[] | undefined): string[] => (rows ?? []).map((row) => row.key);

describe('queue', () => {
  it('orders by state, then severity, then the newest', () => {
    const alerts = [
      alert('old2', { opened: T0 - 5000 }),
      alert('new2'),
      alert('one', { rank: 1, opened: T0 - 9000 }),
      alert('held', { state: 'on_hold', rank: 1 }),
      alert('acked', { state: 'acknowledged', rank: 4 }),
    ];
    const groups = buildQueue(alerts, NONE, false);
    expect(groups.map((group) => group.state)).toEqual(['open', 'acknowledged', 'on_hold']);
    expect(keys(groups[0]?.rows)).toEqual(['one', 'new2', 'old2']);
  });

  it('lists resolved alerts only when asked, and counts them always', () => {
    const alerts = [alert('a', { state: 'resolved' }), alert('b', { state: 'resolved', updated: T0 + 1 })];
    expect(buildQueue(alerts, NONE, false)).toEqual([{ state: 'resolved', total: 2, rows: [] }]);
    expect(keys(buildQueue(alerts, NONE, true)[0]?.rows)).toEqual(['b', 'a']);
  });

  it('folds a flood by rule, never severity 1, and opens on demand', () => {
    const many = Array.from({ length: FLOOD_ALERTS + 1 }, (_, i) => alert(`f${String(i).padStart(2, '0')}`, { rule: 'flood', opened: T0 - i }));
    const alerts = [...many, alert('worst', { rule: 'flood', rank: 1 }), alert('other', { rule: 'other', opened: T0 - 99 })];
    const closed = buildQueue(alerts, NONE, false)[0];
    expect(keys(closed?.rows)).toEqual(['worst', 'open:flood', 'other']);
    expect(closed?.total).toBe(FLOOD_ALERTS + 3);
    const opened = keys(buildQueue(alerts, new Set(['open:flood']), false)[0]?.rows);
    expect(opened).toEqual(['worst', 'open:flood', ...many.map((one) => one.id), 'other']);
    const few = many.slice(0, FLOOD_ALERTS);
    expect(keys(buildQueue(few, NONE, false)[0]?.rows)).toEqual(few.map((one) => one.id));
  });

  it('keeps new rows out while the pointer is over the list', () => {
    const groups = buildQueue([alert('a'), alert('b', { rank: 1 })], NONE, false);
    const { groups: kept, waiting } = heldBack(groups, new Set(['a']));
    expect(keys(kept[0]?.rows)).toEqual(['a']);
    expect(waiting).toBe(1);
  });

  it('walks with the keyboard and stays at the ends', () => {
    expect(neighbour(['a', 'b'], null, 1)).toBe('a');
    expect(neighbour(['a', 'b'], null, -1)).toBe('b');
    expect(neighbour(['a', 'b'], 'a', -1)).toBe('a');
    expect(neighbour(['a', 'b'], 'a', 99)).toBe('b');
    expect(neighbour(['a', 'b'], 'gone', 1)).toBe('a');
    expect(neighbour([], 'a', 1)).toBeNull();
  });

  it('allows exactly the transitions of the model', () => {
    expect(allowed('open', 'acknowledged')).toBe(true);
    expect(allowed('open', 'on_hold')).toBe(false);
    expect(allowed('resolved', 'open')).toBe(true);
    expect(Object.values(TRANSITIONS).flat().includes('retracted')).toBe(false);
  });
});

describe('an exercise in the queue', () => {
  const run = 'ab12';

  it('stands after everything real of the same state, whatever its severity', () => {
    const rows = buildQueue([alert('drill', { run, rank: 1 }), alert('small', { rank: 4 })], new Set(), false)[0]?.rows ?? [];
    expect(rows.map((row) => row.key)).toEqual(['small', 'drill']);
  });

  it('neither folds what is real nor is folded with it', () => {
    const real = Array.from({ length: 6 }, (_, i) => alert(`real${i}`, { rule: 'flood' }));
    const drill = Array.from({ length: 11 }, (_, i) => alert(`drill${i}`, { rule: 'flood', run }));
    const rows = buildQueue([...drill, ...real], new Set(), false)[0]?.rows ?? [];
    expect(rows.map((row) => row.key).sort()).toEqual([...real.map((one) => one.id), `open:${run}:flood`].sort());
    expect(rows.at(-1)).toMatchObject({ type: 'fold', alerts: expect.objectContaining({ length: 11 }) as unknown });
  });
});
