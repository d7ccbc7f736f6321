// The order of the queue: by state, then severity, then the newest; and how a flood is folded so that it can be read.
import { families } from './family';
import type { Alert, AlertState, Rank } from './types';

/** Groups from top to bottom. A retracted alert stays until someone clears it: it was acted on, perhaps. */
export const GROUPS: readonly AlertState[] = ['open', 'acknowledged', 'in_progress', 'on_hold', 'retracted', 'resolved'];

/** Where an operator may move an alert (model/alert.py). */
export const TRANSITIONS: Readonly<Record<AlertState, readonly AlertState[]>> = {
  open: ['acknowledged', 'in_progress', 'resolved'],
  acknowledged: ['in_progress', 'on_hold', 'resolved', 'open'],
  in_progress: ['on_hold', 'resolved', 'acknowledged'],
  on_hold: ['in_progress', 'resolved'],
  resolved: ['open'],
  retracted: ['resolved'],
};

export const allowed = (from: AlertState, to: AlertState): boolean => TRANSITIONS[from].includes(to);

/** More unacknowledged alerts than this in FLOOD_SPAN and one rule's alerts become one row (ISA-18.2: ten in ten minutes). */
export const FLOOD_ALERTS = 10;
export const FLOOD_FOLD = 3;
const RESOLVED_SHOWN = 50;

/** `children`: what stands under this alert, rows of their own (with `under`: its id) while it is `open`. */
export interface AlertRow {
  type: 'alert';
  key: string;
  alert: Alert;
  children: readonly Alert[];
  open: boolean;
  under: string | null;
}

export type Row = AlertRow | { type: 'fold'; key: string; rule: string; title: string; rank: Rank; alerts: Alert[]; open: boolean };

export interface Group {
  state: AlertState;
  total: number;
  rows: Row[];
}

/** What is real stands before what is practised, whatever its severity. */
const byUrgency = (a: Alert, b: Alert): number => Number(a.run !== null) - Number(b.run !== null) || a.rank - b.rank || b.opened - a.opened || (a.id < b.id ? -1 : 1);
const byNewest = (a: Alert, b: Alert): number => b.updated - a.updated || (a.id < b.id ? -1 : 1);

/** `unfolded`: rules and parents the operator has opened. A group counts its rows; what stands under one is counted there. `showResolved`: resolved alerts are listed only when asked for. */
export function buildQueue(alerts: Iterable<Alert>, unfolded: ReadonlySet<string>, showResolved: boolean): Group[] {
  const all = [...alerts];
  const under = families(all);
  const children = new Set([...under.values()].flat());
  const byState = new Map<AlertState, Alert[]>(GROUPS.map((state) => [state, []]));
  for (const alert of all) if (!children.has(alert)) byState.get(alert.state)?.push(alert);
  const rows = (alert: Alert): Row[] => familyRows(alert, under.get(alert.id) ?? [], unfolded);
  return GROUPS.map((state) => group(state, byState.get(state) ?? [], rows, unfolded, showResolved)).filter((one) => one.total > 0);
}

function group(state: AlertState, members: Alert[], rows: (alert: Alert) => Row[], unfolded: ReadonlySet<string>, showResolved: boolean): Group {
  if (state === 'resolved') {
    const shown = showResolved ? members.sort(byNewest).slice(0, RESOLVED_SHOWN) : [];
    return { state, total: members.length, rows: shown.flatMap(rows) };
  }
  members.sort(byUrgency);
  return { state, total: members.length, rows: [false, true].flatMap((practised) => part(members.filter((alert) => (alert.run !== null) === practised), rows, state, unfolded)) };
}

/** What is practised neither folds what is real nor is folded with it. */
const part = (members: Alert[], rows: (alert: Alert) => Row[], state: AlertState, unfolded: ReadonlySet<string>): Row[] =>
  members.length > FLOOD_ALERTS ? folded(members, rows, state, unfolded) : members.flatMap(rows);

function familyRows(alert: Alert, children: readonly Alert[], unfolded: ReadonlySet<string>): Row[] {
  const open = children.length > 0 && unfolded.has(alert.id);
  const head: AlertRow = { type: 'alert', key: alert.id, alert, children, open, under: null };
  const below = open ? children.map((child): AlertRow => ({ type: 'alert', key: child.id, alert: child, children: [], open: false, under: alert.id })) : [];
  return [head, ...below];
}

/** Severity 1 is never folded: nobody may miss one behind a count. */
function folded(members: Alert[], rowsOf: (alert: Alert) => Row[], state: AlertState, unfolded: ReadonlySet<string>): Row[] {
  const perRule = new Map<string, Alert[]>();
  for (const alert of members) {
    if (alert.rank === 1) continue;
    const found = perRule.get(alert.rule);
    if (found) found.push(alert);
    else perRule.set(alert.rule, [alert]);
  }
  const rows: Row[] = [];
  const done = new Set<string>();
  for (const alert of members) {
    const same = alert.rank === 1 ? undefined : perRule.get(alert.rule);
    if (!same || same.length < FLOOD_FOLD) rows.push(...rowsOf(alert));
    else if (!done.has(alert.rule)) {
      done.add(alert.rule);
      const key = alert.run === null ? `${state}:${alert.rule}` : `${state}:${alert.run}:${alert.rule}`;
      const open = unfolded.has(key);
      rows.push({ type: 'fold', key, rule: alert.rule, title: alert.title, rank: alert.rank, alerts: same, open });
      if (open) rows.push(...same.flatMap(rowsOf));
    }
  }
  return rows;
}

/** Keeps a list still while a pointer is over it: known rows stay where they are, new ones wait. */
export function heldBack(groups: Group[], seen: ReadonlySet<string>): { groups: Group[]; waiting: number } {
  let waiting = 0;
  const kept = groups.map((one) => {
    const rows = one.rows.filter((row) => row.type === 'fold' || seen.has(row.key)).map((row) => (row.type === 'fold' ? row : onlySeen(row, seen)));
    waiting += one.rows.length - rows.length + newUnderClosed(rows, one.rows);
    return { ...one, rows };
  });
  return { groups: kept, waiting };
}

/** A row does not grow by a child nobody has seen yet. */
function onlySeen(row: AlertRow, seen: ReadonlySet<string>): AlertRow {
  const children = row.children.filter((child) => seen.has(child.id));
  return children.length === row.children.length ? row : { ...row, children };
}

/** New children of parents that are closed: those of open ones have rows of their own. */
function newUnderClosed(kept: readonly Row[], all: readonly Row[]): number {
  const before = new Map(all.map((row) => [row.key, row]));
  let found = 0;
  for (const row of kept) {
    const whole = before.get(row.key);
    if (row.type === 'alert' && whole?.type === 'alert' && !row.open) found += whole.children.length - row.children.length;
  }
  return found;
}

/** The key to select after moving `step` rows from `current`; stays at the ends. */
export function neighbour(keys: readonly string[], current: string | null, step: number): string | null {
  if (keys.length === 0) return null;
  const at = current === null ? -1 : keys.indexOf(current);
  if (at < 0) return (step > 0 ? keys[0] : keys[keys.length - 1]) ?? null;
  return keys[Math.min(keys.length - 1, Math.max(0, at + step))] ?? null;
}
