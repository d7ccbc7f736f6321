// The picture as GeoJSON features.
import type { Seen } from '../live/picture';
import { circle } from '../model/geo';
import { glyphOf } from '../model/kinds';
import { onMap } from '../model/picture';
import type { Alert, Event } from '../model/types';
import { alertIcon, eventIcon } from './images';

type Feature = GeoJSON.Feature;

const point = (lon: number, lat: number): GeoJSON.Point => ({ type: 'Point', coordinates: [lon, lat] });

export function eventFeature({ event, fade }: Seen): Feature | null {
  if (!event.position) return null;
  const properties = { key: String(event.seq), fade, icon: eventIcon(glyphOf(event.kind), fade === 3, event.exercise) };
  return { type: 'Feature', geometry: point(event.position.lon, event.position.lat), properties };
}

export function areaFeature(event: Event): Feature | null {
  if (!event.area) return null;
  const name = typeof event.attrs.event === 'string' ? event.attrs.event : (event.text ?? '');
  return { type: 'Feature', geometry: event.area, properties: { key: String(event.seq), name } };
}

export function alertFeature(alert: Alert, chosen: string | null): Feature | null {
  if (!alert.position || !(onMap(alert) || alert.id === chosen)) return null;
  const isChosen = alert.id === chosen;
  const icon = alertIcon(alert.rank, alert.state !== 'open', isChosen, alert.run !== null);
  const order = (isChosen ? 10 : 0) + (alert.state === 'open' ? 5 : 0) + (4 - alert.rank);
  return { type: 'Feature', geometry: point(alert.position.lon, alert.position.lat), properties: { key: alert.id, icon, order, chosen: isChosen } };
}

/** The chosen alert's radius, its evidence with the numbers of the table, and a line from each to the alert. */
export function focusFeatures(alert: Alert | null): Feature[] {
  if (!alert?.position) return [];
  const features: Feature[] = [];
  const at: [number, number] = [alert.position.lon, alert.position.lat];
  if (alert.radiusM) {
    features.push({ type: 'Feature', geometry: { type: 'Polygon', coordinates: [circle(alert.position, alert.radiusM)] }, properties: { key: 'radius', what: 'radius' } });
  }
  for (const [to, numbers] of numbersByPlace(alert)) {
    const place = to.split(' ').map(Number) as [number, number];
    if (place[0] !== at[0] || place[1] !== at[1]) {
      features.push({ type: 'Feature', geometry: { type: 'LineString', coordinates: [at, place] }, properties: { key: `link ${to}`, what: 'link' } });
    }
    features.push({ type: 'Feature', geometry: point(...place), properties: { key: `evidence ${to}`, what: 'evidence', number: short(numbers) } });
  }
  return features;
}

/** Reports from one spot share one ring. */
function numbersByPlace(alert: Alert): Map<string, number[]> {
  const places = new Map<string, number[]>();
  alert.evidence?.forEach((one, i) => {
    if (!one.position) return;
    const key = `${one.position.lon} ${one.position.lat}`;
    places.set(key, [...(places.get(key) ?? []), i + 1]);
  });
  return places;
}

const short = (numbers: number[]): string => (numbers.length > 3 ? `${numbers.slice(0, 2).join(',')}…` : numbers.join(','));

export interface Diff {
  add: Feature[];
  remove: string[];
}

/** What changed since the last drawing; `drawn` is brought up to date. Only the fade of an event ever changes. */
export function eventDiff(seen: readonly Seen[], drawn: Map<string, number>): Diff {
  const add: Feature[] = [];
  const gone = new Set(drawn.keys());
  for (const one of seen) {
    const key = String(one.event.seq);
    gone.delete(key);
    if (drawn.get(key) === one.fade) continue;
    const feature = eventFeature(one);
    if (!feature) continue;
    drawn.set(key, one.fade);
    add.push(feature);
  }
  for (const key of gone) drawn.delete(key);
  return { add, remove: [...gone] };
}

export const collection = (features: (Feature | null)[]): GeoJSON.FeatureCollection => ({
  type: 'FeatureCollection',
  features: features.filter((feature) => feature !== null),
});
