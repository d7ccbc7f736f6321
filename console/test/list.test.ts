import { describe, expect, it } from 'vitest';
import { facilities, nearestFirst, overlaps } from '../src/model/facilities';
import { pageOf } from '../src/model/pages';
import type { MapLayer } from '../src/model/types';

const layer: MapLayer = { name: 'stations', title: 'Stations', kind: 'points', licence: '', nameField: 'label' };
const at = (lon: number, lat: number, label?: string): GeoJSON.Feature => ({ type: 'Feature', geometry: { type: 'Point', coordinates: [lon, lat] }, properties: label ? { label } : null });
const collection = (...features: GeoJSON.Feature[]): GeoJSON.FeatureCollection => ({ type: 'FeatureCollection', features });

describe('things of a layer', () => {
  const outline: GeoJSON.Feature = {
    type: 'Feature',
    geometry: { type: 'MultiPolygon', coordinates: [[[[1, 1], [2, 1], [2, 3], [1, 1]]], [[[5, 5], [6, 5], [6, 7], [5, 5]]]] },
    properties: { label: 12 },
  };

  it('are named by the field the layer names, and know how far they reach', () => {
    const found = facilities(layer, collection(at(1, 2, 'Station 10'), at(3, 4), outline));
    expect(found.map((one) => [one.name, one.box])).toEqual([
      ['Station 10', [1, 2, 1, 2]],
      ['', [3, 4, 3, 4]],
      ['12', [1, 1, 6, 7]],
    ]);
  });

  it('are left out where they have no place', () => {
    expect(facilities(layer, collection({ type: 'Feature', geometry: null as never, properties: {} }))).toEqual([]);
    expect(facilities(layer, collection({ type: 'Feature', geometry: { type: 'GeometryCollection', geometries: [at(1, 2).geometry] }, properties: {} }))).toHaveLength(1);
  });

  it('stand nearest first, and by name where nothing is chosen', () => {
    const found = facilities(layer, collection(at(0, 3, 'b'), at(0, 1, 'c'), at(0, 2, 'a')));
    expect(nearestFirst(found, { lon: 0, lat: 0 }).map((one) => one.facility.name)).toEqual(['c', 'a', 'b']);
    expect(nearestFirst(found, null).map((one) => [one.facility.name, one.away])).toEqual([['a', null], ['b', null], ['c', null]]);
  });

  it('are in view when any part of them is', () => {
    expect(overlaps([0, 0, 2, 2], [1, 1, 3, 3])).toBe(true);
    expect(overlaps([0, 0, 2, 2], [3, 0, 4, 2])).toBe(false);
  });
});

describe('pages', () => {
  const items = Array.from({ length: 712 }, (_, i) => i);

  it('hold every row once', () => {
    const { pages } = pageOf(items, 0);
    expect(Array.from({ length: pages }, (_, i) => pageOf(items, i).shown).flat()).toEqual(items);
  });

  it('end where the list ends, also when it became shorter', () => {
    expect(pageOf(items, 3)).toMatchObject({ page: 3, pages: 4, from: 600 });
    expect(pageOf(items.slice(0, 10), 3)).toMatchObject({ page: 0, pages: 1, from: 0 });
    expect(pageOf([], 0)).toMatchObject({ page: 0, pages: 1, shown: [] });
  });
});
