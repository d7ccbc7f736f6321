// Symbols drawn on canvas in the colours of the moment.
import type { Map as MapLibre } from 'maplibre-gl';
import type { Palette } from '../live/theme';
import { GLYPHS, RANK_SHAPES, RANK_TEXT_Y } from '../model/shapes';
import type { Rank } from '../model/types';

const RATIO = 2;

function drawing(size: number, draw: (pen: CanvasRenderingContext2D) => void): ImageData {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = size * RATIO;
  const pen = canvas.getContext('2d', { willReadFrequently: true });
  if (!pen) throw new Error('this browser gives no 2D canvas, so the map has no symbols');
  pen.scale(RATIO, RATIO);
  draw(pen);
  return pen.getImageData(0, 0, canvas.width, canvas.height);
}

/** `hollow`: somebody has it. `chosen`: with a ring. */
function alertImage(rank: Rank, hollow: boolean, chosen: boolean, practised: boolean, palette: Palette): ImageData {
  return drawing(36, (pen) => {
    const colour = palette(`sev${rank}`);
    if (chosen) {
      pen.beginPath();
      pen.arc(18, 18, 16, 0, 2 * Math.PI);
      pen.strokeStyle = palette('strong');
      pen.lineWidth = 2;
      pen.stroke();
    }
    pen.translate(7, 7);
    pen.scale(22 / 24, 22 / 24);
    const path = new Path2D(RANK_SHAPES[rank]);
    pen.lineJoin = 'round';
    pen.lineWidth = 4;
    pen.strokeStyle = palette('map-halo');
    pen.stroke(path);
    pen.fillStyle = hollow ? palette('panel') : colour;
    pen.fill(path);
    pen.lineWidth = hollow ? 2.6 : 1.2;
    pen.strokeStyle = hollow ? colour : palette('sev-edge');
    pen.stroke(path);
    pen.font = "700 13px 'Inter Variable', system-ui, sans-serif";
    pen.textAlign = 'center';
    pen.fillStyle = hollow ? palette('strong') : palette(`sev${rank}-ink`);
    pen.fillText(String(rank), 12, RANK_TEXT_Y[rank]);
    if (practised) flag(pen, 4, 18, palette);
  });
}

/** The letters of an exercise, on a plate of their own so that no colour is needed to see them. */
function flag(pen: CanvasRenderingContext2D, x: number, y: number, palette: Palette): void {
  pen.fillStyle = palette('exercise');
  pen.strokeStyle = palette('exercise-text');
  pen.lineWidth = 1;
  pen.fillRect(x, y, 18, 10);
  pen.strokeRect(x, y, 18, 10);
  pen.font = "700 9px 'Inter Variable', system-ui, sans-serif";
  pen.textAlign = 'center';
  pen.fillStyle = palette('exercise-text');
  pen.fillText('EX', x + 9, y + 8.2);
}

function glyphImage(path: string, old: boolean, practised: boolean, palette: Palette): ImageData {
  return drawing(practised ? 26 : 18, (pen) => {
    if (practised) flag(pen, 7, 15, palette);
    pen.translate(practised ? 5 : 1, 1);
    pen.scale(16 / 24, 16 / 24);
    const drawn = new Path2D(path);
    pen.lineJoin = 'round';
    pen.lineWidth = 4;
    pen.strokeStyle = palette('map-halo');
    pen.stroke(drawn);
    if (old) {
      pen.lineWidth = 2;
      pen.strokeStyle = palette('event-old');
      pen.stroke(drawn);
    } else {
      pen.fillStyle = palette('event');
      pen.fill(drawn, 'evenodd');
    }
  });
}

function hatchImage(palette: Palette): ImageData {
  return drawing(12, (pen) => {
    pen.strokeStyle = palette('area');
    pen.globalAlpha = 0.4;
    pen.lineWidth = 1;
    for (const shift of [-12, 0, 12]) {
      pen.beginPath();
      pen.moveTo(shift, 12);
      pen.lineTo(shift + 12, 0);
      pen.stroke();
    }
  });
}

function facilityImage(palette: Palette): ImageData {
  return drawing(16, (pen) => {
    pen.fillStyle = palette('panel');
    pen.strokeStyle = palette('map-label');
    pen.lineWidth = 1.6;
    pen.beginPath();
    pen.moveTo(2.5, 14);
    pen.lineTo(2.5, 7);
    pen.lineTo(8, 2);
    pen.lineTo(13.5, 7);
    pen.lineTo(13.5, 14);
    pen.closePath();
    pen.fill();
    pen.stroke();
  });
}

export const alertIcon = (rank: Rank, hollow: boolean, chosen: boolean, practised: boolean): string =>
  `alert-${rank}${hollow ? '-held' : ''}${chosen ? '-chosen' : ''}${practised ? '-ex' : ''}`;
export const eventIcon = (glyph: string, old: boolean, practised: boolean): string => `event-${glyph}${old ? '-old' : ''}${practised ? '-ex' : ''}`;
const BOTH = [false, true] as const;

/** Adds every symbol, or redraws it in new colours. */
export function setImages(map: MapLibre, palette: Palette): void {
  const put = (name: string, image: ImageData): void => {
    if (map.hasImage(name)) map.updateImage(name, image);
    else map.addImage(name, image, { pixelRatio: RATIO });
  };
  for (const rank of [1, 2, 3, 4] as const) {
    for (const hollow of BOTH)
      for (const chosen of BOTH) for (const ex of BOTH) put(alertIcon(rank, hollow, chosen, ex), alertImage(rank, hollow, chosen, ex, palette));
  }
  for (const [glyph, path] of Object.entries(GLYPHS))
    for (const old of BOTH) for (const ex of BOTH) put(eventIcon(glyph, old, ex), glyphImage(path, old, ex, palette));
  put('hatch', hatchImage(palette));
  put('facility', facilityImage(palette));
}
