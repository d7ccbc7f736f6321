import { describe, expect, it } from 'vitest';
import { overview } from '../src/model/overview';

const view: [number, number, number, number] = [-122.4, 47.5, -122.2, 47.7];

describe('the overview beside the map', () => {
  it('is there only while something lies outside', () => {
    expect(overview(view, [], 100, 80)).toBeNull();
    expect(overview(view, [{ lon: -122.3, lat: 47.6 }], 100, 80)).toBeNull();
    expect(overview(view, [{ lon: -122.1, lat: 47.6 }], 100, 80)).not.toBeNull();
  });

  it('holds the view and every alert, north up', () => {
    const far = { lon: -121, lat: 48.4 };
    const found = overview(view, [far, { lon: -122.3, lat: 47.6 }], 100, 80);
    if (!found) throw new Error('nothing found');
    const { x, y } = found.at(far);
    const inside = found.at({ lon: -122.3, lat: 47.6 });
    expect(found.all).toEqual([-122.4, 47.5, -121, 48.4]);
    for (const one of [{ x, y }, inside]) {
      expect(one.x).toBeGreaterThanOrEqual(9.99);
      expect(one.x).toBeLessThanOrEqual(90.01);
      expect(one.y).toBeGreaterThanOrEqual(9.99);
      expect(one.y).toBeLessThanOrEqual(70.01);
    }
    expect(y).toBeLessThan(inside.y);
    expect(inside.x).toBeGreaterThan(found.view.x);
    expect(inside.x).toBeLessThan(found.view.x + found.view.width);
    expect(inside.y).toBeGreaterThan(found.view.y);
    expect(inside.y).toBeLessThan(found.view.y + found.view.height);
  });
});
