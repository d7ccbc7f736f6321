// The past, asked for while the conductor is FIXED: alerts as they were known then, and the events around that moment.
import { effect, signal } from '@preact/signals';
import { getAlerts, getEvents } from '../api/routes';
import { advance } from '../model/conductor';
import type { Alert, Event } from '../model/types';
import * as store from './store';
import { conductor, setConductor } from './view';

const MOST_EVENTS = 3_000;
const MOST_ALERTS = 500;
const STEP_MS = 200;

export const pastAlerts = signal<Alert[] | null>(null);
export const pastEvents = signal<Event[] | null>(null);
/** False when more events lie in the window than are shown. */
export const pastWhole = signal(true);
/** Nothing older than this is kept at hand by the node. */
export const keptFrom = signal<number | null>(null);
export const pastFailure = signal<string | null>(null);

let wantedAt: number | null = null;
let asking = false;
let loadedTo = Number.NaN;

export function startReplay(): () => void {
  const stop = effect(() => {
    const at = conductor.value;
    if (at.mode !== 'fixed') forget();
    else {
      void askEvents(at.from, at.to);
      void askAlerts(at.at);
    }
  });
  let last = performance.now();
  const timer = setInterval(() => {
    const wall = performance.now();
    const current = conductor.peek();
    if (current.mode === 'fixed' && current.playing) setConductor(advance(current, store.now.peek(), wall - last));
    last = wall;
  }, STEP_MS);
  return () => {
    stop();
    clearInterval(timer);
  };
}

function forget(): void {
  wantedAt = null;
  loadedTo = Number.NaN;
  pastAlerts.value = null;
  pastEvents.value = null;
  pastWhole.value = true;
  pastFailure.value = null;
}

/** One question at a time, and always the newest: a dragged cursor asks for many moments. */
async function askAlerts(at: number): Promise<void> {
  wantedAt = at;
  if (asking) return;
  asking = true;
  while (wantedAt !== null) {
    const moment: number = wantedAt;
    wantedAt = null;
    try {
      const found = await getAlerts(MOST_ALERTS, moment);
      if (conductor.peek().mode === 'fixed') pastAlerts.value = found.items;
      pastFailure.value = null;
    } catch (error) {
      if (conductor.peek().mode === 'fixed') pastFailure.value = error instanceof Error ? error.message : String(error);
    }
  }
  asking = false;
}

async function askEvents(from: number, to: number): Promise<void> {
  if (to <= loadedTo && to > loadedTo - 1) return;
  loadedTo = to;
  try {
    const found = await getEvents(undefined, to, MOST_EVENTS);
    if (loadedTo !== to) return; // the window has moved on
    const oldest = found.items.at(-1)?.eventTime ?? from;
    pastEvents.value = found.items;
    keptFrom.value = found.keptFrom;
    pastWhole.value = found.whole || oldest <= from;
  } catch (error) {
    if (loadedTo === to) pastFailure.value = error instanceof Error ? error.message : String(error);
  }
}
