// Kinds are dotted (`call.fire.structure`). The screen groups them by their first two words, the level an operator thinks in.

export const kindGroup = (kind: string): string => {
  const second = kind.indexOf('.', kind.indexOf('.') + 1);
  return second < 0 ? kind : kind.slice(0, second);
};

/** The small drawing that stands for a kind on the map and in lists. */
export type Glyph = 'flame' | 'cross' | 'bell' | 'car' | 'flask' | 'cloud' | 'wave' | 'quake' | 'warning' | 'bolt' | 'asset' | 'dot';

const GLYPHS: [RegExp, Glyph][] = [
  [/\b(fire|burn)\b/, 'flame'],
  [/\b(medical|aid|ems)\b/, 'cross'],
  [/\b(alarm|panel|intrusion)\b/, 'bell'],
  [/\b(traffic|crash|road)\b/, 'car'],
  [/\b(hazmat|radiation|chem|gas)\b/, 'flask'],
  [/\b(air|smoke|pm25)\b/, 'cloud'],
  [/\b(water|flood|rain)\b/, 'wave'],
  [/\b(seismic|quake|earthquake)\b/, 'quake'],
  [/\b(weather|warning)\b/, 'warning'],
  [/\b(power|outage|lightning)\b/, 'bolt'],
  [/\b(asset|vehicle|unit|ship|aircraft|drone)\b/, 'asset'],
];

export const glyphOf = (kind: string): Glyph => GLYPHS.find(([words]) => words.test(kind))?.[1] ?? 'dot';

/** `call.fire` -> `Fire calls` is a translation; this is what is said of a kind no catalogue knows: `Air pm25`. */
export function plainKind(group: string): string {
  const words = group.split('.').join(' ').replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
