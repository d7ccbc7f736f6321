import { describe, expect, it } from 'vitest';
import { circle, cityZoom, distance, edgeArrows, edgePoint, zoomFor } from '../src/model/geo';

const SEATTLE = { lon: -122.3321, lat: 47.6062 };

describe('geometry', () => {
  it('draws circles of the right radius, closed, also near the pole', () => {
    for (const centre of [SEATTLE, { lon: 179.99, lat: 0 }, { lon: 10, lat: 85 }]) {
      const ring = circle(centre, 1500);
      expect(ring[0]).toEqual(ring.at(-1));
      for (const [lon, lat] of ring) expect(distance(centre, { lon, lat })).toBeCloseTo(1500, 3);
    }
  });

  it('agrees with a known distance', () => {
    expect(distance({ lon: 0, lat: 0 }, { lon: 0, lat: 1 })).toBeCloseTo(111_195.08, 1);
  });

  it('zooms so that what matters fits', () => {
    expect(zoomFor(null, 47.6, 480)).toBe(14);
    expect(zoomFor(50, 47.6, 480)).toBe(14.5);
    expect(zoomFor(5e6, 47.6, 480)).toBe(9);
    const zoom = zoomFor(2000, 47.6, 480);
    const pixels = (2 * 2000) / ((78_271.517 * Math.cos((47.6 * Math.PI) / 180)) / 2 ** zoom);
    expect(pixels).toBeCloseTo(480 / 1.3, 0);
  });

  it('begins a small map farther out, so that it shows the same area', () => {
    expect(cityZoom(11, 1400, 1000)).toBe(11);
    expect(cityZoom(11, 2000, 1500)).toBe(11);
    expect(cityZoom(11, 500, 700)).toBe(10);
    expect(cityZoom(11, 390, 250)).toBe(9);
    expect(cityZoom(3, 0, 0)).toBe(1);
  });

  it('slides arrows past the buttons, the scale and the legend', () => {
    const at = (x: number, y: number) => edgeArrows([{ at: { x, y }, what: 0 }], 800, 600)[0];
    expect(at(-500, -350)?.y).toBeLessThan(44);
    expect(at(-500, -350)?.x).toBeGreaterThan(60);
    expect(at(-500, -30)?.y).toBe(190);
    expect(at(-500, 1000)?.x).toBe(170);
    expect(at(1300, 1000)?.x).toBe(650);
  });

  it('finds the border of the pane in the direction of what is outside', () => {
    expect(edgePoint({ x: 50, y: 50 }, 100, 100, 10)).toBeNull();
    expect(edgePoint({ x: 500, y: 50 }, 100, 100, 10)).toMatchObject({ x: 90, y: 50, angle: 0 });
    const up = edgePoint({ x: 50, y: -900 }, 100, 100, 10);
    expect(up?.y).toBeCloseTo(10);
    expect(up?.angle).toBeCloseTo(-Math.PI / 2);
  });

  it('joins arrows that would lie on one another and keeps the order', () => {
    const targets = [
      { at: { x: 500, y: 50 }, what: 'first' },
      { at: { x: 900, y: 60 }, what: 'second' },
      { at: { x: -500, y: 50 }, what: 'left' },
      { at: { x: 40, y: 40 }, what: 'inside' },
    ];
    expect(edgeArrows(targets, 100, 100).map((arrow) => arrow.members)).toEqual([['first', 'second'], ['left']]);
  });
});
