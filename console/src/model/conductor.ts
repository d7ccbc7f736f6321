// The time conductor: one answer to "which moment is on the screen" for map, queue, list and timeline.
// LIVE: the window ends at the node's clock. FIXED: the window stands still and the cursor is a moment of the past. REPLAY: the window is the
// whole replay and the cursor is its clock.

export const WINDOWS_MS = [3_600_000, 3 * 3_600_000, 12 * 3_600_000, 24 * 3_600_000, 72 * 3_600_000] as const;
export const RATES = [1, 5, 10, 30, 60, 300, 600] as const;

export type Conductor =
  | { mode: 'live'; span: number }
  | { mode: 'replay'; span: number; from: number; to: number }
  | { mode: 'fixed'; span: number; from: number; to: number; at: number; playing: boolean; rate: number };

export interface Window {
  from: number;
  to: number;
  at: number;
  /** Reports older than this at `at` are no longer shown. */
  fade: number;
}

/** In an exercise the clock runs faster, so the window is wider: about the same two minutes of wall time are in view. */
export const defaultSpan = (speed: number): number => (speed >= 300 ? WINDOWS_MS[3] : speed >= 60 ? WINDOWS_MS[2] : WINDOWS_MS[0]);

export function windowOf(conductor: Conductor, now: number): Window {
  if (conductor.mode === 'live') return { from: now - conductor.span, to: now, at: now, fade: conductor.span };
  const { from, to } = conductor;
  if (conductor.mode === 'replay') return { from, to, at: Math.min(to, Math.max(from, now)), fade: conductor.span };
  return { from, to, at: conductor.at, fade: to - from };
}

/** A rate at which the window plays in about six minutes. */
const defaultRate = (span: number): number => RATES.findLast((rate) => rate <= span / 360_000) ?? 1;

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/** Any scrub leaves LIVE. The window stays where it was when the hand took hold of it. */
export function scrub(conductor: Conductor, now: number, at: number): Conductor {
  if (conductor.mode === 'replay') return conductor; // the node goes there
  const { from, to } = windowOf(conductor, now);
  const rate = conductor.mode === 'fixed' ? conductor.rate : defaultRate(conductor.span);
  return { mode: 'fixed', span: conductor.span, from, to, at: clamp(at, from, Math.min(to, now)), playing: false, rate };
}

/** `from`, `to`: of the replay. Reports fade as they do live. */
export const playReplay = (conductor: Conductor, from: number, to: number): Conductor => ({ mode: 'replay', span: conductor.span, from, to });

export const goLive = (conductor: Conductor): Conductor => ({ mode: 'live', span: conductor.span });

/** Another length of the window; in FIXED the cursor stays in view at the same share of it. */
export function withSpan(conductor: Conductor, span: number): Conductor {
  if (conductor.mode !== 'fixed') return { ...conductor, span };
  const share = (conductor.at - conductor.from) / Math.max(1, conductor.to - conductor.from);
  const from = conductor.at - share * span;
  return { ...conductor, span, from, to: from + span };
}

/** Looks closer at a stretch of time (a brush over the timeline). */
export function zoomTo(conductor: Conductor, now: number, a: number, b: number): Conductor {
  const fixed = scrub(conductor, now, b);
  const [from, to] = a < b ? [a, b] : [b, a];
  if (fixed.mode !== 'fixed' || to - from < 1000) return fixed;
  return { ...fixed, from, to, at: clamp(fixed.at, from, to) };
}

export const setPlaying = (conductor: Conductor, playing: boolean): Conductor => (conductor.mode === 'fixed' ? { ...conductor, playing } : conductor);
export const setRate = (conductor: Conductor, rate: number): Conductor => (conductor.mode === 'fixed' ? { ...conductor, rate } : conductor);

/** `elapsed`: wall milliseconds since the last step. Playing past the window moves it; it stops at the present and says so. */
export function advance(conductor: Conductor, now: number, elapsed: number): Conductor {
  if (conductor.mode !== 'fixed' || !conductor.playing) return conductor;
  const at = Math.min(now, conductor.at + elapsed * conductor.rate);
  const shift = Math.max(0, at - conductor.to);
  return { ...conductor, at, from: conductor.from + shift, to: conductor.to + shift, playing: at < now };
}
