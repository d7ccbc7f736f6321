// Steps an operator takes on an alert: who, what, note; undo where the way back exists; a conflict is explained, never overwritten.
import { signal } from '@preact/signals';
import { Problem } from '../api/http';
import { getAlert, postTransition } from '../api/routes';
import { t, word } from '../i18n';
import { allowed } from '../model/queue';
import type { Alert, AlertState } from '../model/types';
import * as store from './store';
import { conductor, duty, isLive } from './view';

export interface Notice {
  kind: 'done' | 'refused';
  text: string;
  undo: { id: string; to: AlertState } | null;
}

export const notice = signal<Notice | null>(null);
export const note = signal('');
export const owner = signal<string | null>(null);
export const busy = signal(false);
/** A step that waits for the operator to say who is on duty. */
export const waiting = signal<{ alert: Alert; to: AlertState } | 'ask' | null>(null);

const DONE_SHOWN_MS = 12_000;
let clearing: ReturnType<typeof setTimeout> | undefined;

export const stateName = (state: string): string => word('state', state);

export function say(next: Notice | null): void {
  clearTimeout(clearing);
  notice.value = next;
  if (next?.kind === 'done') clearing = setTimeout(() => (notice.value = null), DONE_SHOWN_MS);
}

/** Moves `alert` to `to`. Asks for the duty name first when there is none. */
export async function step(alert: Alert, to: AlertState): Promise<void> {
  if (!isLive.value) return say({ kind: 'refused', text: t(conductor.value.mode === 'replay' ? 'replay.noSteps' : 'detail.past'), undo: null });
  if (!allowed(alert.state, to)) {
    return say({ kind: 'refused', text: t('act.notAllowed', { state: stateName(alert.state), to: stateName(to) }), undo: null });
  }
  if (duty.value.trim() === '') {
    waiting.value = { alert, to };
    return;
  }
  if (busy.value) return;
  busy.value = true;
  try {
    await send(alert, to);
  } finally {
    busy.value = false;
  }
}

async function send(alert: Alert, to: AlertState): Promise<void> {
  const by = duty.value.trim();
  const takes = to === 'acknowledged' || to === 'in_progress';
  const named = owner.value?.trim() || alert.owner || (takes ? by : undefined);
  try {
    const changed = await postTransition(alert.id, {
      to,
      by,
      ...(note.value.trim() ? { note: note.value.trim() } : {}),
      ...(named ? { owner: named } : {}),
      revision: alert.revision,
    });
    store.takeAlertNow(changed);
    note.value = '';
    owner.value = null;
    const undo = allowed(to, alert.state) ? { id: alert.id, to: alert.state } : null;
    say({ kind: 'done', text: t('act.done', { state: stateName(to), headline: alert.headline }), undo });
  } catch (error) {
    await refused(alert, error);
  }
}

async function refused(alert: Alert, error: unknown): Promise<void> {
  if (!(error instanceof Problem) || error.status !== 409) {
    return say({ kind: 'refused', text: t('act.failed', { reason: error instanceof Error ? error.message : String(error) }), undo: null });
  }
  const current = await getAlert(alert.id).catch(() => null);
  if (current) store.takeAlertNow(current);
  const held = current?.owner ? t('act.conflictOwner', { owner: current.owner }) : '';
  const text = t('act.conflict', { state: stateName(current?.state ?? alert.state), owner: held, detail: error.detail });
  say({ kind: 'refused', text, undo: null });
}

export async function undo(): Promise<void> {
  const back = notice.value?.undo;
  if (!back) return;
  const alert = store.alerts.get(back.id);
  if (!alert) return;
  say(null);
  await step(alert, back.to);
}

/** The duty dialog closed with a name: the step that waited goes on. */
export function dutyGiven(name: string): void {
  duty.value = name.trim();
  const pending = waiting.value;
  waiting.value = null;
  if (pending && pending !== 'ask' && duty.value) void step(pending.alert, pending.to);
}
