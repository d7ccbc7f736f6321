// A rule tried on the city's own history: asked, watched, stopped, and what it would have rung for.
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { cancelBacktest, getBacktest, getBacktestResult, startBacktest, type BacktestJob, type BacktestResult } from '../api/backtest';
import { words } from '../live/investigate';
import { now, rules } from '../live/store';
import { count, dateTime, t } from '../i18n';
import { Bars } from './Chart';

const DAY_MS = 86_400_000;
const SPANS = [7, 30, 90, 365] as const;
const LOOK_MS = 700;

interface Tried {
  job: BacktestJob | null;
  result: BacktestResult | null;
  failure: string | null;
}

const EMPTY: Tried = { job: null, result: null, failure: null };
/** By rule; kept while the page is open. */
const tried = signal<Readonly<Record<string, Tried>>>({});
const set = (rule: string, part: Partial<Tried>): void => {
  tried.value = { ...tried.peek(), [rule]: { ...(tried.peek()[rule] ?? EMPTY), ...part } };
};
const goingOn = (job: BacktestJob | null): boolean => job?.state === 'waiting' || job?.state === 'running';

async function start(rule: string, form: FormData): Promise<void> {
  const text = (name: string): string | undefined => String(form.get(name) ?? '').trim() || undefined;
  set(rule, EMPTY);
  try {
    const to = now.peek();
    const question = { rule, from: new Date(to - Number(form.get('days')) * DAY_MS).toISOString(), to: new Date(to).toISOString() };
    set(rule, { job: await startBacktest({ ...question, against: text('against'), sweep: text('sweep'), incidents: text('incidents') }) });
  } catch (error) {
    set(rule, { failure: words(error) });
  }
}

async function look(rule: string, id: string): Promise<void> {
  try {
    const job = await getBacktest(id);
    set(rule, { job, failure: job.error });
    if (job.state === 'done') set(rule, { result: await getBacktestResult(id) });
  } catch (error) {
    set(rule, { failure: words(error) });
  }
}

async function stop(rule: string, id: string): Promise<void> {
  try {
    set(rule, { job: await cancelBacktest(id) });
  } catch (error) {
    set(rule, { failure: words(error) });
  }
}

export function Backtest({ rule }: { rule: string }) {
  const { job, result, failure } = tried.value[rule] ?? EMPTY;
  const running = goingOn(job);
  const id = job?.id ?? '';
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => void look(rule, id), LOOK_MS);
    return () => clearInterval(timer);
  }, [rule, id, running]);
  return (
    <details class="backtest">
      <summary>{t('bt.title')}</summary>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void start(rule, new FormData(event.currentTarget));
        }}
      >
        <label class="inline">
          {t('ana.range')}
          <select name="days">
            {SPANS.map((days) => (
              <option key={days} value={String(days)}>
                {t('ana.days', { n: days })}
              </option>
            ))}
          </select>
        </label>
        <label class="inline">
          {t('bt.against')}
          <select name="against">
            <option value="">{t('bt.none')}</option>
            {(rules.value ?? []).filter((one) => one.name !== rule).map((one) => (
              <option key={one.name} value={one.name}>
                {one.title}
              </option>
            ))}
          </select>
        </label>
        <label class="inline">
          {t('bt.sweep')}
          <input name="sweep" maxLength={400} placeholder="cluster.sources=2..6" />
        </label>
        <label class="inline">
          {t('bt.incidents')}
          <input name="incidents" maxLength={200} placeholder="incident.fire" />
        </label>
        <button type="submit" class="primary" disabled={running}>
          {t('bt.start')}
        </button>
      </form>
      <div role="status">
        {job && running && (
          <p>
            <progress max={1} value={job.done} aria-label={t('bt.progress')} /> {t('bt.going', { percent: Math.round(job.done * 100), n: job.alerts })}{' '}
            <button type="button" onClick={() => void stop(rule, job.id)}>
              {t('bt.stop')}
            </button>
          </p>
        )}
        {job?.state === 'cancelled' && <p>{t('bt.cancelled')}</p>}
        {failure !== null && <p class="flag">{failure}</p>}
      </div>
      {result && <Result result={result} />}
    </details>
  );
}

function Result({ result }: { result: BacktestResult }) {
  const { summary } = result;
  return (
    <section class="bt-result" aria-label={t('bt.result')} data-testid="backtest">
      <p>
        <b>{t('bt.summary', { n: summary.alerts, week: count(summary.perWeek), most: summary.mostInADay })}</b>
        {summary.retracted > 0 && ` ${t('bt.retracted', { n: summary.retracted })}`} {result.budget}
      </p>
      {result.incidents && <p>{t('bt.caught', { caught: result.incidents.caught, missed: result.incidents.missed })}</p>}
      {result.against && <p>{t('bt.diff', { both: result.against.both, a: result.against.onlyA, b: result.against.onlyB })}</p>}
      <Bars name={t('bt.perWeek')} bars={result.weeks.map((one) => ({ label: one.week, value: one.alerts }))} />
      {result.sources.length > 0 && <List title={t('bt.noisiest')} rows={result.sources.slice(0, 5).map((one) => [one.source, count(one.alerts)])} />}
      {result.near.length > 0 && <List title={t('bt.near', { n: result.nearTotal })} rows={result.near.slice(0, 5).map((one) => [dateTime(one.time), one.words])} />}
      {result.sweep.length > 0 && <List title={t('bt.swept')} rows={result.sweep.map((one) => [one.value, t('bt.perWeekOf', { n: count(one.perWeek) })])} />}
      {result.suggestion && <p>{result.suggestion}</p>}
      {result.notes.map((note) => (
        <p key={note} class="muted">
          {note}
        </p>
      ))}
    </section>
  );
}

function List({ title, rows }: { title: string; rows: [string, string][] }) {
  return (
    <>
      <h3>{title}</h3>
      <table>
        <tbody>
          {rows.map(([name, value]) => (
            <tr key={name + value}>
              <th scope="row">{name}</th>
              <td>{value}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
