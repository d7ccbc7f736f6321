// The time conductor's face: look back by dragging, by keys or by playing; the way back to live is always one key.
import { useEffect, useRef } from 'preact/hooks';
import { effect, signal } from '@preact/signals';
import { counted, countsFailed } from '../live/counts';
import { allAlerts, moment, shownAlerts } from '../live/picture';
import { now } from '../live/store';
import { palette } from '../live/theme';
import { begin, playPause, RATES as REPLAY_RATES, replay, replayAt, returnToLive, seek, seekingTo, steer } from '../live/playback';
import { conductor, isFixed, isLive, selected, setConductor, timeWindow } from '../live/view';
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
  if (current.mode === 'replay') return <ReplayPlayer />;
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
      <button type="button" data-testid="replay-here" title={t('replay.hereTitle')} onClick={() => void begin({ from: current.from, to: Math.max(current.to, current.at + current.span), at: current.at, rate: current.rate > 1 ? current.rate : 10 })}>
        {t('replay.here')}
      </button>
      <button type="button" class="primary" onClick={returnToLive}>
        {t('banner.return')}
        <kbd>L</kbd>
      </button>
    </span>
  );
}

function ReplayPlayer() {
  const current = replay.value;
  if (current === null) return null;
  return (
    <span class="inline">
      <button type="button" onClick={playPause} disabled={current.ended}>
        {current.playing && !current.ended ? t('time.pause') : t('time.play')}
        <kbd>P</kbd>
      </button>
      <label class="inline">
        <span class="muted">{t('time.rate')}</span>
        <select value={String(current.rate)} onChange={(event) => void steer({ rate: Number(event.currentTarget.value) })}>
          {[...new Set([...REPLAY_RATES, current.rate])].sort((a, b) => a - b).map((rate) => (
            <option key={rate} value={String(rate)}>
              {t('time.rateTimes', { rate })}
            </option>
          ))}
        </select>
      </label>
      <label class="inline">
        <span class="muted">{t('replay.order')}</span>
        <select value={current.by} onChange={(event) => void steer({ by: event.currentTarget.value === 'event' ? 'event' : 'known' })}>
          <option value="known">{t('replay.known')}</option>
          <option value="event">{t('replay.event')}</option>
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
        window: isFixed.value || isLive.value ? timeWindow.value : { ...timeWindow.value, at: replayAt.value },
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
  if (conductor.peek().mode === 'replay') return dragReplay(down, track, box);
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

/** In a replay the window stands still; the node goes where the cursor is let go. */
function dragReplay(down: PointerEvent, track: HTMLElement, box: DOMRect): void {
  const go = (event: PointerEvent): void => seek(xToTime(event.clientX - box.left, timeWindow.peek(), box.width));
  track.setPointerCapture(down.pointerId);
  track.addEventListener('pointermove', go);
  track.addEventListener('lostpointercapture', () => track.removeEventListener('pointermove', go), { once: true });
  go(down);
}

function onKey(event: KeyboardEvent): void {
  const current = conductor.peek();
  const goTo = (at: number): void => (current.mode === 'replay' ? seek(at) : setConductor(scrub(current, now.peek(), at)));
  const { from, to } = timeWindow.peek();
  const small = (to - from) / 120;
  const step = { ArrowLeft: -small, ArrowDown: -small, ArrowRight: small, ArrowUp: small, PageDown: -10 * small, PageUp: 10 * small }[event.key];
  if (step !== undefined) goTo((seekingTo.peek() ?? moment.peek()) + step);
  else if (event.key === 'Home') goTo(from);
  else if (event.key === 'End') goTo(to);
  else if (event.key === ' ' && current.mode === 'replay') playPause();
  else if (event.key === ' ' && current.mode === 'fixed') setConductor(setPlaying(current, !current.playing));
  else return;
  event.preventDefault();
}
