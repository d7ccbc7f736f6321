// What is said about a feed's health.
import type { Feed, FeedState } from './types';

const ORDER: readonly FeedState[] = ['failing', 'stale', 'waiting', 'ok', 'ended'];

export const needsALook = (feed: Feed): boolean => feed.state === 'failing' || feed.state === 'stale';

/** Trouble first, then by name. */
export const byTrouble = (feeds: readonly Feed[]): Feed[] =>
  [...feeds].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || (a.title < b.title ? -1 : 1));
