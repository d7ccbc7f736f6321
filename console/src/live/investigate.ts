// A question to the archive in the making, and its answer. Asked when somebody wants it, never by itself.
import { signal } from '@preact/signals';
import { aroundPath, aroundQuery, exportAddress, filterQuery, findEvents, getSeries, searchPath, type Amount, type Answer, type ArchiveFilter, type AroundQuestion, type Format, type FoundEvent } from '../api/archive';
import { Problem } from '../api/http';
import { t } from '../i18n';
import type { Alert, Position } from '../model/types';
import * as store from './store';

const DAY_MS = 86_400_000;
const EMPTY: ArchiveFilter = { from: null, to: null, kind: '', feed: '', text: '', severity: 0, box: null };

export const asked = signal<ArchiveFilter>(EMPTY);
export const around = signal<(AroundQuestion & { title: string }) | null>(null);
export const found = signal<Answer<FoundEvent> | null>(null);
export const amounts = signal<(Answer<Amount> & { step: 'hour' | 'day' }) | null>(null);
/** Spans that a bar was chosen in, the newest last: the way back. */
export const narrowed = signal<{ from: number | null; to: number | null }[]>([]);
export const failure = signal<string | null>(null);
export const busy = signal(false);
/** Sequence number of the row that was chosen. */
export const chosen = signal<number | null>(null);
/** Why a part of the map could not be drawn. */
export const mapFailure = signal<string | null>(null);
export const mapBox = signal<ArchiveFilter['box']>(null);

let turn = 0;

export const change = (part: Partial<ArchiveFilter>): void => {
  asked.value = { ...asked.peek(), ...part };
};

/** The last day, the first time the screen is opened. */
export function begin(): void {
  const now = store.now.peek();
  if (asked.peek().from === null && now > 0) change({ from: now - DAY_MS, to: now });
}

const query = () => (around.peek() === null ? filterQuery(asked.peek()) : { ...aroundQuery(around.peek() as AroundQuestion), kind: asked.peek().kind || undefined, feed: asked.peek().feed || undefined });
const path = (): string => (around.peek() === null ? searchPath : aroundPath);

export const exportLink = (format: Format): string => exportAddress(path(), { ...query(), limit: around.peek() === null ? 100_000 : 10_000 }, format);

export const words = (error: unknown): string => (error instanceof Problem && error.status === 503 ? t('inv.noArchive', { reason: error.detail }) : error instanceof Error ? error.message : String(error));

export async function ask(): Promise<void> {
  const mine = (turn += 1);
  busy.value = true;
  failure.value = null;
  chosen.value = null;
  try {
    const answer = await findEvents(path(), { ...query(), limit: around.peek() === null ? 200 : 1000 });
    if (mine !== turn) return;
    found.value = answer;
    const told = around.peek() === null ? await counts().catch(() => null) : null;
    if (mine === turn) amounts.value = told; // of a question that is no longer asked nothing is drawn
  } catch (error) {
    if (mine === turn) failure.value = words(error);
  } finally {
    if (mine === turn) busy.value = false;
  }
}

async function counts(): Promise<Answer<Amount> & { step: 'hour' | 'day' }> {
  const { from, to } = asked.peek();
  const long = from === null || to === null || to - from > 14 * DAY_MS;
  const step = long ? 'day' : 'hour';
  return { ...(await getSeries(step, '', asked.peek())), step };
}

/** A bar of the chart: its hour or day, until `widen`. */
export function narrow(from: number, to: number): void {
  const { from: first, to: last } = asked.peek();
  narrowed.value = [...narrowed.peek(), { from: first, to: last }];
  change({ from, to });
  void ask();
}

export function widen(): void {
  const back = narrowed.peek().at(-1);
  if (!back) return;
  narrowed.value = narrowed.peek().slice(0, -1);
  change(back);
  void ask();
}

export async function more(): Promise<void> {
  const before = found.peek();
  if (before === null || before.next === null || busy.peek()) return;
  const mine = (turn += 1);
  busy.value = true;
  try {
    const page = await findEvents(path(), { ...query(), limit: 200, cursor: before.next });
    if (mine === turn) found.value = { ...page, items: [...before.items, ...page.items] };
  } catch (error) {
    if (mine === turn) failure.value = words(error);
  } finally {
    if (mine === turn) busy.value = false;
  }
}

/** "Around this incident": from an alert to the screen, asked at once. */
export function aroundAlert(alert: Alert): void {
  around.value = { alert: alert.id, near: alert.position, at: alert.opened, within: '500 m', span: '30 min', title: alert.headline };
  location.hash = '#investigate';
  void ask();
}

/** The same for a place and a time that no alert stands for. */
export function aroundPlace(near: Position, at: number, title: string): void {
  around.value = { alert: null, near, at, within: '500 m', span: '30 min', title };
  location.hash = '#investigate';
  void ask();
}

export function leaveAround(): void {
  around.value = null;
  found.value = null;
}
