// Drawings as SVG paths in a 24 x 24 box, for lists (SVG) and for the map (canvas).
import type { Glyph } from './kinds';
import type { Rank } from './types';

/** Severity is shape, colour and number together: none of them alone. */
export const RANK_SHAPES: Record<Rank, string> = {
  1: 'M12 1.500 23.500 22H.5z',
  2: 'M12 .5 23.500 12 12 23.500.5 12z',
  3: 'M2 2h20v20H2z',
  4: 'M12 1a11 11 0 1 0 0 22 11 11 0 1 0 0-22z',
};
/** Baseline of the number inside the shape. */
export const RANK_TEXT_Y: Record<Rank, number> = { 1: 19.3, 2: 16.4, 3: 16.4, 4: 16.4 };

export const GLYPHS: Record<Glyph, string> = {
  flame: 'M12 2c1 4 6 6 6 12a6 6 0 0 1-12 0c0-3 2-4 2-7 1 .5 2 1.500 2.300 3C11 8 12.500 6 12 2z',
  cross: 'M9 3h6v6h6v6h-6v6H9v-6H3V9h6z',
  bell: 'M12 2c3.500 0 6 2.500 6 6v6l3 4H3l3-4V8c0-3.500 2.500-6 6-6zM9.500 19h5a2.500 2.500 0 0 1-5 0z',
  car: 'M5 9l2-5h10l2 5 2 2v8h-4v-2H7v2H3v-8zM7.500 8h9L15.500 6h-7z',
  flask: 'M9 2h6v2h-1v5l6 10a2 2 0 0 1-2 3H6a2 2 0 0 1-2-3l6-10V4H9z',
  cloud: 'M7 19a5 5 0 0 1-.5-10A6 6 0 0 1 18 9.500 4.800 4.800 0 0 1 17.500 19z',
  wave: 'M2 9c3.300-4 6.700-4 10 0s6.700 4 10 0v4c-3.300 4-6.700 4-10 0s-6.700-4-10 0zm0 7c3.300-4 6.700-4 10 0s6.700 4 10 0v4c-3.300 4-6.700 4-10 0s-6.700-4-10 0z',
  quake: 'M1 11h5l2-7 4 16 4-12 1.500 3H23v3h-7.500L12 23 8 10l-.8 4H1z',
  warning: 'M3 3h18v13H13.500v3H17v2H7v-2h3.500v-3H3zm3 3v7h12V6z',
  bolt: 'M14 1 4 14h6l-1 9 11-14h-7z',
  asset: 'M12 2l8 19-8-4-8 4z',
  dot: 'M12 6a6 6 0 1 0 0 12 6 6 0 1 0 0-12z',
};
