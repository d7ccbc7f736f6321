// The time conductor's face: look back by dragging, by keys or by playing; the way back to live is always one key.
import { useEffect, useRef } from 'preact/hooks';
import { effect, signal } from '@preact/signals';
import { counted, countsFailed } from '../live/counts';
import { allAlerts, moment, shownAlerts } from '../live/picture';
import { now } from '../live/store';
import { palette } from '../live/theme';
import { conductor, isLive, returnToLive, selected, setConductor, timeWindow } from '../live/view';
import { moment as atMoment, t } from '../i18n';
import { RATES, scrub, setPlaying, setRate, WINDOWS_MS, withSpan, zoomTo } from '../model/conductor';
import { draw, xToTime } from './timelineDraw';

export function Timeline() {
  const { from, to } = timeWindow.value;
  return (
    <section class="timeline" aria-label={t('time.title')}>
      <div class="bar">
        <h2 class="pane">{t('time.title')}</h2>
        <span class="muted nowrap">{t('time.range', { from: atMoment(from, now.value), to: atMoment(to, now.value) })}</span>
        <label class="inline">
          <span class="muted">{t('time.window')}</span>
          <select value={String(conductor.value.span)} onChange={(event) => setConductor(withSpan(conductor.value, Number(event.currentTarget.value)))}>
            {WINDOWS_MS.map((span) => (
              <option key={span} value={String(span)}>
                {t('time.windowHours', { n: span / 3_600_000 })}
              </option>
            ))}
          </select>
        </label>
        {countsFailed.value && <span class="muted">{t('time.failed')}</span>}
        <span class="grow" />
        <Player />
      </div>
      <Track />
    </section>
  );
}

function Player() {
  const current = conductor.value;
  if (current.mode === 'live') return <span class="muted hint">{t('time.cursorHint')}</span>;
  return (
    <span class="inline">
      <button type="button" onClick={() => setConductor(setPlaying(current, !current.playing))}>
        {current.playing ? t('time.pause') : t('time.play')}
      </button>
      <label class="inline">
        <span class="muted">{t('time.rate')}</span>
        <select value={String(current.rate)} onChange={(event) => setConductor(setRate(current, Number(event.currentTarget.value)))}>
          {RATES.map((rate) => (
            <option key={rate} value={String(rate)}>
              {t('time.rateTimes', { rate })}
            </option>
          ))}
        </select>
      </label>
      <button type="button" class="primary" onClick={returnToLive}>
        {t('banner.return')}
        <kbd>L</kbd>
      </button>
    </span>
  );
}

const brush = signal<[number, number] | null>(null);

function Track() {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const face = canvas.current;
    if (!face) return;
    const size = signal(0);
    const watch = new ResizeObserver(() => (size.value += 1));
    watch.observe(face);
    const stop = effect(() => {
      void size.value;
      draw(face, {
        window: timeWindow.value,
        live: isLive.value,
        counted: counted.value,
        alerts: isLive.value ? shownAlerts.value : allAlerts.value,
        chosen: selected.value,
        brush: brush.value,
        palette: palette.value,
      });
    });
    return () => {
      stop();
      watch.disconnect();
    };
  }, []);
  const { from, to } = timeWindow.value;
  return (
    <div
      class="track"
      role="slider"
      tabIndex={0}
      data-testid="scrub"
      aria-label={t('time.cursor')}
      aria-valuemin={from}
      aria-valuemax={to}
      aria-valuenow={Math.round(moment.value)}
      aria-valuetext={atMoment(moment.value, now.value)}
      onPointerDown={onDown}
      onKeyDown={onKey}
    >
      <canvas ref={canvas} aria-hidden="true" />
    </div>
  );
}

function onDown(down: PointerEvent): void {
  if (down.button !== 0) return;
  const track = down.currentTarget as HTMLElement;
  const box = track.getBoundingClientRect();
  // the window is frozen at the first touch: the picture must not slide away under the hand
  const frozen = scrub(conductor.peek(), now.peek(), xToTime(down.clientX - box.left, timeWindow.peek(), box.width));
  setConductor(frozen);
  const at = (event: PointerEvent): number => xToTime(event.clientX - box.left, timeWindow.peek(), box.width);
  const start = at(down);
  track.setPointerCapture(down.pointerId);
  const move = (event: PointerEvent): void => {
    if (event.shiftKey) brush.value = [start, at(event)];
    else setConductor(scrub(conductor.peek(), now.peek(), at(event)));
  };
  const end = (): void => {
    track.removeEventListener('pointermove', move);
    const range = brush.peek();
    brush.value = null;
    if (range) setConductor(zoomTo(conductor.peek(), now.peek(), range[0], range[1]));
  };
  track.addEventListener('pointermove', move);
  track.addEventListener('lostpointercapture', end, { once: true });
}

function onKey(event: KeyboardEvent): void {
  const current = conductor.peek();
  const { from, to } = timeWindow.peek();
  const small = (to - from) / 120;
  const step = { ArrowLeft: -small, ArrowDown: -small, ArrowRight: small, ArrowUp: small, PageDown: -10 * small, PageUp: 10 * small }[event.key];
  if (step !== undefined) setConductor(scrub(current, now.peek(), moment.peek() + step));
  else if (event.key === 'Home') setConductor(scrub(current, now.peek(), from));
  else if (event.key === 'End') setConductor(scrub(current, now.peek(), to));
  else if (event.key === ' ' && current.mode === 'fixed') setConductor(setPlaying(current, !current.playing));
  else return;
  event.preventDefault();
}
