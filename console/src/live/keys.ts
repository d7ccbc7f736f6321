// Single-key shortcuts (WCAG 2.1.4: they can be switched off). They never act while someone types, and never with a modifier.
import { SEARCH_ID } from '../components/FilterBar';
import { nextTheme } from '../components/StatusStrip';
import { notice, step, undo, waiting } from './actions';
import { goBack, goTo } from './camera';
import { selectedAlert } from './picture';
import { move } from './queue';
import { toggleSound } from './sound';
import { playPause, returnToLive } from './playback';
import { helpOpen, keysOn, middle, screen, SCREENS } from './view';
import type { AlertState } from '../model/types';

const STEPS: Record<string, AlertState> = { a: 'acknowledged', i: 'in_progress', h: 'on_hold', r: 'resolved' };

const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.matches('textarea, select, [contenteditable]') || (target instanceof HTMLInputElement && target.type !== 'checkbox'));

function search(): void {
  document.getElementById(SEARCH_ID)?.focus();
}

const LIVE_KEYS: Record<string, () => void> = {
  j: () => move(1),
  k: () => move(-1),
  u: () => void undo(),
  b: goBack,
  m: () => (middle.value = middle.value === 'map' ? 'list' : 'map'),
  l: returnToLive,
  p: playPause,
  '/': search,
  g: () => selectedAlert.value && goTo(selectedAlert.value),
};

const KEYS: Record<string, () => void> = {
  '?': () => (helpOpen.value = true),
  s: () => void toggleSound(),
  t: nextTheme,
};

export function onKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
  if (event.key === 'Escape' && typing(event.target)) {
    event.preventDefault(); // browsers empty a search field without saying so: it would look as if nothing were filtered
    return (event.target as HTMLElement).blur();
  }
  if (typing(event.target) || !keysOn.value || helpOpen.value || waiting.value !== null) return;
  if (handled(event.key.toLowerCase(), event.repeat)) event.preventDefault();
}

function handled(key: string, repeated: boolean): boolean {
  const tab = SCREENS[Number(key) - 1];
  const offered = key === 'u' && notice.value?.undo != null; // on every screen that shows it
  const act = KEYS[key] ?? (screen.value === 'live' || offered ? LIVE_KEYS[key] : undefined);
  const to = screen.value === 'live' ? STEPS[key] : undefined;
  if (tab) location.hash = `#${tab}`;
  else if (act) act();
  else if (to && selectedAlert.value && !repeated) void step(selectedAlert.value, to);
  else return false;
  return true;
}
