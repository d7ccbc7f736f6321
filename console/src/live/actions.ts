// Steps an operator takes on an alert: who, what, note; undo where the way back exists; a conflict is explained, never overwritten.
import { signal } from '@preact/signals';
import { Problem } from '../api/http';
import { getAlert, postTransition, type Transition } from '../api/routes';
import { t, word } from '../i18n';
import { allowed } from '../model/queue';
import type { Alert, AlertState } from '../model/types';
import * as store from './store';
import { conductor, duty, isLive } from './view';

interface Back {
  id: string;
  to: AlertState;
}

export interface Notice {
  /** A hint goes by itself, as what was done; a refusal stays until it is read. */
  kind: 'done' | 'hint' | 'waiting' | 'refused';
  text: string;
  undo: Back | null;
}

export const notice = signal<Notice | null>(null);
/** What was typed beside an alert and not sent yet. It belongs to that alert and goes along with none of the others. */
export interface Draft {
  note: string;
  /** Null: as the alert says. */
  owner: string | null;
}
const EMPTY: Draft = { note: '', owner: null };
const drafts = signal<ReadonlyMap<string, Draft>>(new Map());
export const draftOf = (id: string): Draft => drafts.value.get(id) ?? EMPTY;
export function draft(id: string, change: Partial<Draft>): void {
  drafts.value = new Map(drafts.value).set(id, { ...draftOf(id), ...change });
}

/** Alerts with a step on its way; a slow answer about one holds up no other. */
export const busy = signal<ReadonlySet<string>>(new Set());
/** A step that waits for the operator to say who is on duty. */
export const waiting = signal<{ alert: Alert; to: AlertState } | 'ask' | null>(null);

const DONE_SHOWN_MS = 12_000;
const SLOW_MS = 2_000;
const UNDO_MS = 120_000;
let clearing: ReturnType<typeof setTimeout> | undefined;
/** The last step that has a way back; it can be taken back when its message has gone, too. */
let last: { back: Back; from: AlertState; at: number } | null = null;

export const stateName = (state: string): string => word('state', state);
const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const refuse = (text: string): void => say({ kind: 'refused', text, undo: null });
const hint = (text: string): void => say({ kind: 'hint', text, undo: null });

export function say(next: Notice | null): void {
  clearTimeout(clearing);
  notice.value = next;
  if (next?.kind === 'done' || next?.kind === 'hint') clearing = setTimeout(() => (notice.value = null), DONE_SHOWN_MS);
}

/** Moves `alert` to `to`. Asks for the duty name first when there is none. */
export async function step(alert: Alert, to: AlertState): Promise<void> {
  if (!isLive.value) return hint(t(conductor.value.mode === 'replay' ? 'replay.noSteps' : 'detail.past'));
  if (!allowed(alert.state, to)) return hint(t('act.notAllowed', { state: stateName(alert.state), to: stateName(to) }));
  if (duty.value.trim() === '') {
    waiting.value = { alert, to };
    return;
  }
  if (busy.value.has(alert.id)) return;
  busy.value = new Set(busy.value).add(alert.id);
  const slow = setTimeout(() => say({ kind: 'waiting', text: t('act.waiting', { state: stateName(to), headline: alert.headline }), undo: null }), SLOW_MS);
  try {
    await send(alert, to);
  } finally {
    clearTimeout(slow);
    busy.value = new Set([...busy.value].filter((id) => id !== alert.id));
  }
}

async function send(alert: Alert, to: AlertState): Promise<void> {
  const by = duty.value.trim();
  const typed = draftOf(alert.id);
  const takes = to === 'acknowledged' || to === 'in_progress';
  const kept = to === 'open' ? undefined : (alert.owner ?? (takes ? by : undefined)); // who reopens an alert gives it back
  const named = typed.owner?.trim() || kept;
  const note = typed.note.trim();
  try {
    const changed = await posted(alert, { to, by, ...(note ? { note } : {}), ...(named ? { owner: named } : {}) });
    store.takeAlertNow(changed);
    drafts.value = new Map([...drafts.value].filter(([id]) => id !== alert.id));
    const back = allowed(to, alert.state) ? { id: alert.id, to: alert.state } : null;
    last = back && { back, from: to, at: performance.now() };
    say({ kind: 'done', text: t('act.done', { state: stateName(to), headline: alert.headline }), undo: back });
  } catch (error) {
    await refused(alert, to, error);
  }
}

/** An alert that has only grown since it was drawn is taken on all the same; it is never resolved unseen. */
async function posted(alert: Alert, body: Omit<Transition, 'revision'>): Promise<Alert> {
  try {
    return await postTransition(alert.id, { ...body, revision: alert.revision });
  } catch (error) {
    if (body.to === 'resolved' || !(error instanceof Problem) || error.status !== 409) throw error;
    const current = await getAlert(alert.id);
    if (current.state !== alert.state || current.revision === alert.revision) throw error;
    return postTransition(alert.id, { ...body, revision: current.revision });
  }
}

async function refused(alert: Alert, to: AlertState, error: unknown): Promise<void> {
  if (!(error instanceof Problem) || error.status >= 500) return refuse(t('act.unsure', { reason: reasonOf(error) }));
  if (error.status !== 409) return refuse(t('act.failed', { reason: reasonOf(error) }));
  const current = await getAlert(alert.id).catch(() => null);
  if (current) store.takeAlertNow(current);
  if (current?.state === alert.state && current.revision !== alert.revision) return refuse(t('act.grown', { headline: current.headline }));
  if (current?.state === to && current.state !== alert.state) return refuse(t('act.already', { state: stateName(to), owner: current.owner ?? t('detail.nobody') }));
  const held = current?.owner ? t('act.conflictOwner', { owner: current.owner }) : '';
  refuse(t('act.conflict', { state: stateName(current?.state ?? alert.state), owner: held, detail: error.detail }));
}

/** Takes the last step back, unless somebody has taken another one since. */
export async function undo(): Promise<void> {
  const done = last && performance.now() - last.at < UNDO_MS ? last : null;
  const alert = done && store.alerts.get(done.back.id);
  if (!done || alert?.state !== done.from) return hint(t('act.noUndo'));
  last = null;
  say(null);
  await step(alert, done.back.to);
}

/** The duty dialog closed with a name: the step that waited goes on. */
export function dutyGiven(name: string): void {
  duty.value = name.trim();
  const pending = waiting.value;
  waiting.value = null;
  if (pending && pending !== 'ask' && duty.value) void step(pending.alert, pending.to);
}
