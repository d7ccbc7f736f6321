// A chart by Observable Plot, as SVG in the page's own colours: sharp on paper, nothing asked of anybody outside.
import { useEffect, useRef } from 'preact/hooks';
import { plot, type PlotOptions } from '@observablehq/plot';

/** `make`: the chart for a width in pixels. `label`: what it shows, for those who do not see it. */
export function Figure({ make, label }: { make: (width: number) => PlotOptions; label: string }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const where = box.current;
    if (where === null) return;
    const draw = (): void => {
      const chart = plot({ className: 'plot', marginLeft: 44, marginRight: 12, ...make(Math.max(280, Math.min(760, where.clientWidth))) });
      for (const sheet of chart.querySelectorAll('style')) sheet.remove(); // its rules are in layout.css: the page allows no inline styles
      for (const part of chart.querySelectorAll('[aria-label]')) {
        part.setAttribute('data-part', part.getAttribute('aria-label') ?? ''); // one picture with one name, not dozens of nameless groups
        part.removeAttribute('aria-label');
      }
      chart.setAttribute('role', 'img');
      chart.setAttribute('aria-label', label);
      where.replaceChildren(chart);
    };
    draw();
    const seen = new ResizeObserver(draw);
    seen.observe(where);
    return () => seen.disconnect();
  }, [make, label]);
  return <div ref={box} class="figure" />;
}
