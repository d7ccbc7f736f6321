// Charts as SVG: sharp on paper, readable without colour, with the numbers as a table for those who do not see them.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { count, t } from '../i18n';

export interface Bar {
  label: string;
  value: number;
}

const WIDTH = 560;
/** On a phone: letters are not made smaller with the drawing. */
const NARROW = 340;
const LABEL = 64;
const HEIGHT = 150;
const LEFT = 46;
const BOTTOM = 20;

/** `name`: what is counted, for the table. `onPick`: a bar was chosen. */
export function Bars({ bars, name, onPick }: { bars: Bar[]; name: string; onPick?: (at: number) => void }) {
  const most = Math.max(1, ...bars.map((bar) => bar.value));
  const box = useRef<HTMLElement>(null);
  const all = useNarrow(box) ? NARROW : WIDTH;
  const width = (all - LEFT) / Math.max(1, bars.length);
  const height = (value: number): number => (value / most) * (HEIGHT - BOTTOM - 8);
  const every = Math.max(1, Math.ceil(bars.length / Math.floor(all / (LABEL * 1.6))));
  return (
    <figure class="chart" ref={box}>
      <svg viewBox={`0 0 ${all} ${HEIGHT}`} role="img" aria-label={t('chart.label', { name, n: bars.length, most: count(most) })}>
        <text x={LEFT - 6} y={14} class="axis" text-anchor="end">
          {count(most)}
        </text>
        <text x={LEFT - 6} y={HEIGHT - BOTTOM} class="axis" text-anchor="end">
          0
        </text>
        <line x1={LEFT} x2={all} y1={HEIGHT - BOTTOM} y2={HEIGHT - BOTTOM} class="axis" />
        {bars.map((bar, i) => (
          <g key={bar.label} onClick={onPick && (() => onPick(i))} class={onPick ? 'pick' : undefined}>
            <rect x={LEFT + i * width} y={0} width={width} height={HEIGHT - BOTTOM} class="hit">
              <title>{`${bar.label}: ${count(bar.value)}`}</title>
            </rect>
            <rect x={LEFT + i * width + width * 0.1} y={HEIGHT - BOTTOM - height(bar.value)} width={Math.max(0.6, width * 0.8)} height={height(bar.value)} class="bar" />
            {i % every === 0 && (
              <text x={Math.min(LEFT + (i + 0.5) * width, all - LABEL / 2)} y={HEIGHT - 5} class="axis" text-anchor="middle">
                {bar.label}
              </text>
            )}
          </g>
        ))}
      </svg>
      <Numbers name={name} rows={bars.map((bar) => [bar.label, count(bar.value)])} />
    </figure>
  );
}

/** Whether a chart has the width of a phone, also after it was turned. */
function useNarrow(box: { current: HTMLElement | null }): boolean {
  const [narrow, setNarrow] = useState(false);
  useLayoutEffect(() => {
    if (box.current === null) return;
    const watch = new ResizeObserver(([entry]) => entry && setNarrow(entry.contentRect.width > 0 && entry.contentRect.width < 400));
    watch.observe(box.current);
    return () => watch.disconnect();
  }, [box]);
  return narrow;
}

/** Rows by columns, darker for more, each with its number. */
export function Heat({ rows, columns, values, name }: { rows: string[]; columns: string[]; values: number[][]; name: string }) {
  const most = Math.max(1, ...values.flat());
  return (
    <div class="wide" role="group" tabIndex={0} aria-label={name}>
      <table class="heat">
        <thead>
          <tr>
            <td />
            {columns.map((column) => (
              <th key={column} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, y) => (
            <tr key={row}>
              <th scope="row">{row}</th>
              {columns.map((column, x) => {
                const value = values[y]?.[x] ?? 0;
                return (
                  <td key={column} style={{ '--share': `${Math.round((value / most) * 38)}%` }}>
                    {value > 0 ? count(value) : ''}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Numbers({ name, rows }: { name: string; rows: [string, string][] }) {
  const [open, setOpen] = useState(false); // hundreds of rows that nobody looks at are not made
  return (
    <details class="numbers" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t('chart.numbers')}</summary>
      {open && (
        <div class="wide" role="group" tabIndex={0} aria-label={`${t('chart.numbers')}: ${name}`}>
          <table>
            <tbody>
              {rows.map(([label, value]) => (
                <tr key={label}>
                  <th scope="row">{label}</th>
                  <td>{value}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}
