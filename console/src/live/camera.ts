// Where the map looks. It moves only when someone asks, and every move can be taken back.
import { computed, signal } from '@preact/signals';
import { zoomFor } from '../model/geo';
import type { Alert, Position } from '../model/types';
import { middle } from './view';

export interface Camera {
  centre: Position;
  zoom: number;
}

/** The map listens to this; `serial` makes two equal wishes two wishes. */
export const wish = signal<{ camera: Camera; serial: number } | null>(null);
/** Where the map is now; the map writes it. */
export const here = signal<Camera | null>(null);

/** About the smaller side of the map pane, pixels. */
const PANE = 480;
const MOST_BACK = 20;
const stack = signal<Camera[]>([]);
export const canGoBack = computed(() => stack.value.length > 0);
let serial = 0;

function ask(camera: Camera): void {
  serial += 1;
  wish.value = { camera, serial };
}

export function lookAt(camera: Camera): void {
  if (here.value) stack.value = [...stack.value, here.value].slice(-MOST_BACK);
  ask(camera);
}

export function goTo(alert: Alert): void {
  if (!alert.position) return;
  middle.value = 'map';
  lookAt({ centre: alert.position, zoom: zoomFor(alert.radiusM, alert.position.lat, PANE) });
}

export function goBack(): void {
  const last = stack.value.at(-1);
  if (!last) return;
  stack.value = stack.value.slice(0, -1);
  ask(last);
}
