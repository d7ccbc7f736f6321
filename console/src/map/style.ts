// The map's style: a grey ground from whatever tile files the city has, and our own layers over it. No glyphs are named, so all
// text is drawn in the browser with the page's font.
import type { LayerSpecification, SourceSpecification, StyleSpecification } from 'maplibre-gl';
import type { Palette } from '../live/theme';
import type { MapLayer } from '../model/types';

export interface TileFile {
  name: string;
  url: string;
  minZoom: number;
}

export const LIVE_SOURCES = ['areas', 'events', 'focus', 'alerts'] as const;
export type LiveSource = (typeof LIVE_SOURCES)[number];

/** What all maps have in common: north is up, and nothing fades. */
export const FLAT = {
  minZoom: 1,
  maxZoom: 18,
  fadeDuration: 0,
  attributionControl: false,
  dragRotate: false,
  pitchWithRotate: false,
  touchPitch: false,
} as const;

export const FONT = ['Inter Variable'];
const EMPTY: GeoJSON.FeatureCollection = { type: 'FeatureCollection', features: [] };

export function buildStyle(tiles: TileFile[], palette: Palette): StyleSpecification {
  const sources: Record<string, SourceSpecification> = {};
  for (const file of tiles) sources[file.name] = { type: 'vector', url: `pmtiles://${file.url}` };
  for (const name of LIVE_SOURCES) sources[name] = { type: 'geojson', data: EMPTY, promoteId: 'key', maxzoom: name === 'events' ? 14 : 18 };
  return { version: 8, sources, layers: [...ground(tiles, palette), ...overlays(palette)] };
}

/** Files with higher first zooms are drawn over those with lower ones: the city over the world. */
export function ground(tiles: TileFile[], palette: Palette): LayerSpecification[] {
  const order = [...tiles].sort((a, b) => a.minZoom - b.minZoom);
  const fills: LayerSpecification[] = order.flatMap((file) => [
    fill(file, 'frame', palette('map-water')),
    fill(file, 'land', palette('map-land')),
    fill(file, 'city', palette('map-city')),
  ]);
  const background: LayerSpecification = { id: 'water', type: 'background', paint: { 'background-color': palette('map-water') } };
  return [background, ...fills, ...order.flatMap((file) => lines(file, palette)), ...order.flatMap((file) => labels(file, palette))];
}

const fill = (file: TileFile, layer: string, colour: string): LayerSpecification => ({
  id: `${file.name}:${layer}`,
  type: 'fill',
  source: file.name,
  'source-layer': layer,
  paint: { 'fill-color': colour, 'fill-antialias': false },
});

function lines(file: TileFile, palette: Palette): LayerSpecification[] {
  const from = { source: file.name, 'source-layer': 'streets' };
  return [
    {
      id: `${file.name}:borders`,
      type: 'line',
      source: file.name,
      'source-layer': 'borders',
      paint: { 'line-color': palette('map-border'), 'line-width': ['match', ['get', 'class'], 'country', 1.2, 0.7] },
    },
    {
      id: `${file.name}:minor`,
      type: 'line',
      ...from,
      minzoom: 11,
      filter: ['==', ['get', 'class'], 'minor'],
      paint: {
        'line-color': palette('map-street'),
        'line-width': ['interpolate', ['exponential', 1.5], ['zoom'], 11, 0.4, 14, 1.6, 18, 6],
      },
    },
    {
      id: `${file.name}:major`,
      type: 'line',
      ...from,
      filter: ['==', ['get', 'class'], 'major'],
      paint: {
        'line-color': palette('map-street-major'),
        'line-width': ['interpolate', ['exponential', 1.5], ['zoom'], 8, 0.3, 11, 0.8, 14, 2.2, 18, 8],
      },
    },
  ];
}

/** Rank of a place -> the zooms at which its name is written. */
const RANK_ZOOMS: [id: string, ranks: number[], min: number, max: number, size: number][] = [
  ['country', [1, 2, 3], 0, 6, 12],
  ['state', [4], 4, 10.4, 11],
  ['district', [5], 10, 24, 12],
  ['quarter', [6], 11.2, 24, 11],
];

function labels(file: TileFile, palette: Palette): LayerSpecification[] {
  return RANK_ZOOMS.map(([id, ranks, minzoom, maxzoom, size]) => ({
    id: `${file.name}:${id}`,
    type: 'symbol',
    source: file.name,
    'source-layer': 'places',
    minzoom,
    maxzoom,
    filter: ['in', ['get', 'rank'], ['literal', ranks]],
    layout: { 'text-field': ['get', 'name'], 'text-size': size, 'text-font': FONT, 'text-max-width': 7, 'text-padding': 6, 'symbol-sort-key': ['get', 'rank'] },
    paint: { 'text-color': palette('map-label'), 'text-halo-color': palette('map-halo'), 'text-halo-width': 1.4 },
  }));
}

function overlays(palette: Palette): LayerSpecification[] {
  return [...areaLayers(palette), ...eventLayers(), ...focusLayers(palette), ...alertLayers()];
}

function areaLayers(palette: Palette): LayerSpecification[] {
  return [
    { id: 'areas:hatch', type: 'fill', source: 'areas', paint: { 'fill-pattern': 'hatch' } },
    { id: 'areas:line', type: 'line', source: 'areas', paint: { 'line-color': palette('area'), 'line-width': 1.4 } },
    {
      id: 'areas:name',
      type: 'symbol',
      source: 'areas',
      layout: { 'text-field': ['get', 'name'], 'text-size': 11, 'text-font': FONT, 'text-max-width': 12, 'symbol-placement': 'line', 'symbol-spacing': 500 },
      paint: { 'text-color': palette('text'), 'text-halo-color': palette('map-halo'), 'text-halo-width': 1.4 },
    },
  ];
}

const FADE_OPACITY = ['match', ['get', 'fade'], 0, 1, 1, 0.8, 2, 0.55, 0.6] as never;

function eventLayers(): LayerSpecification[] {
  return [
    {
      id: 'events',
      type: 'symbol',
      source: 'events',
      layout: {
        'icon-image': ['get', 'icon'],
        'icon-size': ['interpolate', ['linear'], ['zoom'], 8, 0.55, 12, 0.8, 15, 1.1],
        'icon-allow-overlap': true,
        'icon-ignore-placement': true,
        'symbol-sort-key': ['-', 3, ['get', 'fade']],
      },
      paint: { 'icon-opacity': FADE_OPACITY },
    },
  ];
}

function focusLayers(palette: Palette): LayerSpecification[] {
  const of = (what: string) => ['==', ['get', 'what'], what] as never;
  const colour = palette('evidence');
  return [
    { id: 'focus:radius', type: 'fill', source: 'focus', filter: of('radius'), paint: { 'fill-color': colour, 'fill-opacity': 0.09 } },
    { id: 'focus:edge', type: 'line', source: 'focus', filter: of('radius'), paint: { 'line-color': colour, 'line-width': 1.5, 'line-dasharray': [3, 2] } },
    { id: 'focus:line', type: 'line', source: 'focus', filter: of('link'), paint: { 'line-color': colour, 'line-width': 1.4, 'line-opacity': 0.9 } },
    {
      id: 'focus:ring',
      type: 'circle',
      source: 'focus',
      filter: of('evidence'),
      paint: { 'circle-radius': 10, 'circle-color': 'transparent', 'circle-stroke-color': colour, 'circle-stroke-width': 2 },
    },
    {
      id: 'focus:number',
      type: 'symbol',
      source: 'focus',
      filter: of('evidence'),
      layout: { 'text-field': ['get', 'number'], 'text-size': 12, 'text-font': FONT, 'text-offset': [1.7, -1.2], 'text-allow-overlap': true, 'text-ignore-placement': true },
      paint: { 'text-color': palette('strong'), 'text-halo-color': palette('map-halo'), 'text-halo-width': 2 },
    },
  ];
}

function alertLayers(): LayerSpecification[] {
  return [
    {
      id: 'alerts',
      type: 'symbol',
      source: 'alerts',
      layout: {
        'icon-image': ['get', 'icon'],
        'icon-size': ['case', ['get', 'chosen'], 1.25, 1],
        'icon-allow-overlap': true,
        'icon-ignore-placement': true,
        'symbol-sort-key': ['get', 'order'],
      },
    },
  ];
}

/** Layers that the operator switches on: stations, hospitals, boundaries. */
export function extraLayers({ name, kind, nameField }: MapLayer, palette: Palette): LayerSpecification[] {
  const source = `layer:${name}`;
  const text = { 'text-color': palette('map-label'), 'text-halo-color': palette('map-halo'), 'text-halo-width': 1.4 };
  if (kind === 'polygons') {
    return [{ id: `${source}:line`, type: 'line', source, paint: { 'line-color': palette('map-border'), 'line-width': 1.2, 'line-dasharray': [4, 3] } }];
  }
  return [
    {
      id: `${source}:point`,
      type: 'symbol',
      source,
      layout: {
        'icon-image': 'facility',
        'icon-size': ['interpolate', ['linear'], ['zoom'], 9, 0.6, 14, 1],
        'icon-allow-overlap': true,
        'text-field': ['step', ['zoom'], '', 12.5, ['coalesce', ['get', nameField], '']],
        'text-font': FONT,
        'text-size': 11,
        'text-optional': true,
        'text-anchor': 'left',
        'text-offset': [0.9, 0],
      },
      paint: text,
    },
  ];
}
