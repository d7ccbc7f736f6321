// What the operator has chosen: the alert, the filter, the moment, the colours, the panes. Kept on this machine.
import { computed, signal } from '@preact/signals';
import { defaultSpan, goLive, windowOf, WINDOWS_MS, type Conductor } from '../model/conductor';
import { parseFilter, type Filter } from '../model/filter';
import { UNIT_SYSTEMS } from '../model/units';
import { kept, oneOf, parseList, plain } from './storage';
import * as store from './store';

export type Screen = 'live' | 'feeds' | 'rules' | 'exercises' | 'investigate' | 'analytics';
export const SCREENS: readonly Screen[] = ['live', 'feeds', 'rules', 'exercises', 'investigate', 'analytics'];
export const THEMES = ['auto', 'dark', 'light', 'night'] as const;

export const screen = signal<Screen>(screenOf(location.hash));
export const selected = signal<string | null>(null);
export const filter = kept<Filter>('filter', parseFilter);
export const theme = kept('theme', oneOf(THEMES, 'auto'), plain);
export const duty = kept('duty', (text) => text ?? '', plain);
export const middle = kept('middle', oneOf(['map', 'list'] as const, 'map'), plain);
export const layersOn = kept('layers', parseList);
/** Lengths, temperatures, speeds as they are shown; what the node writes in sentences keeps its own. */
export const units = kept('units', oneOf(UNIT_SYSTEMS, 'metric'), plain);
/** The military date-time group beside the clocks. */
export const dtgOn = kept<boolean>('dtg', (text) => text === 'true');
export const keysOn = kept<boolean>('keys', (text) => text !== 'false');
export const showResolved = signal(false);
export const unfolded = signal<ReadonlySet<string>>(new Set());
export const helpOpen = signal(false);
/** Map bounds west, south, east, north; null until there is a map. */
export const bounds = signal<[number, number, number, number] | null>(null);
export const inViewOnly = signal(false);

const spanKept = kept<number | null>('span', (text) => WINDOWS_MS.find((one) => String(one) === text) ?? null);
const chosen = signal<Conductor | null>(null);

/** The conductor; until the operator has chosen a window its length follows the node's speed. */
export const conductor = computed<Conductor>(
  () => chosen.value ?? { mode: 'live', span: spanKept.value ?? defaultSpan(store.reading.value?.speed ?? 1) },
);
/** The present, where steps can be taken. A replay and a fixed moment are not. */
export const isLive = computed(() => conductor.value.mode === 'live');
export const isFixed = computed(() => conductor.value.mode === 'fixed');
export const timeWindow = computed(() => windowOf(conductor.value, store.now.value));

export function setConductor(next: Conductor): void {
  if (next.span !== conductor.value.span) spanKept.value = next.span;
  chosen.value = next;
}

export const returnToLive = (): void => setConductor(goLive(conductor.value));

function screenOf(hash: string): Screen {
  return SCREENS.find((one) => `#${one}` === hash) ?? 'live';
}

addEventListener('hashchange', () => (screen.value = screenOf(location.hash)));

export interface Panes {
  queue: number;
  detail: number;
  timeline: number;
}

const PANES: Panes = { queue: 340, detail: 400, timeline: 172 };

/** Pixels; the layout narrows them further on small screens. */
export const panes = kept<Panes>('panes', (text) => {
  try {
    return { ...PANES, ...(JSON.parse(text ?? '{}') as Partial<Panes>) };
  } catch {
    return PANES;
  }
});
