// Evidence and history of the chosen alert, asked for again whenever the alert has changed.
import { effect, signal } from '@preact/signals';
import { getAlert } from '../api/routes';
import { alertAsKnown } from '../model/picture';
import type { Alert } from '../model/types';
import { moment, selectedAlert } from './picture';
import { conductor } from './view';

export const detail = signal<Alert | null>(null);
export const detailFailure = signal<string | null>(null);

const SETTLE_MS = 120;
let whole: Alert | null = null;

const versionOf = (alert: Alert | null): string => (alert ? `${alert.id} ${alert.revision} ${alert.seq} ${alert.state} ${alert.updated} ${alert.owner}` : '');

export function startDetail(): () => void {
  let wanted = '';
  let timer: ReturnType<typeof setTimeout> | undefined;
  return effect(() => {
    const alert = selectedAlert.value;
    const version = versionOf(alert);
    show(alert);
    if (version === wanted) return;
    wanted = version;
    clearTimeout(timer);
    if (!alert) return;
    timer = setTimeout(() => void ask(alert.id, () => wanted === version), whole?.id === alert.id ? SETTLE_MS : 0);
  });
}

/** List view of the moment, completed with what is known of its evidence. */
function show(alert: Alert | null): void {
  if (alert === null || whole?.id !== alert.id) detail.value = alert;
  else {
    const full = { ...alert, evidence: whole.evidence, context: whole.context, children: whole.children, history: whole.history };
    detail.value = conductor.value.mode === 'fixed' ? alertAsKnown(full, moment.value) : full;
  }
}

async function ask(id: string, still: () => boolean): Promise<void> {
  try {
    const found = await getAlert(id);
    if (!still()) return;
    whole = found;
    detailFailure.value = null;
    show(selectedAlert.peek());
  } catch (error) {
    if (still()) detailFailure.value = error instanceof Error ? error.message : String(error);
  }
}
