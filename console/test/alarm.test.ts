import { describe, expect, it } from 'vitest';
import { alarm, COVERED_MS, notes, REPEAT_MS, type Heard } from '../src/model/alarm';
import type { Alert, Rank } from '../src/model/types';
import { alert } from './make';

/** Runs pictures one after another and says what was heard at each. */
function listen(pictures: [wall: number, alerts: Alert[]][], passes: (one: Alert) => boolean = () => true): (Rank | null)[] {
  let heard: Heard | null = null;
  return pictures.map(([wall, alerts]) => {
    const next = alarm(heard, alerts, passes, wall);
    heard = next.heard;
    return next.rank;
  });
}

describe('the sound of alerts', () => {
  const two = alert('two');
  const one = alert('one', { rank: 1 });

  it('comes once for what is new, and not for what was there before', () => {
    expect(listen([[0, [two]], [1_000, [two]], [60_000, [two, alert('three', { rank: 3 })]], [200_000, [two, alert('three', { rank: 3 })]]])).toEqual([null, null, 3, null]);
  });

  it('comes again every 45 to 60 s only while severity 1 is unacknowledged', () => {
    const open = [0, 1_000, 44_000, REPEAT_MS, REPEAT_MS + 1_000, 2 * REPEAT_MS].map((wall): [number, Alert[]] => [wall, [one]]);
    expect(listen(open)).toEqual([1, null, null, 1, null, 1]);
    expect(listen([[0, [one]], [60_000, [{ ...one, state: 'acknowledged' }]], [120_000, [{ ...one, state: 'in_progress' }]]])).toEqual([1, null, null]);
    expect(REPEAT_MS).toBeGreaterThanOrEqual(45_000);
    expect(REPEAT_MS).toBeLessThanOrEqual(59_000); // and a second for the look
  });

  it('is one for a flood, but never keeps a more severe one back', () => {
    const flood = Array.from({ length: 50 }, (_, i) => alert(`f${i}`));
    expect(listen([[0, []], [1, flood.slice(0, 20)], [2_000, flood], [3_000, [...flood, one]]])).toEqual([null, 2, null, 1]);
    expect(listen([[0, []], [1, [two]], [COVERED_MS + 2, [two, alert('later')]]])).toEqual([null, 2, 2]);
  });

  it('comes again when an alert has become more severe, not when a step was taken back', () => {
    const acked = { ...two, state: 'acknowledged' as const };
    expect(listen([[0, []], [1, [two]], [20_000, [acked]], [40_000, [two]], [60_000, [{ ...two, rank: 1 }]]])).toEqual([null, 2, null, null, 1]);
  });

  it('leaves out what is hidden or folded, but for severity 1', () => {
    const nothing = (): boolean => false;
    expect(listen([[0, []], [1, [two]], [2, [two, one]]], nothing)).toEqual([null, null, 1]);
    const parent = alert('p', { state: 'acknowledged' });
    expect(listen([[0, [parent]], [1, [parent, alert('child', { parent: 'p', folded: 'fold' })]]])).toEqual([null, null]);
  });

  it('is not repeated for an exercise', () => {
    const practised = { ...one, run: 'r1' };
    expect(listen([[0, []], [1, [practised]], [90_000, [practised]]])).toEqual([null, 1, null]);
  });

  it('differs for each severity by more than its loudness', () => {
    const shapes = ([1, 2, 3, 4] as const).map((rank) => notes(rank).map((note) => note.hz).join());
    expect(new Set(shapes).size).toBe(4);
    for (const note of ([1, 2, 3, 4] as const).flatMap(notes)) expect(note.gain).toBeLessThanOrEqual(0.3);
  });
});
