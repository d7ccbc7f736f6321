// Choices that outlive a reload, on this machine only. Storage may be forbidden or full: then they last until the page closes.
import { effect, signal, type Signal } from '@preact/signals';

const PREFIX = 'tocsin.';

export function read(key: string): string | null {
  try {
    return localStorage.getItem(PREFIX + key);
  } catch {
    return null;
  }
}

export function write(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, value);
  } catch {
    return; // nothing is lost but the memory of a choice
  }
}

/** A signal that is kept. `parse` must survive any text, also none. */
export function kept<T>(key: string, parse: (text: string | null) => T, format: (value: T) => string | null = JSON.stringify): Signal<T> {
  const made = signal<T>(parse(read(key)));
  let first = true;
  effect(() => {
    const value = made.value;
    if (first) first = false;
    else write(key, format(value));
  });
  return made;
}

export const oneOf =
  <T extends string>(values: readonly T[], otherwise: T) =>
  (text: string | null): T =>
    values.find((value) => value === text) ?? otherwise;

export const plain = (value: string): string => value;

export function parseList(text: string | null): string[] {
  try {
    const found: unknown = JSON.parse(text ?? '[]');
    return Array.isArray(found) ? found.filter((one) => typeof one === 'string') : [];
  } catch {
    return [];
  }
}
