import { describe, expect, it } from 'vitest';
import { clock, dtg, fill, fromField, inCityDates, inCityTime, keptFor, kindName, measure, metres, moment, sentence, setUnits, setZone, span, t, toField, zoneOffset } from '../src/i18n';
import { nodeTime, isSilent } from '../src/model/clock';
import { glyphOf, kindGroup } from '../src/model/kinds';
import { decodeAlert, decodeEvent, decodeStatus } from '../src/api/decode';
import { T0 } from './make';

describe('words', () => {
  it('fills holes and chooses the plural', () => {
    expect(t('queue.count', { n: 1 })).toBe('1 unacknowledged');
    expect(t('strip.stale', { n: 1 })).toBe('1 feed needs a look');
    expect(t('strip.stale', { n: 1200 })).toBe('1,200 feeds need a look');
    expect(fill('{a} and {b}', { a: 'x' })).toBe('x and ');
  });

  it('says spans and distances as one does', () => {
    expect([0, 59_000, 60_000, 3_599_000, 3_600_000, 3_900_000, 40 * 3_600_000, 72 * 3_600_000].map(span)).toEqual(['0 s', '59 s', '1 min', '59 min', '1 h', '1 h 05', '40 h', '3 d']);
    expect([3, 994, 995, 1_234, 25_000].map(metres)).toEqual(['3 m', '994 m', '1 km', '1.2 km', '25 km']);
    expect(measure(55.21, 'ug/m3')).toBe('55.21 µg/m³');
    expect(measure(2.1, '{magnitude}')).toBe('2.1 magnitude');
  });

  it('says lengths, speeds and temperatures as the reader is used to', () => {
    setUnits('imperial');
    expect([3, 300, 500, 1_609.344, 25_000].map(metres)).toEqual(['10 ft', '984 ft', '0.3 mi', '1 mi', '16 mi']);
    expect([measure(100, 'Cel'), measure(10, 'm/s'), measure(254, 'mm'), measure(55.21, 'ug/m3'), measure(3, null)]).toEqual(['212 °F', '22.37 mph', '10 in', '55.21 µg/m³', '3']);
    setUnits('metric');
    expect([metres(300), measure(100, 'Cel')]).toEqual(['300 m', '100 °C']);
  });

  it('writes the date-time group in UTC, whatever the city’s time', () => {
    setZone('America/Los_Angeles');
    expect(dtg(T0)).toBe('050440Z JUL 17');
    expect(dtg(Date.parse('2026-12-31T23:59:59Z'))).toBe('312359Z DEC 26');
  });

  it('shows city time, with the day when it is another one', () => {
    setZone('America/Los_Angeles');
    expect(clock(T0)).toBe('21:40:00');
    expect(zoneOffset(T0)).toBe(-7 * 3_600_000);
    expect(moment(T0 - 86_400_000, T0)).toBe('Mon, Jul 3, 21:40');
    expect(inCityTime('fire at 2017-07-05T04:30:00.25Z, then more', T0)).toBe('fire at 21:30:00, then more');
    setZone('Asia/Kolkata');
    expect(zoneOffset(T0)).toBe(5.5 * 3_600_000);
    setZone('Nowhere/Nothing');
    expect(clock(T0)).toBe('04:40:00');
  });

  it('names kinds it knows and says the others plainly', () => {
    expect(kindGroup('call.fire.structure.attic')).toBe('call.fire');
    expect(kindGroup('quake')).toBe('quake');
    expect(kindName('call.fire')).toBe('Fire calls');
    expect(kindName('soil.slip_rate')).toBe('Soil slip rate');
    expect([glyphOf('call.fire.outdoor'), glyphOf('seismic.quake'), glyphOf('zzz')]).toEqual(['flame', 'quake', 'dot']);
  });
});

describe('clock', () => {
  it('runs on at the node’s speed but not for ever', () => {
    const reading = { now: T0, speed: 720, seenAt: 1000 };
    expect(nodeTime(reading, 2000)).toBe(T0 + 720_000);
    expect(nodeTime(reading, 60_000)).toBe(T0 + 5 * 720_000);
    expect(nodeTime(null, 5)).toBe(0);
    expect([isSilent(0, 5000), isSilent(0, 5001)]).toEqual([false, true]);
  });
});

describe('decoding', () => {
  it('comes up with whatever the node leaves out', () => {
    expect(decodeEvent({}).position).toBeNull();
    expect(decodeAlert({ rank: 99, lon: 1 })).toMatchObject({ rank: 4, state: 'open', position: null, count: 1, evidence: null });
    expect(decodeStatus({})).toMatchObject({ mode: 'live', exercise: null, city: { timezone: 'UTC' } });
  });

  it('reads microseconds', () => {
    expect(decodeEvent({ event_time: '2017-07-05T04:40:00.250123Z' }).eventTime).toBe(T0 + 250);
  });
});

describe('instants in input fields', () => {
  it('are city time both ways, also round the change of the clocks', () => {
    setZone('America/Los_Angeles');
    for (const text of ['2017-07-04T21:05', '2017-03-12T01:30', '2017-03-12T03:30', '2017-11-05T03:00']) expect(toField(fromField(text))).toBe(text);
    expect(fromField('2017-07-04T21:05')).toBe(Date.parse('2017-07-05T04:05:00Z'));
    expect([fromField(''), toField(null)]).toEqual([null, '']);
  });
});

describe('how long and how said', () => {
  it('writes days as years where they are whole years', () => {
    expect(keptFor('730 d')).toBe('2 years');
    expect(keptFor('365 d')).toBe('1 year');
    expect(keptFor('30 d')).toBe('30 days');
    expect(keptFor('1 d')).toBe('1 day');
    expect(keptFor('12 h')).toBe('12 h');
  });

  it('makes sentences of what the node says, in city time with the year', () => {
    expect(sentence('found a week or less')).toBe('Found a week or less.');
    expect(sentence('Done.')).toBe('Done.');
    setZone('America/Los_Angeles');
    expect(inCityDates('counted from 2017-07-02T18:15:00Z on')).toMatch(/^counted from Sun, Jul 2, 2017, 11:15 on$/);
    setZone('UTC');
  });
});
