// The map of a question: vector tiles of everything it lets through, and the rows of the list over them.
import { effect } from '@preact/signals';
import { Map as MapLibre, ScaleControl, type GeoJSONSource, type VectorTileSource } from 'maplibre-gl';
import { tileAddress } from '../api/archive';
import { t } from '../i18n';
import { around, asked, chosen, found, mapBox, mapFailure } from '../live/investigate';
import { status } from '../live/store';
import { palette } from '../live/theme';
import { circle, cityZoom } from '../model/geo';
import { tileFiles } from './session';
import { FLAT, ground, type TileFile } from './style';

const RESULTS = 'results';
const CELLS = 'everything';

export async function openArchiveMap(box: HTMLElement): Promise<() => void> {
  const tiles = await tileFiles();
  const city = status.peek()?.city;
  const near = around.peek()?.near;
  const map = new MapLibre({
    container: box,
    style: { version: 8, sources: sources(tiles), layers: ground(tiles, palette.peek()) },
    center: near ? [near.lon, near.lat] : (city?.centre ?? [0, 0]),
    zoom: near ? 13.5 : city ? cityZoom(city.zoom, box.clientWidth, box.clientHeight) : 2,
    ...FLAT,
    locale: { 'Map.Title': t('inv.map') },
  });
  map.addControl(new ScaleControl({ maxWidth: 110 }), 'bottom-left');
  const moved = (): void => {
    const edge = map.getBounds();
    mapBox.value = [edge.getWest(), edge.getSouth(), edge.getEast(), edge.getNorth()];
  };
  mapFailure.value = null;
  map.on('error', ({ error }: { error: { name?: string; message: string } }) => {
    if (error.name !== 'AbortError') mapFailure.value = error.message; // given up because nobody wants it any more
  });
  map.on('moveend', moved);
  map.on('click', (event) => {
    const [hit] = map.queryRenderedFeatures(event.point, { layers: map.getLayer(RESULTS) ? [RESULTS] : [] });
    chosen.value = hit ? Number(hit.properties.seq) : null;
  });
  const stops: (() => void)[] = [];
  map.once('load', () => {
    addLayers(map);
    moved();
    stops.push(effect(() => draw(map)), effect(() => everything(map)));
  });
  return () => {
    for (const stop of stops) stop();
    map.remove();
  };
}

const sources = (tiles: TileFile[]) => Object.fromEntries(tiles.map((file) => [file.name, { type: 'vector' as const, url: `pmtiles://${file.url}` }]));

function addLayers(map: MapLibre): void {
  const colours = palette.peek();
  map.addSource(RESULTS, { type: 'geojson', data: { type: 'FeatureCollection', features: [] } });
  map.addLayer({ id: 'ring', type: 'line', source: RESULTS, filter: ['==', ['geometry-type'], 'Polygon'], paint: { 'line-color': colours('evidence'), 'line-dasharray': [3, 2], 'line-width': 2 } });
  map.addLayer({
    id: RESULTS,
    type: 'circle',
    source: RESULTS,
    filter: ['==', ['geometry-type'], 'Point'],
    paint: {
      'circle-color': colours('accent'),
      'circle-radius': ['case', ['get', 'chosen'], 9, 5],
      'circle-stroke-color': colours('map-halo'),
      'circle-stroke-width': ['case', ['get', 'chosen'], 3, 1],
    },
  });
}

/** The rows of the list, the chosen one larger; the circle of "around". */
function draw(map: MapLibre): void {
  const features: GeoJSON.Feature[] = [];
  for (const event of found.value?.items ?? []) {
    if (!event.position) continue;
    const at = [event.position.lon, event.position.lat];
    features.push({ type: 'Feature', geometry: { type: 'Point', coordinates: at }, properties: { seq: event.seq, chosen: event.seq === chosen.value } });
  }
  const ring = around.value;
  const metres = /^([\d.]+)\s*(k?m)$/.exec(ring?.within ?? '');
  if (ring?.near && metres) {
    const radius = Number(metres[1]) * (metres[2] === 'km' ? 1000 : 1);
    features.push({ type: 'Feature', geometry: { type: 'Polygon', coordinates: [circle(ring.near, radius)] }, properties: {} });
  }
  void (map.getSource(RESULTS) as GeoJSONSource | undefined)?.setData({ type: 'FeatureCollection', features });
}

/** What was asked for last; not every letter that is typed. */
function everything(map: MapLibre): void {
  if (found.value === null) return;
  const wanted = around.peek() === null ? tileAddress(asked.peek()) : '';
  const [shown = ''] = (map.getSource(CELLS) as VectorTileSource | undefined)?.tiles ?? [];
  if (wanted === shown) return;
  mapFailure.value = null;
  // a source of its own for every question: setTiles keeps the tiles that are drawn already, and they would answer the question before
  if (map.getLayer(CELLS)) map.removeLayer(CELLS);
  if (map.getSource(CELLS)) map.removeSource(CELLS);
  if (wanted === '') return;
  const size = ['interpolate', ['linear'], ['ln', ['max', 1, ['get', 'rows']]], 0, 2.2, 8, 7] as unknown as number;
  map.addSource(CELLS, { type: 'vector', tiles: [wanted], maxzoom: 16 });
  const paint = { 'circle-color': palette.peek()('event'), 'circle-opacity': 0.55, 'circle-radius': size };
  map.addLayer({ id: CELLS, type: 'circle', source: CELLS, 'source-layer': 'events', paint }, 'ring');
}
