// Geometry of the screen: circles in metres, and arrows at the edge for what lies outside of it.
import type { Position } from './types';

const RADIUS_M = 6_371_008.8;
const radians = (degrees: number): number => (degrees * Math.PI) / 180;

/** Great-circle distance on the mean sphere, metres. */
export function distance(a: Position, b: Position): number {
  const half = (x: number): number => Math.sin(x / 2) ** 2;
  const h = half(radians(b.lat - a.lat)) + Math.cos(radians(a.lat)) * Math.cos(radians(b.lat)) * half(radians(b.lon - a.lon));
  return 2 * RADIUS_M * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** Metres a pixel at zoom 0 on the equator, with tiles of 512 pixels (Web Mercator). */
const METRES_A_PIXEL = 78_271.517;

/** The zoom at which a circle of `radius` metres fills most of a pane of `pixels`, between a district and a few blocks. */
export function zoomFor(radius: number | null, lat: number, pixels: number): number {
  if (!radius) return 14;
  return Math.min(14.5, Math.max(9, Math.log2((METRES_A_PIXEL * Math.cos(radians(lat)) * pixels) / (2.6 * radius))));
}

/** A city's own zoom is for a pane of a thousand pixels; in a smaller one the map begins farther out, so that the same area is seen. */
export const CITY_PANE = 1000;
export const cityZoom = (zoom: number, width: number, height: number): number => Math.max(1, zoom + Math.log2(Math.min(1, Math.max(1, Math.min(width, height)) / CITY_PANE)));

/** A closed ring of points `radius` metres around `centre`, as GeoJSON coordinates. */
export function circle(centre: Position, radius: number, corners = 64): [number, number][] {
  const angular = radius / RADIUS_M;
  const lat = radians(centre.lat);
  const ring: [number, number][] = [];
  for (let i = 0; i <= corners; i += 1) {
    const bearing = (2 * Math.PI * (i % corners)) / corners;
    const at = Math.asin(Math.sin(lat) * Math.cos(angular) + Math.cos(lat) * Math.sin(angular) * Math.cos(bearing));
    const lon = Math.atan2(Math.sin(bearing) * Math.sin(angular) * Math.cos(lat), Math.cos(angular) - Math.sin(lat) * Math.sin(at));
    ring.push([centre.lon + (lon * 180) / Math.PI, (at * 180) / Math.PI]);
  }
  return ring;
}

export interface Point {
  x: number;
  y: number;
}

export interface Arrow<T> {
  x: number;
  y: number;
  /** Radians, 0 to the right, clockwise. */
  angle: number;
  members: T[];
}

/** Where on the inset border of a `width` x `height` pane the ray from its centre to `target` leaves it; null when inside. */
export function edgePoint(target: Point, width: number, height: number, inset: number): { x: number; y: number; angle: number } | null {
  if (target.x >= 0 && target.x <= width && target.y >= 0 && target.y <= height) return null;
  const dx = target.x - width / 2;
  const dy = target.y - height / 2;
  const scale = Math.min((width / 2 - inset) / Math.abs(dx || 1e-9), (height / 2 - inset) / Math.abs(dy || 1e-9));
  return { x: width / 2 + dx * scale, y: height / 2 + dy * scale, angle: Math.atan2(dy, dx) };
}

/** Corners of the pane that are taken: buttons top left, overview and scale bottom left, legend bottom right. Arrows slide past them. */
const TAKEN = { buttons: 190, scale: 170, overview: 160, legend: 150 };

function clear(edge: { x: number; y: number; angle: number }, width: number, height: number, inset: number): { x: number; y: number; angle: number } {
  const bottom = edge.y > height - 2 * inset;
  if (bottom && width > TAKEN.scale + TAKEN.legend) return { ...edge, x: Math.min(width - TAKEN.legend, Math.max(TAKEN.scale, edge.x)) };
  if (edge.x < 3 * inset && edge.y > height - TAKEN.overview && height > TAKEN.overview + TAKEN.buttons) return { ...edge, y: height - TAKEN.overview };
  if (edge.x < 3 * inset && edge.y < TAKEN.buttons) return edge.y < 2 * inset ? { ...edge, x: 4 * inset } : { ...edge, y: TAKEN.buttons };
  return edge;
}

/** One arrow for everything that would sit on the same spot of the border; members keep their order. */
export function edgeArrows<T>(targets: { at: Point; what: T }[], width: number, height: number, inset = 22, apart = 44): Arrow<T>[] {
  const arrows: Arrow<T>[] = [];
  for (const { at, what } of targets) {
    const found = edgePoint(at, width, height, inset);
    if (!found) continue;
    const edge = clear(found, width, height, inset);
    const near = arrows.find((arrow) => Math.hypot(arrow.x - edge.x, arrow.y - edge.y) < apart);
    if (near) near.members.push(what);
    else arrows.push({ ...edge, members: [what] });
  }
  return arrows;
}
