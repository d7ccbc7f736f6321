// Redraws cost what the machine makes them cost: a browser without a graphics card needs a quarter of a second for one. So the
// reports on the map are redrawn as often as that leaves the rest of the screen quick, and never more than once a second.
import type { Map as MapLibre } from 'maplibre-gl';

const LEAST_MS = 1_000;
const MOST_MS = 10_000;
/** Share of the time that redrawing may take: one part in four. */
const REST = 3;

export interface Pace {
  /** Something has changed: `draw` is called soon, once for many changes. It says whether there was anything to draw. */
  want: () => void;
  stop: () => void;
}

export function paced(map: MapLibre, draw: () => boolean): Pace {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let due = 0;
  const flush = (): void => {
    timer = undefined;
    const began = performance.now();
    if (!draw()) return;
    due = began + MOST_MS; // until the map is idle again
    map.once('idle', () => {
      const end = performance.now();
      due = end + Math.min(MOST_MS, Math.max(LEAST_MS, REST * (end - began)));
      if (timer !== undefined) wait();
    });
  };
  const wait = (): void => {
    clearTimeout(timer);
    timer = setTimeout(flush, Math.max(0, due - performance.now()));
  };
  return { want: () => void (timer === undefined && wait()), stop: () => clearTimeout(timer) };
}
