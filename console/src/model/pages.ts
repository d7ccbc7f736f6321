// A long list a page at a time.

export const PAGE_ROWS = 200;

export interface PageOf<T> {
  page: number;
  pages: number;
  from: number;
  shown: readonly T[];
}

/** The page `wanted`, or the last where the list has become shorter meanwhile. */
export function pageOf<T>(items: readonly T[], wanted: number, rows = PAGE_ROWS): PageOf<T> {
  const pages = Math.max(1, Math.ceil(items.length / rows));
  const page = Math.min(wanted, pages - 1);
  return { page, pages, from: page * rows, shown: items.slice(page * rows, (page + 1) * rows) };
}
