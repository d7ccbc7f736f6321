import { describe, expect, it } from 'vitest';
import { ordinal } from '../src/i18n';
import { childrenOf, families, numberOverBudget } from '../src/model/family';
import { buildQueue, FLOOD_ALERTS, heldBack, type Row } from '../src/model/queue';
import { alert, T0 } from './make';

const NONE: ReadonlySet<string> = new Set();
const keys = (rows: Row[] | undefined): string[] => (rows ?? []).map((row) => row.key);
const told = (found: Map<string, { id: string }[]>): Record<string, string[]> =>
  Object.fromEntries([...found].map(([id, children]) => [id, children.map((child) => child.id)]));

describe('families', () => {
  it('puts children under an open parent, most urgent first', () => {
    const alerts = [alert('p'), alert('old', { parent: 'p', opened: T0 - 9 }), alert('new', { parent: 'p' }), alert('mild', { parent: 'p', rank: 4 })];
    expect(told(families(alerts))).toEqual({ p: ['new', 'old', 'mild'] });
  });

  it('hides nobody under a parent that is closed, absent or less urgent, and nobody who is closed', () => {
    const alerts = [
      alert('done', { state: 'resolved' }),
      alert('gone', { state: 'retracted' }),
      alert('mild', { rank: 3 }),
      alert('a', { parent: 'done' }),
      alert('b', { parent: 'gone' }),
      alert('c', { parent: 'nowhere' }),
      alert('d', { parent: 'mild', rank: 2 }),
      alert('e', { parent: 'mild', rank: 4, state: 'resolved' }),
      alert('f', { parent: 'mild', rank: 4, state: 'retracted' }),
    ];
    expect(told(families(alerts))).toEqual({});
  });

  it('shows a grandchild under whoever stands alone, and survives a ring', () => {
    const alerts = [
      alert('top'),
      alert('mid', { parent: 'top' }),
      alert('low', { parent: 'mid' }),
      alert('r1', { parent: 'r2' }),
      alert('r2', { parent: 'r1' }),
      alert('self', { parent: 'self' }),
    ];
    expect(told(families(alerts))).toEqual({ top: ['low', 'mid'] });
  });

  it('never loses anybody: every alert is a row or under one, whatever the parents', () => {
    let seed = 7;
    const random = (most: number): number => (seed = (seed * 1103515245 + 12345) % 2147483648) % most;
    for (let round = 0; round < 300; round += 1) {
      const states = ['open', 'acknowledged', 'in_progress', 'on_hold', 'resolved', 'retracted'] as const;
      const alerts = Array.from({ length: 1 + random(14) }, (_, i) =>
        alert(`a${i}`, { state: states[random(6)], rank: (1 + random(4)) as 1 | 2 | 3 | 4, parent: random(3) ? `a${random(14)}` : null, rule: `r${random(2)}` }),
      );
      const rows = buildQueue(alerts, NONE, true).flatMap((group) => group.rows);
      const seen = rows.flatMap((row) => (row.type === 'fold' ? [] : [row.key, ...row.children.map((child) => child.id)]));
      const folded = rows.flatMap((row) => (row.type === 'fold' ? row.alerts : [])).map((one) => one.id);
      const under = [...families(alerts)].flatMap(([head, children]) => (folded.includes(head) ? children.map((child) => child.id) : []));
      expect([...seen, ...folded, ...under].sort()).toEqual(alerts.map((one) => one.id).sort());
    }
  });

  it('lists what the node told and what has come since, closed ones last', () => {
    const now = [alert('a', { parent: 'p', state: 'resolved' }), alert('b', { parent: 'p', rank: 4 }), alert('left', { parent: null }), alert('p')];
    const before = [alert('a', { parent: 'p' }), alert('left', { parent: 'p' }), alert('far', { parent: 'p' })];
    expect(childrenOf('p', now, before).map((child) => `${child.id} ${child.state}`)).toEqual(['far open', 'b open', 'a resolved']);
  });
});

describe('families in the queue', () => {
  const alerts = [alert('p', { state: 'acknowledged' }), alert('c', { parent: 'p' }), alert('other')];

  it('keeps a child with its parent, whatever the states, and opens on demand', () => {
    const closed = buildQueue(alerts, NONE, false);
    expect(closed.map((group) => [group.state, group.total, keys(group.rows)])).toEqual([
      ['open', 1, ['other']],
      ['acknowledged', 1, ['p']],
    ]);
    expect(keys(buildQueue(alerts, new Set(['p']), false)[1]?.rows)).toEqual(['p', 'c']);
  });

  it('does not let a row grow by a child nobody has seen', () => {
    const seen = new Set(['p', 'other']);
    const { groups, waiting } = heldBack(buildQueue(alerts, NONE, false), seen);
    expect(waiting).toBe(1);
    expect(groups[1]?.rows).toMatchObject([{ key: 'p', children: [] }]);
    const opened = heldBack(buildQueue(alerts, new Set(['p']), false), seen);
    expect(opened.waiting).toBe(1);
    expect(keys(opened.groups[1]?.rows)).toEqual(['p']);
  });

  it('does not count children towards a flood', () => {
    const children = Array.from({ length: 3 * FLOOD_ALERTS }, (_, i) => alert(`c${i}`, { parent: 'p', rule: 'same' }));
    expect(keys(buildQueue([alert('p'), ...children], NONE, false)[0]?.rows)).toEqual(['p']);
  });
});

describe('budget', () => {
  it('says which of the allowed ones an alert is', () => {
    const budget = { alerts: 12, perMs: 43_200_000 };
    expect(numberOverBudget(alert('a', { budget }))).toBe(0);
    expect(numberOverBudget(alert('a', { budget, overBudget: 1 }))).toBe(13);
    expect([1, 2, 3, 4, 11, 12, 13, 21, 22, 103, 113].map(ordinal)).toEqual(['1st', '2nd', '3rd', '4th', '11th', '12th', '13th', '21st', '22nd', '103rd', '113th']);
  });
});
