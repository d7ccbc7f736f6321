// Counts for the timeline: asked from the node now and then, completed with what has arrived since.
import { computed, effect, signal } from '@preact/signals';
import { getTimeline } from '../api/routes';
import { countEvents, lanes, type Lane } from '../model/timeline';
import type { TimelineCounts } from '../model/types';
import { link } from './link';
import { groups } from './picture';
import * as store from './store';
import { conductor, filter } from './view';

export const BUCKETS = 240;
const EVERY_MS = 3_000;
const MOST_LANES = 7;

const asked = signal<TimelineCounts | null>(null);
export const countsFailed = signal(false);

export function startCounts(): () => void {
  let stale = 0; // answers to older questions are dropped
  const ask = async (): Promise<void> => {
    const current = conductor.peek();
    const at = store.now.peek();
    if (at === 0 || link.peek() !== 'up') return;
    const to = current.mode === 'live' ? at : current.to;
    const from = current.mode === 'live' ? to - current.span : current.from;
    const mine = (stale += 1);
    try {
      const found = await getTimeline(from, to, BUCKETS);
      if (mine !== stale) return;
      asked.value = found;
      countsFailed.value = false;
    } catch {
      if (mine === stale) countsFailed.value = true; // the events in hand are drawn instead
    }
  };
  const window = computed(() => {
    const current = conductor.value;
    return current.mode === 'live' ? `live ${current.span}` : `${current.from} ${current.to}`;
  });
  const ready = computed(() => store.now.value > 0 && link.value === 'up');
  const stop = effect(() => {
    if (window.value && ready.value) void ask();
  });
  const timer = setInterval(() => conductor.peek().mode !== 'fixed' && void ask(), EVERY_MS);
  return () => {
    stop();
    clearInterval(timer);
  };
}

/** Hidden groups, and families (`call`) of which every group is hidden: the node may count by family. */
const hiddenKinds = computed(() => {
  const off = filter.value.hiddenKinds;
  const families = new Set(off.map((group) => group.replace(/\..*/, '')));
  const shown = groups.value.filter((group) => !off.includes(group));
  return [...off, ...[...families].filter((family) => !shown.some((group) => group.startsWith(`${family}.`) || group === family))];
});

export interface Counted {
  from: number;
  stepMs: number;
  lanes: Lane[];
}

/** Two stretches: what the node counted, and the events since then. */
export const counted = computed<Counted[]>(() => {
  const base = asked.value;
  void store.eventsVersion.value;
  if (!base) return [];
  const names = lanes(base, hiddenKinds.value, MOST_LANES);
  const parts: Counted[] = [{ from: base.from, stepMs: base.stepMs, lanes: names }];
  const at = store.now.value;
  if (conductor.value.mode === 'live' && at > base.to) {
    const buckets = Math.max(1, Math.ceil((at - base.to) / base.stepMs));
    const since = countEvents(store.events.values(), base.to, base.to + buckets * base.stepMs, buckets);
    parts.push({ from: base.to, stepMs: base.stepMs, lanes: lanes(since, hiddenKinds.value, Number.POSITIVE_INFINITY) });
  }
  return parts;
});
