// Long lists drawn a part at a time, so that the page answers in between.
import { useEffect, useState } from 'preact/hooks';

/** Rows drawn in one go: two hundred at once held the page up for a tenth of a second. */
const PART = 40;

/** The rows of a list that have had their turn; all of them a moment later. A longer page of the same answer goes on where it was. */
export function useInParts<T>(items: readonly T[]): readonly T[] {
  const [drawn, setDrawn] = useState({ of: items[0], rows: PART });
  const rows = drawn.of === items[0] ? drawn.rows : PART;
  useEffect(() => {
    if (rows >= items.length) return;
    const timer = setTimeout(() => setDrawn({ of: items[0], rows: rows + PART }), 0);
    return () => clearTimeout(timer);
  }, [items, rows]);
  return items.slice(0, rows);
}
