// What a layer of the map holds, one thing a row: the list says of a station what its symbol says to the eye.
import { distance } from './geo';
import type { MapLayer, Position } from './types';

export type Box = [west: number, south: number, east: number, north: number];

export interface Facility {
  key: string;
  name: string;
  layer: MapLayer;
  box: Box;
}

export const middleOf = ([west, south, east, north]: Box): Position => ({ lon: (west + east) / 2, lat: (south + north) / 2 });

export const overlaps = (a: Box, b: Box): boolean => a[0] <= b[2] && a[2] >= b[0] && a[1] <= b[3] && a[3] >= b[1];

/** A feature without a place is not on the map either. */
export function facilities(layer: MapLayer, data: GeoJSON.FeatureCollection): Facility[] {
  return data.features.flatMap((feature, i) => {
    const box = boxOf(feature.geometry);
    const name: unknown = feature.properties?.[layer.nameField];
    return box ? [{ key: `${layer.name} ${i}`, name: name === undefined || name === null ? '' : String(name), layer, box }] : [];
  });
}

/** Nearest first where there is a place to measure from, by name where there is none. */
export function nearestFirst(found: readonly Facility[], from: Position | null): { facility: Facility; away: number | null }[] {
  const measured = found.map((facility) => ({ facility, away: from && distance(from, middleOf(facility.box)) }));
  return measured.sort((a, b) => (a.away ?? 0) - (b.away ?? 0) || (a.facility.name < b.facility.name ? -1 : 1));
}

function boxOf(geometry: GeoJSON.Geometry | null): Box | null {
  const box: Box = [Infinity, Infinity, -Infinity, -Infinity];
  const take = (found: unknown): void => {
    if (!Array.isArray(found)) return;
    const [lon, lat] = found as unknown[];
    if (typeof lon !== 'number' || typeof lat !== 'number') return found.forEach(take);
    box[0] = Math.min(box[0], lon);
    box[1] = Math.min(box[1], lat);
    box[2] = Math.max(box[2], lon);
    box[3] = Math.max(box[3], lat);
  };
  if (geometry?.type === 'GeometryCollection') geometry.geometries.forEach((one) => 'coordinates' in one && take(one.coordinates));
  else if (geometry) take(geometry.coordinates);
  return box[0] <= box[2] ? box : null;
}
