// A replay on the node: its routes take the place of the live ones, so every pane draws it as it draws the present. What is live goes on
// behind it, and the screen says how many alerts wait there.
import { computed, signal } from '@preact/signals';
import { decodeReplay } from '../api/decode';
import { Problem } from '../api/http';
import { beginReplay, endReplay, getLiveStatus, pictureOf, steerReplay, type ReplayChange } from '../api/routes';
import { t } from '../i18n';
import { playReplay } from '../model/conductor';
import type { Replay, ReplayOrder } from '../model/types';
import { say } from './actions';
import * as store from './store';
import { conductor, returnToLive as leaveFixed, selected, setConductor } from './view';

export const replay = signal<Replay | null>(null);
export const replaying = computed(() => replay.value !== null);
/** Alerts nobody has acknowledged, at the live node; how many more than when the replay began. */
export const liveWaiting = signal({ unacknowledged: 0, since: 0 });
/** Where the cursor is being dragged to. */
export const seekingTo = signal<number | null>(null);

export const RATES = [1, 5, 10, 30, 60, 300, 1000] as const;
const LOOK_MS = 5_000;
const STEER_MS = 250;

let looking: ReturnType<typeof setInterval> | undefined;
let atBegin = 0;
/** Set by the link: begins the picture again from the routes now in force. */
let reload: () => void = () => undefined;
export const onPictureChange = (again: () => void): void => {
  reload = again;
};

const failed = (error: unknown): void => say({ kind: 'refused', text: t('replay.failed', { reason: error instanceof Error ? error.message : String(error) }), undo: null });

export interface Wish {
  from: number;
  to: number;
  at?: number;
  rate?: number;
  by?: ReplayOrder;
}

export async function begin(wish: Wish): Promise<void> {
  try {
    const begun = await beginReplay(wish);
    if (replay.peek()) void endReplay(replay.peek()?.id ?? '').catch(() => undefined);
    const live = await getLiveStatus();
    atBegin = live.alerts.unacknowledged;
    liveWaiting.value = { unacknowledged: atBegin, since: 0 };
    pictureOf(begun.id);
    replay.value = begun;
    selected.value = null;
    setConductor(playReplay(conductor.peek(), begun.from, begun.to));
    clearInterval(looking);
    looking = setInterval(() => void look(), LOOK_MS);
    reload();
  } catch (error) {
    failed(error);
  }
}

/** The one way back: from a replay, or from a moment of the past. */
export function returnToLive(): void {
  const left = replay.peek();
  if (left === null) return leaveFixed();
  clearInterval(looking);
  replay.value = null;
  seekingTo.value = null;
  pictureOf(null);
  selected.value = null;
  leaveFixed();
  reload();
  void endReplay(left.id).catch(() => undefined); // it ends by itself when nobody watches
}

/** The node does not know the replay any more. */
export function replayGone(error: unknown): boolean {
  if (replay.peek() === null || !(error instanceof Problem) || error.status !== 404) return false;
  returnToLive();
  say({ kind: 'refused', text: t('replay.gone'), undo: null });
  return true;
}

/** From a clock frame. True when it has gone to another moment, so that the picture must be loaded again. */
export function heard(body: Record<string, unknown>): boolean {
  const before = replay.peek();
  if (before === null || typeof body.replay !== 'object' || body.replay === null) return false;
  const now = decodeReplay(body.replay as Record<string, unknown>);
  if (now.id !== before.id) return false;
  replay.value = now;
  return now.stage !== before.stage;
}

export async function steer(change: ReplayChange): Promise<void> {
  const current = replay.peek();
  if (current === null) return;
  try {
    const now = await steerReplay(current.id, change);
    if (replay.peek()?.id !== now.id) return;
    replay.value = now;
    if (now.stage !== current.stage) reload();
  } catch (error) {
    if (!replayGone(error)) failed(error);
  }
}

export const playPause = (): void => {
  const current = replay.peek();
  if (current) void steer({ playing: !current.playing });
};

let steering: ReturnType<typeof setTimeout> | undefined;

/** A dragged cursor asks once, when it rests. */
export function seek(at: number): void {
  const current = replay.peek();
  if (current === null) return;
  const wanted = Math.min(current.to, Math.max(current.from, at));
  seekingTo.value = wanted;
  clearTimeout(steering);
  steering = setTimeout(() => {
    void steer({ at: wanted }).finally(() => {
      if (seekingTo.peek() === wanted) seekingTo.value = null;
    });
  }, STEER_MS);
}

async function look(): Promise<void> {
  try {
    const { alerts } = await getLiveStatus();
    liveWaiting.value = { unacknowledged: alerts.unacknowledged, since: Math.max(0, alerts.unacknowledged - atBegin) };
  } catch {
    return; // the stream says when the node is away
  }
}

/** For the cursor: where it is dragged to, or where the replay is. */
export const replayAt = computed(() => seekingTo.value ?? store.now.value);
