// The sound of new alerts. Off until somebody switches it on; browsers want a click or a key on the page before they let it be heard.
import { effect, signal } from '@preact/signals';
import { t } from '../i18n';
import { alarm, notes, type Heard } from '../model/alarm';
import { passesAlert } from '../model/filter';
import type { Rank } from '../model/types';
import { say } from './actions';
import { link } from './link';
import { liveWaiting, replaying } from './playback';
import { kept } from './storage';
import * as store from './store';
import { filter } from './view';

export const soundOn = kept<boolean>('sound', (text) => text === 'true');
/** Switched on, and yet the browser keeps it silent until the page is clicked or a key is pressed. */
export const soundBlocked = signal(false);

const LOOK_MS = 1_000;
let context: AudioContext | null = null;
let heard: Heard | null = null;
let waitingLive = 0;
let urgedAt = Number.NEGATIVE_INFINITY;

export async function toggleSound(): Promise<void> {
  soundOn.value = !soundOn.value;
  if (!soundOn.value) {
    soundBlocked.value = false;
    await context?.suspend();
  } else if (await unlock()) play(4); // so that is what it sounds like, and how loud
}

/** Only after a click or a key: a context made before is refused with a warning. */
async function unlock(): Promise<boolean> {
  if (!soundOn.value) return false;
  try {
    context ??= new AudioContext();
    await context.resume();
  } catch (error) {
    soundOn.value = false;
    say({ kind: 'refused', text: t('sound.failed', { reason: error instanceof Error ? error.message : String(error) }), undo: null });
    return false;
  }
  soundBlocked.value = context.state !== 'running';
  return !soundBlocked.value;
}

function play(rank: Rank): void {
  if (context === null || context.state !== 'running') {
    soundBlocked.value = true;
    return;
  }
  const start = context.currentTime + 0.02;
  for (const note of notes(rank)) {
    const tone = context.createOscillator();
    const loud = context.createGain();
    tone.type = 'triangle';
    tone.frequency.value = note.hz;
    loud.gain.setValueAtTime(0, start + note.at);
    loud.gain.linearRampToValueAtTime(note.gain, start + note.at + 0.015);
    loud.gain.setValueAtTime(note.gain, start + note.at + note.lasts - 0.03);
    loud.gain.linearRampToValueAtTime(0, start + note.at + note.lasts);
    tone.connect(loud).connect(context.destination);
    tone.start(start + note.at);
    tone.stop(start + note.at + note.lasts);
  }
}

/** What waits is looked at also while nothing sounds, so that switching on does not ring for what was seen long ago. */
function look(): void {
  if (!store.alertsKnown.peek()) return;
  const wall = performance.now();
  const rank = replaying.peek() ? behindReplay(wall) : ofPicture(wall);
  if (rank !== null && soundOn.peek()) play(rank);
}

function ofPicture(wall: number): Rank | null {
  const silent = !soundOn.peek() || soundBlocked.peek();
  const next = alarm(heard, [...store.alerts.values()], (alert) => passesAlert(filter.peek(), alert), wall);
  heard = silent ? { ...next.heard, last: null, urgentAt: Number.NEGATIVE_INFINITY } : next.heard; // what nobody could hear is due when they can
  waitingLive = 0;
  return next.rank;
}

/** A replay's own alerts make no sound. How severe those are that come behind it nobody has said, so they sound as severity 1. */
function behindReplay(wall: number): Rank | null {
  heard = null;
  const { since } = liveWaiting.peek();
  const due = since > waitingLive || (since > 0 && wall - urgedAt >= 50_000);
  waitingLive = since;
  if (!due) return null;
  urgedAt = wall;
  return 1;
}

export function startSound(): () => void {
  soundBlocked.value = soundOn.peek();
  const gesture = (): void => {
    if (soundBlocked.peek() && (navigator.userActivation?.hasBeenActive ?? true)) void unlock();
  };
  const events = ['pointerup', 'keydown'] as const;
  for (const name of events) addEventListener(name, gesture);
  let lost = false;
  const stops = [
    effect(() => {
      void store.alertsVersion.value;
      look();
    }),
    effect(() => {
      const now = link.value === 'lost' || store.troubles.value.length > 0;
      if (now && !lost && soundOn.peek()) play(2); // a screen that hears nothing must not be taken for a quiet night
      lost = now;
    }),
  ];
  const timer = setInterval(look, LOOK_MS);
  return () => {
    for (const stop of stops) stop();
    clearInterval(timer);
    for (const name of events) removeEventListener(name, gesture);
  };
}
