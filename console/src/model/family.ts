// Parent and child: which alert is shown under which, and what stands alone. Folding changes where an alert is shown, never whether.
import type { Alert, AlertState, Child } from './types';

const needsSomebody = (state: AlertState): boolean => state !== 'resolved' && state !== 'retracted';

const byUrgency = (a: Child, b: Child): number => a.rank - b.rank || b.opened - a.opened || (a.id < b.id ? -1 : 1);

/** Children by the alert that they stand under in the queue; whoever is in none of the lists stands alone. */
export function families(alerts: readonly Alert[]): Map<string, Alert[]> {
  const known = new Map(alerts.map((alert) => [alert.id, alert]));
  const found = new Map<string, Alert[]>();
  for (const alert of alerts) {
    const head = headOf(alert, known);
    if (!head) continue;
    const same = found.get(head.id);
    if (same) same.push(alert);
    else found.set(head.id, [alert]);
  }
  for (const children of found.values()) children.sort(byUrgency);
  return found;
}

/**
 * The alert at the top of the row of parents; null for one that stands alone: its parent is closed or not on the screen, it is closed itself,
 * or it is more urgent than what it would be hidden under.
 */
function headOf(alert: Alert, known: ReadonlyMap<string, Alert>): Alert | null {
  let head: Alert | null = null;
  const passed = new Set([alert.id]);
  for (let one = parentIn(alert, known); one; one = parentIn(one, known)) {
    if (passed.has(one.id)) return null; // a ring: nobody is hidden in it
    passed.add(one.id);
    head = one;
  }
  return head;
}

function parentIn(alert: Alert, known: ReadonlyMap<string, Alert>): Alert | null {
  const parent = alert.parent === null ? undefined : known.get(alert.parent);
  return parent && standsUnder(alert, parent) ? parent : null;
}

/** Whether `alert` may be hidden under this parent of its. */
export const standsUnder = (alert: Alert, parent: Alert): boolean => needsSomebody(alert.state) && needsSomebody(parent.state) && alert.rank >= parent.rank;

/** Everything shown under `id`, closed or not: what is on the screen now is newer than what the single view `told`. */
export function childrenOf(id: string, alerts: readonly Alert[], told: readonly Child[]): Child[] {
  const known = new Set(alerts.map((alert) => alert.id));
  const found: Child[] = [...alerts.filter((alert) => alert.parent === id), ...told.filter((child) => !known.has(child.id))];
  return found.sort((a, b) => Number(needsSomebody(b.state)) - Number(needsSomebody(a.state)) || byUrgency(a, b));
}

/** Which of the alerts that a rule may raise in its span this one is; 0 within the budget. */
export const numberOverBudget = (alert: Alert): number => (alert.overBudget > 0 ? alert.overBudget + (alert.budget?.alerts ?? 0) : 0);
