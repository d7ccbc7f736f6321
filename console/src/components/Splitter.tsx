// The line between two panes: drag it, or focus it and use the arrow keys.
import { panes, type Panes } from '../live/view';

const LIMITS: Record<keyof Panes, [number, number]> = { queue: [220, 640], detail: [260, 720], timeline: [110, 420] };

interface Props {
  pane: keyof Panes;
  name: string;
  class: string;
  /** +1 when dragging right or down makes the pane larger. */
  sign: 1 | -1;
}

export function Splitter({ pane, name, class: place, sign }: Props) {
  const horizontal = pane === 'timeline';
  const [least, most] = LIMITS[pane];
  const set = (size: number): void => {
    panes.value = { ...panes.value, [pane]: Math.round(Math.min(most, Math.max(least, size))) };
  };
  const onDown = (down: PointerEvent): void => {
    const bar = down.currentTarget as HTMLElement;
    bar.setPointerCapture(down.pointerId);
    const from = horizontal ? down.clientY : down.clientX;
    const size = panes.value[pane];
    const move = (event: PointerEvent): void => set(size + sign * ((horizontal ? event.clientY : event.clientX) - from));
    bar.addEventListener('pointermove', move);
    bar.addEventListener('lostpointercapture', () => bar.removeEventListener('pointermove', move), { once: true });
  };
  const onKey = (event: KeyboardEvent): void => {
    const step = { ArrowLeft: -16, ArrowUp: -16, ArrowRight: 16, ArrowDown: 16 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    set(panes.value[pane] + sign * step);
  };
  return (
    <div
      class={`splitter ${place}`}
      role="separator"
      tabIndex={0}
      aria-label={name}
      aria-orientation={horizontal ? 'horizontal' : 'vertical'}
      aria-valuenow={panes.value[pane]}
      aria-valuemin={least}
      aria-valuemax={most}
      onPointerDown={onDown}
      onKeyDown={onKey}
    />
  );
}
