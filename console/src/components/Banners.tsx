// Full-width lines under the strip that nobody can overlook: exercise, connection lost, looking at the past.
import { failure, link, silence } from '../live/link';
import { moment } from '../live/picture';
import { keptFrom, pastFailure, pastWhole } from '../live/replay';
import { now, reading, status, troubles } from '../live/store';
import { liveWaiting, replay, returnToLive } from '../live/playback';
import { isFixed, timeWindow } from '../live/view';
import { clock, count, dateTime, moment as atMoment, sentence, span, t } from '../i18n';

export function Banners() {
  return (
    <>
      <Exercise />
      <Running />
      <Lost />
      <Troubles />
      <Past />
      <Replayed />
    </>
  );
}

function Exercise() {
  const found = status.value;
  if (found?.mode !== 'exercise') return null;
  const { title, end } = found.exercise ?? { title: found.city.title, end: 0 };
  return (
    <section class="banner exercise" aria-label={t('banner.exercise')} data-testid="exercise">
      <b>{t('banner.exercise')}</b>
      <span>{t(end > 0 && now.value > end ? 'banner.exerciseOver' : 'banner.exerciseText', { title, speed: count(reading.value?.speed ?? 1), end: atMoment(end, now.value) })}</span>
    </section>
  );
}

/** An exercise beside real life. */
function Running() {
  const run = status.value?.running;
  if (!run) return null;
  return (
    <section class="banner running" aria-label={t('ex.running')} data-testid="running">
      <b class="ex-mark">{t('ex.mark')}</b>
      <span>{t('ex.runningText', { title: run.title, by: run.by })}</span>
      <span class="grow" />
      <a href="#exercises">{t('screen.exercises')}</a>
    </section>
  );
}

function Lost() {
  if (link.value === 'up') return null;
  const known = reading.value;
  if (link.value === 'connecting' || !known) {
    return failure.value === null ? null : <div class="banner lost" role="alert">{t('app.failed')} {failure.value}</div>;
  }
  return (
    <div class="banner lost" data-testid="lost">
      <span aria-hidden="true">{t('banner.lost', { age: span(silence.value), time: clock(known.now) })}</span>
      {/* said once: an age that is read out every second drowns everything else */}
      <span class="sr" role="alert">
        {t('banner.lostSaid', { time: clock(known.now) })}
      </span>
    </div>
  );
}

/** The node answers, and not all of it works. */
function Troubles() {
  if (link.value !== 'up' || troubles.value.length === 0) return null;
  return (
    <div class="banner lost" role="alert" data-testid="troubles">
      <b>{t('banner.trouble')}</b>
      {troubles.value.map((words) => (
        <span key={words}>{sentence(words)}</span>
      ))}
    </div>
  );
}

function Replayed() {
  const shown = replay.value;
  if (shown === null) return null;
  const { unacknowledged, since } = liveWaiting.value;
  const pace = shown.loading ? t('replay.loading') : shown.ended ? t('replay.ended') : shown.playing ? t('replay.pace', { rate: shown.rate }) : t('replay.paused');
  return (
    <section class="banner replayed" aria-label={t('strip.replay')} data-testid="replay">
      <b>{t('strip.replay')}</b>
      <span>{t('replay.text', { time: dateTime(moment.value), pace, order: t(`replay.${shown.by}`) })}</span>
      {shown.notes.map((note) => (
        <span key={note}>{note}</span>
      ))}
      <span class="grow" />
      <span class={since > 0 ? 'waits new' : 'waits'} role="status" data-testid="live-waiting">
        {since > 0 ? t('replay.liveNew', { n: since }) : t('replay.live', { n: unacknowledged })}
      </span>
      <button type="button" onClick={returnToLive}>
        {t('banner.return')}
        <kbd>L</kbd>
      </button>
    </section>
  );
}

function Past() {
  if (!isFixed.value) return null;
  return (
    <div class="banner past" role="status" data-testid="fixed">
      <span>{t('banner.fixed', { time: atMoment(moment.value, now.value), age: span(now.value - moment.value) })}</span>
      {!pastWhole.value && <span>{t('banner.tooMany', { n: 3000 })}</span>}
      {keptFrom.value !== null && keptFrom.value > timeWindow.value.from && (
        <span>{t('banner.notKept', { time: atMoment(keptFrom.value, now.value) })}</span>
      )}
      {pastFailure.value !== null && <span>{pastFailure.value}</span>}
      <span class="grow" />
      <button type="button" onClick={returnToLive}>
        {t('banner.return')}
        <kbd>L</kbd>
      </button>
    </div>
  );
}
