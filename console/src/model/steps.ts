// Steps of time without gaps: a day on which nothing came is drawn as nothing, not left out.
import type { Amount } from '../api/archive';

const LENGTH = { hour: 3_600_000, day: 86_400_000 } as const;
const MOST = 3000;

/** `items`: in order of time. A day may be 23 or 25 hours long, so instants are counted from the one before. */
export function every(items: readonly Amount[], step: keyof typeof LENGTH): Amount[] {
  const filled: Amount[] = [];
  for (const one of items) {
    let last = filled.at(-1);
    while (last && filled.length < MOST && one.start - last.start > 1.5 * LENGTH[step]) {
      last = { start: last.start + LENGTH[step], split: '', rows: 0, mean: null };
      filled.push(last);
    }
    filled.push(one);
  }
  return filled;
}
