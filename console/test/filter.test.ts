import { describe, expect, it } from 'vitest';
import { countHidden, isFiltering, NO_FILTER, parseFilter, passesAlert, passesEvent, toggled } from '../src/model/filter';
import { alert, event } from './make';

describe('filter', () => {
  it('hides what was chosen to be hidden and shows kinds nobody has seen before', () => {
    const filter = { ...NO_FILTER, hiddenKinds: ['call.fire'] };
    expect(passesEvent(filter, event(1))).toBe(false);
    expect(passesEvent(filter, event(2, { kind: 'call.firework' }))).toBe(true);
    expect(passesEvent(filter, event(3, { kind: 'new.thing' }))).toBe(true);
  });

  it('asks for every word, anywhere', () => {
    const filter = { ...NO_FILTER, text: ' pike  MEDIC ' };
    expect(passesEvent(filter, event(1, { text: 'Medic Response', source: '3rd Av / Pike St' }))).toBe(true);
    expect(passesEvent(filter, event(1, { text: 'Medic Response', source: '3rd Av' }))).toBe(false);
    expect(passesAlert(filter, alert('a', { headline: 'Medic', place: 'near Pike' }))).toBe(true);
    expect(passesEvent({ ...NO_FILTER, text: 'flood watch' }, event(1, { attrs: { event: 'Flood Watch' } }))).toBe(true);
  });

  it('counts what it hides, unacknowledged alerts by name, resolved ones not at all', () => {
    const filter = { ...NO_FILTER, hiddenRanks: [2 as const], hiddenKinds: ['call.fire'] };
    const alerts = [alert('a'), alert('b', { state: 'on_hold' }), alert('c', { state: 'resolved' }), alert('d', { rank: 1 })];
    expect(countHidden(filter, alerts, [event(1), event(2, { kind: 'air.pm25' })])).toEqual({ alerts: 2, events: 1, unacknowledged: 1 });
    expect(countHidden(NO_FILTER, alerts, [event(1)])).toEqual({ alerts: 0, events: 0, unacknowledged: 0 });
  });

  it('survives anything that is in the storage', () => {
    for (const text of [null, '', '{', '7', 'null', '{"hiddenKinds":3,"hiddenRanks":[9,"x"],"text":{}}']) expect(isFiltering(parseFilter(text))).toBe(false);
    const kept = { hiddenKinds: ['a.b'], hiddenRanks: [4 as const], text: 'x' };
    expect(parseFilter(JSON.stringify(kept))).toEqual(kept);
  });

  it('toggles in a stable order', () => {
    expect(toggled(toggled(['b'], 'a'), 'c')).toEqual(['a', 'b', 'c']);
    expect(toggled([1, 2, 3], 2)).toEqual([1, 3]);
  });
});
