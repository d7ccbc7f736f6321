// Small facts for the tests.
import { decodeAlert, decodeEvent } from '../src/api/decode';
import type { Alert, Event } from '../src/model/types';

export const T0 = Date.parse('2017-07-05T04:40:00Z');

export const event = (seq: number, more: Partial<Event> = {}): Event => ({
  ...decodeEvent({ seq, id: `e${seq}`, feed: 'calls', kind: 'call.fire.outdoor', lon: -122.3, lat: 47.6, action: 'report' }),
  eventTime: T0 - 1000,
  ingestTime: T0 - 500,
  ...more,
});

export const alert = (id: string, more: Partial<Alert> = {}): Alert => ({
  ...decodeAlert({ id, rule: 'r', rank: 2, state: 'open', headline: `headline ${id}`, lon: -122.3, lat: 47.6 }),
  opened: T0,
  updated: T0,
  ...more,
});
