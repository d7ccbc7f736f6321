// What the layers hold that are switched on: asked for once, for the map and for the list alike.
import { computed, effect, signal } from '@preact/signals';
import { getLayer } from '../api/routes';
import { t } from '../i18n';
import { facilities, type Facility } from '../model/facilities';
import type { MapLayer } from '../model/types';
import { say } from './actions';
import { layers } from './store';
import { layersOn } from './view';

const asked = new Map<string, Promise<GeoJSON.FeatureCollection>>();
/** The list of layers these answers belong to: another list may mean other content under the same name. */
let askedOf: MapLayer[] | null = null;
const loaded = signal<ReadonlyMap<string, Facility[]>>(new Map());

export const failedLayer = (layer: MapLayer, error: unknown): void =>
  say({ kind: 'refused', text: t('layer.failed', { title: layer.title, reason: error instanceof Error ? error.message : String(error) }), undo: null });

export function layerData(layer: MapLayer): Promise<GeoJSON.FeatureCollection> {
  if (askedOf !== layers.peek()) {
    asked.clear();
    askedOf = layers.peek();
    loaded.value = new Map();
  }
  const before = asked.get(layer.name);
  if (before) return before;
  const coming = getLayer(layer.name);
  asked.set(layer.name, coming);
  coming.then(
    (data) => {
      if (asked.get(layer.name) === coming) loaded.value = new Map(loaded.peek()).set(layer.name, facilities(layer, data));
    },
    () => asked.get(layer.name) === coming && asked.delete(layer.name), // asked for again when it is switched on again
  );
  return coming;
}

export const layersShown = computed(() => (layers.value ?? []).filter((layer) => layer.kind !== 'tiles' && layersOn.value.includes(layer.name)));

/** Everything of the layers that are on; of those that have come. */
export const facilitiesShown = computed(() => layersShown.value.flatMap((layer) => loaded.value.get(layer.name) ?? []));

/** Also where no map is drawn. */
export function startLayers(): () => void {
  return effect(() => {
    for (const layer of layersShown.value) layerData(layer).catch((error: unknown) => failedLayer(layer, error));
  });
}
