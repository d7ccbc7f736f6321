// Which colours are on: the operator's choice, or the system's. Canvas drawings read the tokens from here.
import { effect, signal } from '@preact/signals';
import { theme } from './view';

export type Palette = (token: string) => string;

const light = matchMedia('(prefers-color-scheme: light)');
const systemLight = signal(light.matches);
light.addEventListener('change', (event) => (systemLight.value = event.matches));

export const reducedMotion = (): boolean => matchMedia('(prefers-reduced-motion: reduce)').matches;

const read = (): Palette => {
  const style = getComputedStyle(document.documentElement);
  return (token) => style.getPropertyValue(`--${token}`).trim();
};

/** A new function whenever the colours have changed. */
export const palette = signal<Palette>(read());

/** On paper it is always light. */
const printing = signal(false);
addEventListener('beforeprint', () => (printing.value = true));
addEventListener('afterprint', () => (printing.value = false));

effect(() => {
  const name = printing.value ? 'light' : theme.value === 'auto' ? (systemLight.value ? 'light' : 'dark') : theme.value;
  document.documentElement.dataset.theme = name;
  palette.value = read();
});
