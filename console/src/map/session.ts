// One map on the page: made once, fed from the picture, never moved but by a wish of the operator.
import { computed, effect, signal } from '@preact/signals';
import { addProtocol, Map as MapLibre, ScaleControl, setWorkerUrl, type GeoJSONSource, type MapMouseEvent } from 'maplibre-gl';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?url';
import { PMTiles, Protocol } from 'pmtiles';
import { address } from '../api/http';
import { t } from '../i18n';
import { say } from '../live/actions';
import { here, wish } from '../live/camera';
import { detail } from '../live/detail';
import { failedLayer, layerData } from '../live/layers';
import { shownAlerts, shownEvents } from '../live/picture';
import { layers, status } from '../live/store';
import { palette, reducedMotion } from '../live/theme';
import { bounds, layersOn, selected, units } from '../live/view';
import { cityZoom } from '../model/geo';
import type { MapLayer } from '../model/types';
import { alertFeature, areaFeature, collection, eventDiff, focusFeatures } from './features';
import { setImages } from './images';
import { paced } from './pace';
import { FLAT, buildStyle, extraLayers, type LiveSource, type TileFile } from './style';

setWorkerUrl(workerUrl);
const protocol = new Protocol();
addProtocol('pmtiles', protocol.tile);

const FONT_PROBE = "12px 'Inter Variable'";
const HIT_PX = 9;

/** Sequence number of the report that was clicked. */
export const inspected = signal<number | null>(null);
/** Counts redraws and moves, for what is laid over the map in HTML. */
export const view = signal(0);

/** The node's layers; waits until it has said which there are. */
function knownLayers(): Promise<MapLayer[]> {
  return new Promise((resolve) => {
    const stop = effect(() => {
      const found = layers.value;
      if (found === null) return;
      queueMicrotask(() => stop());
      resolve(found);
    });
  });
}

export async function tileFiles(): Promise<TileFile[]> {
  const found: TileFile[] = [];
  for (const layer of (await knownLayers()).filter((one) => one.kind === 'tiles')) {
    const url = address(`tiles/${layer.name}.pmtiles`);
    try {
      const file = new PMTiles(url);
      const header = await file.getHeader();
      protocol.add(file);
      found.push({ name: layer.name, url, minZoom: header.minZoom });
    } catch (error) {
      failedLayer(layer, error);
    }
  }
  return found;
}

/** Throws when the browser has no WebGL. The returned function takes the map away again. */
export async function openMap(box: HTMLElement): Promise<{ map: MapLibre; close: () => void }> {
  const [tiles] = await Promise.all([tileFiles(), document.fonts.load(FONT_PROBE)]);
  const city = status.peek()?.city;
  const from = here.peek();
  const map = new MapLibre({
    container: box,
    style: buildStyle(tiles, palette.peek()),
    center: from ? [from.centre.lon, from.centre.lat] : (city?.centre ?? [0, 0]),
    zoom: from?.zoom ?? (city ? cityZoom(city.zoom, box.clientWidth, box.clientHeight) : 2),
    ...FLAT,
    locale: { 'Map.Title': t('map.region') },
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  const scale = new ScaleControl({ maxWidth: 110 });
  map.addControl(scale, 'bottom-left');
  map.on('error', (event) => complain(event.error));
  map.on('click', (event) => click(map, event));
  map.on('move', () => moved(map));
  const stops = [effect(() => scale.setUnit(units.value))];
  map.once('load', () => {
    setImages(map, palette.peek());
    stops.push(...feed(map, tiles));
    moved(map);
  });
  return {
    map,
    close: () => {
      for (const stop of stops) stop();
      map.remove();
    },
  };
}

const complained = new Set<string>();

/** What the map could not do, once each; not what it gave up because nobody wants it any more. */
function complain(error: { name?: string; message: string }): void {
  if (error.name === 'AbortError' || complained.has(error.message)) return;
  complained.add(error.message);
  say({ kind: 'refused', text: t('map.failed', { reason: error.message }), undo: null });
}

function moved(map: MapLibre): void {
  const centre = map.getCenter();
  const box = map.getBounds();
  here.value = { centre: { lon: centre.lng, lat: centre.lat }, zoom: map.getZoom() };
  bounds.value = [box.getWest(), box.getSouth(), box.getEast(), box.getNorth()];
  view.value += 1;
  map.getContainer().dataset.camera = `${centre.lng.toFixed(5)} ${centre.lat.toFixed(5)} ${map.getZoom().toFixed(2)}`;
}

/** The most severe alert first; a second click on the same spot takes the next one under it. */
function click(map: MapLibre, event: MapMouseEvent): void {
  const { x, y } = event.point;
  const hits = map.queryRenderedFeatures(
    [
      [x - HIT_PX, y - HIT_PX],
      [x + HIT_PX, y + HIT_PX],
    ],
    { layers: ['alerts', 'events'] },
  );
  const alerts = [...new Set(hits.filter((hit) => hit.layer.id === 'alerts').map((hit) => String(hit.properties.key)))];
  if (alerts.length > 0) {
    const next = alerts.indexOf(selected.peek() ?? '') + 1;
    selected.value = alerts[next % alerts.length] ?? null;
    inspected.value = null;
    return;
  }
  const report = hits.find((hit) => hit.layer.id === 'events');
  inspected.value = report ? Number(report.properties.key) : null;
}

function feed(map: MapLibre, tiles: TileFile[]): (() => void)[] {
  const source = (name: LiveSource): GeoJSONSource | undefined => map.getSource(name);
  const drawn = new Map<string, number>();
  const pace = paced(map, () => {
    const { add, remove } = eventDiff(shownEvents.peek(), drawn);
    if (add.length + remove.length > 0) void source('events')?.updateData({ add, remove });
    return add.length + remove.length > 0;
  });
  const areas = computed(() => shownEvents.value.filter((seen) => seen.event.area !== null).map((seen) => seen.event));
  const areaKeys = computed(() => areas.value.map((event) => event.seq).join());
  return [
    pace.stop,
    effect(() => {
      void shownEvents.value;
      pace.want();
    }),
    effect(() => {
      if (areaKeys.value !== undefined) void source('areas')?.setData(collection(areas.peek().map(areaFeature)));
    }),
    effect(() => {
      void source('alerts')?.setData(collection(shownAlerts.value.map((alert) => alertFeature(alert, selected.value))));
      view.value = view.peek() + 1;
    }),
    effect(() => void source('focus')?.setData({ type: 'FeatureCollection', features: focusFeatures(detail.value) })),
    effect(() => paint(map, tiles)),
    effect(() => void extras(map)),
    effect(() => {
      const asked = wish.value?.camera;
      if (!asked) return;
      const to = { center: [asked.centre.lon, asked.centre.lat] as [number, number], zoom: asked.zoom };
      wish.value = null;
      if (reducedMotion()) map.jumpTo(to);
      else map.easeTo({ ...to, duration: 350 });
    }),
  ];
}

/** New colours without a new style: sources and what they hold stay. */
function paint(map: MapLibre, tiles: TileFile[]): void {
  const colours = palette.value;
  setImages(map, colours);
  for (const layer of buildStyle(tiles, colours).layers) {
    for (const [name, value] of Object.entries(layer.paint ?? {})) map.setPaintProperty(layer.id, name as never, value as never);
  }
}

/** The list the layers on each map came from: another list may mean other content under the same name. */
const shownFrom = new WeakMap<MapLibre, MapLayer[] | null>();

function forgetExtras(map: MapLibre): void {
  const style = map.getStyle();
  for (const one of style.layers) if ('source' in one && String(one.source).startsWith('layer:')) map.removeLayer(one.id);
  for (const id of Object.keys(style.sources)) if (id.startsWith('layer:')) map.removeSource(id);
}

/** Layers switched on by the operator; loaded when first asked for. */
async function extras(map: MapLibre): Promise<void> {
  const wanted = layersOn.value;
  if (shownFrom.get(map) !== layers.value) forgetExtras(map);
  shownFrom.set(map, layers.value);
  const colours = palette.value;
  for (const layer of layers.value ?? []) {
    if (layer.kind === 'tiles') continue;
    const id = `layer:${layer.name}`;
    const drawn = extraLayers(layer, colours);
    for (const one of drawn) if (map.getLayer(one.id)) map.removeLayer(one.id);
    if (!wanted.includes(layer.name)) continue;
    try {
      if (!map.getSource(id)) {
        const data = await layerData(layer);
        if (!map.getSource(id)) map.addSource(id, { type: 'geojson', data });
      }
      if (layersOn.peek().includes(layer.name)) for (const one of drawn) if (!map.getLayer(one.id)) map.addLayer(one, 'areas:hatch');
    } catch (error) {
      failedLayer(layer, error);
    }
  }
}
