// Exercises: what can be practised, beginning and stopping one, and how each run went.
import { useEffect } from 'preact/hooks';
import { signal } from '@preact/signals';
import { getExercises, getScore, startExercise, stopExercise } from '../api/routes';
import { waiting } from '../live/actions';
import { now } from '../live/store';
import { duty } from '../live/view';
import { dateTime, span, t } from '../i18n';
import type { Detection, Exercises as Found, Scenario, Score } from '../model/types';

const found = signal<Found | null>(null);
const failed = signal<string | null>(null);
const score = signal<Score | null>(null);
const LOOK_MS = 4_000;

const words = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function load(): Promise<void> {
  try {
    found.value = await getExercises();
    const shown = score.peek();
    if (shown) score.value = await getScore(shown.run);
    failed.value = null;
  } catch (error) {
    failed.value = words(error);
  }
}

async function act(what: () => Promise<unknown>): Promise<void> {
  if (duty.value.trim() === '') {
    waiting.value = 'ask';
    return;
  }
  try {
    await what();
    await load();
  } catch (error) {
    failed.value = words(error);
  }
}

async function show(run: string): Promise<void> {
  try {
    score.value = await getScore(run);
    failed.value = null;
  } catch (error) {
    failed.value = words(error);
  }
}

export function Exercises() {
  useEffect(() => {
    void load();
    const timer = setInterval(() => void load(), LOOK_MS);
    return () => clearInterval(timer);
  }, []);
  const all = found.value;
  return (
    <main class="page">
      <h1>{t('screen.exercises')}</h1>
      <p class="muted">{t('ex.hint')}</p>
      {failed.value !== null && <p role="alert">{failed.value}</p>}
      {all?.items.length === 0 && <p>{t('ex.none')}</p>}
      <div class="cards">
        {(all?.items ?? []).map((one) => (
          <Card key={one.name} one={one} running={all?.running ?? null} />
        ))}
      </div>
      {all && all.runs.length > 0 && (
        <>
          <h2>{t('ex.runs')}</h2>
          <ul class="runs">
            {all.runs.slice(0, 20).map((run) => (
              <li key={run.run}>
                <button type="button" aria-pressed={score.value?.run === run.run} onClick={() => void show(run.run)}>
                  {run.title}
                </button>{' '}
                <span class="muted">{t('ex.runLine', { time: dateTime(run.began), by: run.by, why: run.ended === null ? t('ex.going') : run.why })}</span>
              </li>
            ))}
          </ul>
        </>
      )}
      {score.value && <ScoreSheet score={score.value} />}
    </main>
  );
}

function Card({ one, running }: { one: Scenario; running: { name: string; ends: number } | null }) {
  const mine = running?.name === one.name;
  return (
    <article class="card" aria-label={one.title}>
      <h2>{one.title}</h2>
      <p>{one.purpose}</p>
      <p class="meta">
        <span>{one.name}</span>
        <span>{t('ex.events', { n: one.events })}</span>
        <span>{t('ex.expected', { n: one.expected })}</span>
        <span>{span(one.runsMs)}</span>
      </p>
      {mine ? (
        <p>
          <b class="ex-mark">{t('ex.mark')}</b> {t('ex.left', { left: span(running.ends - now.value) })}{' '}
          <button type="button" onClick={() => void act(() => stopExercise(duty.value))}>
            {t('ex.stop')}
          </button>
        </p>
      ) : (
        <button type="button" class="primary" disabled={running !== null} onClick={() => void act(() => startExercise(one.name, duty.value))}>
          {t('ex.start')}
        </button>
      )}
    </article>
  );
}

function ScoreSheet({ score: sheet }: { score: Score }) {
  const { summary } = sheet;
  return (
    <section aria-label={t('ex.score')} class="score" data-testid="score">
      <h2>
        <b class="ex-mark">{t('ex.mark')}</b> {t('ex.scoreOf', { title: sheet.title, time: dateTime(sheet.began) })}
      </h2>
      <p>{t('ex.summary', { detected: summary.detected, late: summary.late, missed: summary.missed, wrong: summary.false, expected: summary.expected })}</p>
      <div class="wide" role="group" aria-label={t('ex.scoreTable')} tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th>{t('ex.what')}</th>
              <th>{t('ex.verdict')}</th>
              <th>{t('ex.toAlert')}</th>
              <th>{t('ex.toAck')}</th>
              <th>{t('ex.who')}</th>
            </tr>
          </thead>
          <tbody>
            {sheet.detections.map((one) => (
              <Row key={one.name} one={one} />
            ))}
            {sheet.wrong.map((one) => (
              <tr key={one.headline}>
                <td>{one.headline}</td>
                <td>✕ {t('ex.false')}</td>
                <td colSpan={3} class="muted">
                  {t('ex.falseAt', { time: span(one.atMs), rule: one.rule })}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <button type="button" class="no-print" onClick={() => window.print()}>
        {t('ex.print')}
      </button>
    </section>
  );
}

/** To the second: a minute and a half is not a minute. */
function exact(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? t('ex.seconds', { s: seconds }) : t('ex.minutes', { m: Math.floor(seconds / 60), s: seconds % 60 });
}

const SIGNS = { detected: '✓', late: '◷', missed: '✕' } as const;
const against = (took: number | null, target: number | null): string =>
  took === null ? t('ex.never') : target === null ? exact(took) : t('ex.of', { took: exact(took), target: exact(target) });

function Row({ one }: { one: Detection }) {
  return (
    <tr>
      <td>
        {one.name}
        <br />
        <span class="muted">{one.rule}</span>
      </td>
      <td class="nowrap">
        {SIGNS[one.verdict]} {t(`ex.${one.verdict}`)}
      </td>
      <td>{against(one.alertMs, one.alertTargetMs)}</td>
      <td>
        {against(one.ackMs, one.ackTargetMs)}
        {one.ackInTime === false && one.ackMs !== null && <b class="besides"> {t('ex.tooLate')}</b>}
      </td>
      <td>{one.by ?? '–'}</td>
    </tr>
  );
}
