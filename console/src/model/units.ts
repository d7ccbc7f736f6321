// What is stored in metric units as people with other habits read it. Only for the eye: nothing that is computed or sent passes here.

export const UNIT_SYSTEMS = ['metric', 'imperial'] as const;
export type UnitSystem = (typeof UNIT_SYSTEMS)[number];

const FOOT_M = 0.3048;
const MILE_M = 1609.344;
const INCH_M = 0.0254;

const times =
  (factor: number) =>
  (value: number): number =>
    value * factor;

/** UCUM code -> what is written instead. */
const IMPERIAL: Readonly<Record<string, [unit: string, convert: (value: number) => number]>> = {
  Cel: ['°F', (value) => value * 1.8 + 32],
  mm: ['in', times(0.001 / INCH_M)],
  cm: ['in', times(0.01 / INCH_M)],
  m: ['ft', times(1 / FOOT_M)],
  km: ['mi', times(1000 / MILE_M)],
  'm/s': ['mph', times(3600 / MILE_M)],
  'km/h': ['mph', times(1000 / MILE_M)],
  'mm/h': ['in/h', times(0.001 / INCH_M)],
  'm3/s': ['ft³/s', times(1 / FOOT_M ** 3)],
};

/** Units that have no other habit stay as they are. */
export function inImperial(value: number, unit: string | null): { value: number; unit: string | null } {
  const known = unit === null || !Object.hasOwn(IMPERIAL, unit) ? undefined : IMPERIAL[unit];
  return known ? { value: known[1](value), unit: known[0] } : { value, unit };
}

/** A distance on the ground: feet up to a quarter of a mile, tenths of a mile up to ten. */
export function milesOrFeet(metres: number): { value: number; unit: 'ft' | 'mi'; digits: number } {
  const miles = metres / MILE_M;
  if (miles < 0.25) return { value: metres / FOOT_M, unit: 'ft', digits: 0 };
  return { value: miles, unit: 'mi', digits: miles < 9.95 ? 1 : 0 };
}
