// The queue as it is on the screen: built from the picture, held still under the pointer, walked by the keyboard.
import { computed, effect, signal } from '@preact/signals';
import { buildQueue, heldBack, neighbour, type Group } from '../model/queue';
import { moment, shownAlerts } from './picture';
import { selected, showResolved, unfolded } from './view';

/** While the pointer is over the list these alerts, and only these, are in it. */
const held = signal<ReadonlySet<string> | null>(null);

const built = computed(() => buildQueue(shownAlerts.value, unfolded.value, showResolved.value));
const view = computed(() => (held.value ? heldBack(built.value, held.value) : { groups: built.value, waiting: 0 }));

export const queueGroups = computed<Group[]>(() => view.value.groups);
export const queueWaiting = computed(() => view.value.waiting);
export const queueKeys = computed(() => queueGroups.value.flatMap((group) => group.rows.map((row) => row.key)));
export const queueNow = moment;
/** The folded flood of one rule that is chosen, if one is. */
export const foldChosen = computed(() => {
  for (const row of queueGroups.value.flatMap((group) => group.rows)) if (row.type === 'fold' && row.key === selected.value) return row;
  return null;
});

/** A pointer that rests is not about to click. */
const REST_MS = 10_000;
let resting: ReturnType<typeof setTimeout> | undefined;

export function hold(): void {
  clearTimeout(resting);
  resting = setTimeout(release, REST_MS);
  if (held.value !== null) return;
  const rows = built.peek().flatMap((group) => group.rows);
  held.value = new Set(rows.flatMap((row) => (row.type === 'fold' ? row.alerts.map((alert) => alert.id) : [row.key, ...row.children.map((child) => child.id)])));
}

export function release(): void {
  clearTimeout(resting);
  held.value = null;
}

export function move(step: number): void {
  const next = neighbour(queueKeys.value, selected.value, step);
  if (next !== null) selected.value = next;
}

/** The parent whose row holds `id` without showing it. */
const hiddenUnder = (id: string): string | null => {
  const rows = built.value.flatMap((group) => group.rows);
  const holder = rows.find((row) => row.type === 'alert' && !row.open && row.children.some((child) => child.id === id));
  return holder?.key ?? null;
};

/** A chosen child is never hidden: its parent opens, wherever it was chosen. */
export function startQueue(): () => void {
  return effect(() => {
    const holder = selected.value === null ? null : hiddenUnder(selected.value);
    if (holder !== null) toggleFold(holder);
  });
}

/** Like a tree: right opens, left closes; left on a child goes to its parent. False where there is nothing to open or close. */
export function unfold(open: boolean): boolean {
  const row = queueGroups.value.flatMap((group) => group.rows).find((one) => one.key === selected.value);
  if (!row) return false;
  const parent = row.type === 'alert' ? row.under : null;
  if (!open && parent !== null) selected.value = parent;
  else if (row.open !== open && (row.type === 'fold' || row.children.length > 0)) toggleFold(row.key);
  else return false;
  return true;
}

export function toggleFold(key: string): void {
  const next = new Set(unfolded.peek());
  if (!next.delete(key)) next.add(key);
  unfolded.value = next;
}
