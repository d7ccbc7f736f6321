// The small picture of where things are: alerts and what the map shows of them, in one box of pixels (Web Mercator).
import { overlaps, type Box } from './facilities';
import type { Point } from './geo';
import type { Position } from './types';

export interface Overview {
  /** Everything there is, in degrees. */
  all: Box;
  view: { x: number; y: number; width: number; height: number };
  at: (place: Position) => Point;
}

/** Null while everything is within `view`: then the map itself says it. */
export function overview(view: Box, places: readonly Position[], width: number, height: number, edge = 10): Overview | null {
  if (places.every(({ lon, lat }) => overlaps(view, [lon, lat, lon, lat]))) return null;
  const lons = [view[0], view[2], ...places.map((place) => place.lon)];
  const lats = [view[1], view[3], ...places.map((place) => place.lat)];
  const all: Box = [Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)];
  const [left, top, right, bottom] = [all[0], northing(all[3]), all[2], northing(all[1])];
  const scale = Math.min((width - 2 * edge) / (right - left || 1e-9), (height - 2 * edge) / (bottom - top || 1e-9));
  const x = (lon: number): number => width / 2 + (lon - (left + right) / 2) * scale;
  const y = (lat: number): number => height / 2 + (northing(lat) - (top + bottom) / 2) * scale;
  return {
    all,
    view: { x: x(view[0]), y: y(view[3]), width: x(view[2]) - x(view[0]), height: y(view[1]) - y(view[3]) },
    at: ({ lon, lat }) => ({ x: x(lon), y: y(lat) }),
  };
}

/** Southward, in the degrees of the equator; what lies beyond the map's ends is at them. */
function northing(lat: number): number {
  const clamped = Math.min(85, Math.max(-85, lat));
  return (-Math.log(Math.tan(Math.PI / 4 + (clamped * Math.PI) / 360)) * 180) / Math.PI;
}
