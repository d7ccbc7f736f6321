// A small map of counts by place: a circle with its number each, all of them in view at first.
import './map.css'; // the Live map may never have been opened
import { effect } from '@preact/signals';
import { LngLatBounds, Map as MapLibre, ScaleControl, type GeoJSONSource } from 'maplibre-gl';
import type { BacktestPlace } from '../api/backtest';
import { count, t } from '../i18n';
import { say } from '../live/actions';
import { palette, reducedMotion } from '../live/theme';
import { tileFiles } from './session';
import { FLAT, FONT, ground, type TileFile } from './style';

const PLACES = 'places';
const CLOSE = 13.5;
/** Pixels between the outermost circle and the edge. */
const EDGE = 34;

export async function openPlacesMap(box: HTMLElement, places: BacktestPlace[]): Promise<{ show: (place: BacktestPlace) => void; close: () => void }> {
  const tiles = await tileFiles();
  const bounds = places.reduce((all, one) => all.extend([one.position.lon, one.position.lat]), new LngLatBounds());
  const map = new MapLibre({
    container: box,
    style: { version: 8, sources: Object.fromEntries(tiles.map((file) => [file.name, { type: 'vector' as const, url: `pmtiles://${file.url}` }])), layers: ground(tiles, palette.peek()) },
    bounds,
    fitBoundsOptions: { padding: EDGE, maxZoom: CLOSE },
    ...FLAT,
    scrollZoom: false, // the page scrolls past it; it zooms by double click and by its keys
    dragPan: !matchMedia('(pointer: coarse)').matches, // one finger scrolls the page, two move the map
    locale: { 'Map.Title': t('bt.map') },
  });
  map.addControl(new ScaleControl({ maxWidth: 110 }), 'bottom-left');
  map.on('error', ({ error }: { error: { name?: string; message: string } }) => {
    if (error.name !== 'AbortError') say({ kind: 'refused', text: t('map.failed', { reason: error.message }), undo: null });
  });
  let stop = (): void => undefined;
  map.once('load', () => {
    addPlaces(map, places);
    stop = effect(() => paint(map, tiles));
    box.dataset.places = String(places.length);
  });
  return {
    show: ({ position }) => {
      const to = { center: [position.lon, position.lat] as [number, number], zoom: CLOSE };
      if (reducedMotion()) map.jumpTo(to);
      else map.easeTo({ ...to, duration: 350 });
      box.dataset.centre = `${position.lon.toFixed(4)} ${position.lat.toFixed(4)}`;
    },
    close: () => {
      stop();
      map.remove();
    },
  };
}

function addPlaces(map: MapLibre, places: BacktestPlace[]): void {
  const most = Math.max(1, ...places.map((one) => one.alerts));
  map.addSource(PLACES, { type: 'geojson', data: { type: 'FeatureCollection', features: [] } });
  // the area of a circle is its count, down to what can still be seen; the largest are drawn first
  map.addLayer({ id: PLACES, type: 'circle', source: PLACES, layout: { 'circle-sort-key': ['-', ['get', 'alerts']] }, paint: { 'circle-radius': ['max', 6, ['*', 20, ['sqrt', ['/', ['get', 'alerts'], most]]]], 'circle-stroke-width': 1.5 } });
  map.addLayer({ id: `${PLACES}:count`, type: 'symbol', source: PLACES, layout: { 'text-field': ['get', 'label'], 'text-font': FONT, 'text-size': 12, 'symbol-sort-key': ['-', ['get', 'alerts']] }, paint: { 'text-halo-width': 1.4 } });
  const features = places.map((one): GeoJSON.Feature => ({ type: 'Feature', geometry: { type: 'Point', coordinates: [one.position.lon, one.position.lat] }, properties: { alerts: one.alerts, label: count(one.alerts) } }));
  void (map.getSource(PLACES) as GeoJSONSource).setData({ type: 'FeatureCollection', features });
}

/** In the colours that are on, also when these are changed while it is open. */
function paint(map: MapLibre, tiles: TileFile[]): void {
  const colours = palette.value;
  for (const layer of ground(tiles, colours)) for (const [name, value] of Object.entries(layer.paint ?? {})) map.setPaintProperty(layer.id, name as never, value as never);
  map.setPaintProperty(PLACES, 'circle-color', colours('accent'));
  map.setPaintProperty(PLACES, 'circle-opacity', 0.45);
  map.setPaintProperty(PLACES, 'circle-stroke-color', colours('accent'));
  map.setPaintProperty(`${PLACES}:count`, 'text-color', colours('strong'));
  map.setPaintProperty(`${PLACES}:count`, 'text-halo-color', colours('map-halo'));
}
