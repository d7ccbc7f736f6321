// The connection to the node: load once, then follow the stream; resume where it broke; say so when it is silent.
import { signal } from '@preact/signals';
import { decodeAlert, decodeClock, decodeEvent, decodeFeed, items } from '../api/decode';
import { getAlerts, getEvents, getFeeds, getLayers, getRules, getStatus, streamPath } from '../api/routes';
import { readStream, type Frame } from '../api/sse';
import { isSilent, SILENT_MS } from '../model/clock';
import type { Alert, AlertState } from '../model/types';
import { heard, onPictureChange, replayGone } from './playback';
import * as store from './store';

export type LinkState = 'connecting' | 'up' | 'lost';
export const link = signal<LinkState>('connecting');
export const failure = signal<string | null>(null);
/** Whole seconds since the last byte from the node, in milliseconds. */
export const silence = signal(0);

const GIVE_UP_MS = 2 * SILENT_MS;
const RELOAD_AFTER_MS = 30_000;
const FIRST_EVENTS = 2_000;
const FIRST_ALERTS = 1_000;
const UNRESOLVED: readonly AlertState[] = ['open', 'acknowledged', 'in_progress', 'on_hold'];

let heardAt = 0; // performance.now of the last byte, or of the last time we gave up on a connection
let spoke = 0; // performance.now of the last byte
let lastId = '';
let attempt = 0;
let abort: AbortController | null = null;
let wake: (() => void) | null = null;
let picture = 0; // raised when another picture begins: what was asked for the one before is dropped
let listed = false; // the lists of this picture have been asked for
const changed = new Set<string>(); // alerts the stream spoke of while a list was on its way

export function start(): () => void {
  let running = true;
  heardAt = performance.now();
  spoke = heardAt;
  const watch = setInterval(watchdog, 1_000);
  const again = (): void => wake?.();
  addEventListener('online', again);
  onPictureChange(begin);
  void follow(() => running);
  void load();
  return () => {
    running = false;
    clearInterval(watch);
    removeEventListener('online', again);
    abort?.abort();
  };
}

/** Another picture: the replay's, or the live one again. */
function begin(): void {
  picture += 1;
  lastId = '';
  listed = false;
  attempt = 0;
  changed.clear();
  store.forget();
  abort?.abort();
  wake?.();
  void load();
}

/** Everything the screen starts with. May be called again after a long silence. */
export async function load(): Promise<void> {
  const mine = picture;
  const still = <T>(take: (found: T) => void) => (found: T): void => {
    if (mine === picture) take(found);
  };
  try {
    failure.value = null;
    await getStatus().then(still((found) => store.takeStatus(found, performance.now())));
    changed.clear();
    if (mine === picture) listed = true;
    // each part is shown as soon as it is there, alerts first; one that fails does not keep the others away
    const parts = await Promise.allSettled([
      firstAlerts().then(still(({ items, whole }) => store.takeAlertList(items, changed, whole))),
      getLayers().then((layers) => (store.layers.value = layers)),
      getFeeds().then(still((feeds) => (store.feeds.value = feeds))),
      getEvents(undefined, undefined, FIRST_EVENTS).then(
        still((events) => {
          store.takeEvents(events.items);
          store.apply();
        }),
      ),
    ]);
    const failed = parts.find((part) => part.status === 'rejected');
    if (failed) throw failed.reason;
  } catch (error) {
    if (mine === picture && !replayGone(error)) failure.value = error instanceof Error ? error.message : String(error);
  }
}

/** The newest; where there are more, also older ones that still need somebody: however old, they are not done. */
async function firstAlerts(): Promise<{ items: Alert[]; whole: boolean }> {
  const newest = await getAlerts(FIRST_ALERTS);
  if (newest.whole) return newest;
  const older = await Promise.all(UNRESOLVED.map((state) => getAlerts(FIRST_ALERTS, undefined, state)));
  return { items: [...newest.items, ...older.flatMap((page) => page.items)], whole: older.every((page) => page.whole) };
}

/** Other rules, feeds or layers are in force: what is shown of them is asked for again. Feeds come by themselves. */
async function reconfigured(): Promise<void> {
  const mine = picture;
  try {
    store.takeStatus(await getStatus(), performance.now());
    store.layers.value = await getLayers();
    if (store.rules.value !== null) store.rules.value = await getRules();
  } catch (error) {
    if (mine === picture) failure.value = error instanceof Error ? error.message : String(error); // loaded again when the stream opens next
  }
}

async function follow(running: () => boolean): Promise<void> {
  while (running()) {
    abort = new AbortController();
    try {
      const mine = picture;
      await readStream(streamPath(), lastId, abort.signal, opened, (frame, id) => mine === picture && onFrame(frame, id), onBytes);
    } catch (error) {
      if (!(error instanceof Error)) throw error; // every failure of a connection has one cure: try again
      replayGone(error);
    }
    if (link.value === 'up' && running()) link.value = isSilent(heardAt, performance.now()) ? 'lost' : 'connecting';
    await pause();
  }
}

function opened(): void {
  const away = performance.now() - spoke;
  // a stream that resumes nowhere tells what happens from now on: what came between the lists and now would be in neither
  const missed = lastId === '' && listed;
  attempt = 0;
  onBytes();
  if (away > RELOAD_AFTER_MS || failure.value !== null || missed) void load();
}

function onBytes(): void {
  heardAt = performance.now();
  spoke = heardAt;
  silence.value = 0;
  link.value = 'up';
}

function watchdog(): void {
  const wall = performance.now();
  store.tick(wall);
  silence.value = Math.floor((wall - spoke) / 1000) * 1000;
  if (!isSilent(heardAt, wall)) return;
  link.value = 'lost';
  if (wall - heardAt > GIVE_UP_MS) {
    heardAt = wall - SILENT_MS - 1; // another try in a while
    abort?.abort();
  }
}

/** 0.5 s, 1 s, 2 s ... 5 s, with jitter so that a hundred consoles do not come back in one instant. */
function pause(): Promise<void> {
  const wait = Math.min(5_000, 500 * 2 ** attempt) * (0.5 + Math.random() / 2);
  attempt += 1;
  return new Promise((resolve) => {
    const timer = setTimeout(done, wait);
    function done(): void {
      clearTimeout(timer);
      wake = null;
      resolve();
    }
    wake = done;
  });
}

function onFrame(frame: Frame, id: string): void {
  if (id) lastId = id;
  const body = JSON.parse(frame.data) as Record<string, unknown>;
  if (frame.event === 'alert') {
    const alert = decodeAlert(body);
    changed.add(alert.id);
    store.takeAlert(alert);
  } else if (frame.event === 'events') store.takeEvents(items(body).map(decodeEvent));
  else if (frame.event === 'feeds') store.feeds.value = items(body).map(decodeFeed);
  else if (frame.event === 'clock') {
    const before = store.config.value;
    const ran = store.status.value?.running?.run ?? null;
    if (heard(body)) return begin();
    store.takeClock(decodeClock(body), performance.now());
    const found = decodeClock(body);
    if (found.running !== ran && store.status.value !== null) void getStatus().then((status) => store.takeStatus(status, performance.now()), () => undefined);
    if (before !== 0 && store.config.value !== before) void reconfigured();
  }
}
