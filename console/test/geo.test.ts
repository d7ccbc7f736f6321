import { describe, expect, it } from 'vitest';
import { circle, distance, edgeArrows, edgePoint } from '../src/model/geo';

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
