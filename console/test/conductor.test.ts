import { describe, expect, it } from 'vitest';
import { advance, defaultSpan, goLive, playReplay, scrub, setPlaying, setRate, windowOf, withSpan, zoomTo, type Conductor } from '../src/model/conductor';
import { T0 } from './make';

const HOUR = 3_600_000;
const LIVE: Conductor = { mode: 'live', span: HOUR };

describe('time conductor', () => {
  it('shows the last hour while live', () => {
    expect(windowOf(LIVE, T0)).toEqual({ from: T0 - HOUR, to: T0, at: T0, fade: HOUR });
  });

  it('leaves live on a scrub, keeps the window still, and never shows the future', () => {
    const fixed = scrub(LIVE, T0, T0 - 600_000);
    expect(windowOf(fixed, T0 + 999_999)).toEqual({ from: T0 - HOUR, to: T0, at: T0 - 600_000, fade: HOUR });
    expect(windowOf(scrub(fixed, T0, T0 + 5), T0).at).toBe(T0);
    expect(windowOf(scrub(fixed, T0, 0), T0).at).toBe(T0 - HOUR);
    expect(goLive(fixed)).toEqual(LIVE);
  });

  it('plays at its rate, moves the window along, and stops at the present', () => {
    let fixed = setRate(setPlaying(scrub(LIVE, T0, T0 - 1000), true), 60);
    fixed = advance(fixed, T0 + 10 * HOUR, 100);
    expect(windowOf(fixed, 0)).toEqual({ from: T0 - HOUR + 5000, to: T0 + 5000, at: T0 + 5000, fade: HOUR });
    fixed = advance(fixed, T0 + 6000, 1000);
    expect(fixed).toMatchObject({ at: T0 + 6000, playing: false });
    expect(advance(fixed, T0 + 9000, 1000)).toEqual(fixed);
    expect(advance(LIVE, T0, 1000)).toBe(LIVE);
  });

  it('changes the length of the window round the cursor', () => {
    const fixed = withSpan(scrub(LIVE, T0, T0 - HOUR / 4), HOUR * 4);
    expect(windowOf(fixed, T0)).toEqual({ from: T0 - HOUR / 4 - 3 * HOUR, to: T0 - HOUR / 4 + HOUR, at: T0 - HOUR / 4, fade: 4 * HOUR });
    expect(withSpan(LIVE, 5)).toEqual({ mode: 'live', span: 5 });
  });

  it('looks closer at a brushed stretch, drawn either way', () => {
    const [a, b] = [T0 - HOUR / 2, T0 - HOUR / 4];
    for (const zoomed of [zoomTo(LIVE, T0, a, b), zoomTo(LIVE, T0, b, a)]) expect(zoomed).toMatchObject({ mode: 'fixed', from: a, to: b });
  });

  it('starts with a wider window the faster the clock runs', () => {
    expect([1, 60, 720].map(defaultSpan)).toEqual([HOUR, 12 * HOUR, 24 * HOUR]);
  });
});

describe('replay', () => {
  const played = playReplay(LIVE, T0 - 3 * HOUR, T0);

  it('shows the whole replay with the cursor at its clock, and fades reports as live does', () => {
    expect(windowOf(played, T0 - HOUR)).toEqual({ from: T0 - 3 * HOUR, to: T0, at: T0 - HOUR, fade: HOUR });
    expect(windowOf(played, T0 + HOUR).at).toBe(T0);
    expect(windowOf(played, 0).at).toBe(T0 - 3 * HOUR);
  });

  it('is left by going live and by nothing else', () => {
    expect(scrub(played, T0, T0 - 5)).toBe(played);
    expect(zoomTo(played, T0, T0 - 9000, T0)).toBe(played);
    expect(setPlaying(setRate(played, 60), true)).toBe(played);
    expect(advance(played, T0, 1000)).toBe(played);
    expect(withSpan(played, 5)).toMatchObject({ mode: 'replay', span: 5 });
    expect(goLive(played)).toEqual(LIVE);
  });
});
