// Analytics: what the archive says in numbers. Every chart shows the question that made it, can be taken along as a file, and printed.
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { signal } from '@preact/signals';
import { askSql, cellsAddress, filterQuery, getCells, getSeries, seriesAddress, type Amount, type Answer, type ArchiveFilter, type Cell, type Table } from '../api/archive';
import { Bars, Heat } from '../components/Chart';
import { every } from '../model/steps';
import { Reports } from './Reports';
import { weekday } from './charts';
import type { Query } from '../api/reports';
import { words } from '../live/investigate';
import { feeds, now } from '../live/store';
import { clockMinute, count, dateTime, day, fromField, t, toField } from '../i18n';

const DAY_MS = 86_400_000;
const RANGES = [1, 7, 30, 90, 365] as const;
/** A baseline of hours of the week needs so many days. */
const BASELINE = 91;
const HOURS = Array.from({ length: 24 }, (_, hour) => String(hour));

interface Sheet {
  perStep: Answer<Amount>;
  week: Answer<Amount>;
  byKind: Answer<Amount>;
  byFeed: Answer<Amount>;
  cells: Answer<Cell>;
}

const range = signal<number>(30);
const until = signal<number | null>(null);
const kind = signal('');
const shown = signal<{ filter: ArchiveFilter; sheet: Sheet } | null>(null);
const failure = signal<string | null>(null);
const busy = signal(false);

async function ask(): Promise<void> {
  const to = Math.ceil((until.peek() ?? now.peek()) / 3_600_000) * 3_600_000; // whole hours: answered from rollups
  const filter: ArchiveFilter = { from: to - range.peek() * DAY_MS, to, kind: kind.peek(), feed: '', text: '', severity: 0, box: null };
  busy.value = true;
  failure.value = null;
  try {
    const step = range.peek() > 14 ? 'day' : 'hour';
    const [perStep, week, byKind, byFeed, cells] = await Promise.all([
      getSeries(step, '', filter),
      getSeries('hour-of-week', '', filter),
      getSeries('day', 'kind', filter),
      getSeries('day', 'feed', filter),
      getCells(filter),
    ]);
    shown.value = { filter, sheet: { perStep, week, byKind, byFeed, cells } };
  } catch (error) {
    failure.value = words(error);
  }
  busy.value = false;
}

export function Analytics() {
  useEffect(() => {
    if (shown.peek() !== null) return;
    if (feeds.peek().some((feed) => feed.kinds.some((one) => /^call(\.|$)/.test(one)))) kind.value = 'call'; // demand is of calls, where there are any
    void ask();
  }, []);
  const found = shown.value;
  return (
    <main class="page analytics">
      <h1>{t('screen.analytics')}</h1>
      <form
        class="choose no-print"
        onSubmit={(event) => {
          event.preventDefault();
          void ask();
        }}
      >
        <label class="inline">
          {t('ana.range')}
          <select value={String(range.value)} onChange={(event) => (range.value = Number(event.currentTarget.value))}>
            {RANGES.map((days) => (
              <option key={days} value={String(days)}>
                {t('ana.days', { n: days })}
              </option>
            ))}
          </select>
        </label>
        <label class="inline">
          {t('ana.until')}
          <input type="datetime-local" title={t('ana.now')} value={toField(until.value)} onChange={(event) => (until.value = fromField(event.currentTarget.value))} />
        </label>
        <label class="inline">
          {t('inv.kind')}
          <input list="all-kinds" value={kind.value} placeholder={t('inv.kindHint')} onInput={(event) => (kind.value = event.currentTarget.value.trim())} />
        </label>
        <datalist id="all-kinds">
          {[...new Set(feeds.value.flatMap((feed) => feed.kinds))].sort().map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
        <button type="submit" class="primary" aria-disabled={busy.value}>
          {t('inv.ask')}
        </button>
        <button type="button" onClick={() => window.print()}>
          {t('ex.print')}
        </button>
      </form>
      <div role="status">
        {busy.value && <p>{t('inv.busy')}</p>}
        {failure.value !== null && <p class="flag">{failure.value}</p>}
      </div>
      {found && (
        <>
          <p class="muted">
            {t('ana.span', { from: dateTime(found.filter.from ?? 0), to: dateTime(found.filter.to ?? 0) })} {found.filter.kind && t('ana.of', { kind: found.filter.kind })}
          </p>
          <h2 class="part">{t('rep.title')}</h2>
          <Reports query={asked(found.filter)} long={asked({ ...found.filter, from: Math.min(found.filter.from ?? 0, (found.filter.to ?? 0) - BASELINE * DAY_MS) })} />
          <h2 class="part">{t('rep.counts')}</h2>
          <Sheets filter={found.filter} sheet={found.sheet} />
        </>
      )}
      <Sql />
    </main>
  );
}

function Sheets({ filter, sheet }: { filter: ArchiveFilter; sheet: Sheet }) {
  const step = (filter.to ?? 0) - (filter.from ?? 0) > 14 * DAY_MS ? 'day' : 'hour';
  const label = (at: number): string => (step === 'hour' ? `${day(at)}, ${clockMinute(at)}` : day(at));
  return (
    <div class="sheets">
      <Card title={t(step === 'hour' ? 'ana.perHour' : 'ana.perDay')} sql={sheet.perStep.sql} link={seriesAddress(step, '', filter)} empty={sheet.perStep.items.length === 0}>
        <Bars name={t('ana.events')} bars={every(sheet.perStep.items, step).map((one) => ({ label: label(one.start), value: one.rows }))} />
      </Card>
      <Card title={t('ana.week')} sql={sheet.week.sql} link={seriesAddress('hour-of-week', '', filter)} empty={sheet.week.items.length === 0}>
        <Heat name={t('ana.week')} rows={weekdays()} columns={HOURS} values={byWeek(sheet.week.items)} />
      </Card>
      <Card title={t('ana.byKind')} sql={sheet.byKind.sql} link={seriesAddress('day', 'kind', filter)} empty={sheet.byKind.items.length === 0}>
        <Ranked rows={totals(sheet.byKind.items)} />
      </Card>
      <Card title={t('ana.byFeed')} sql={sheet.byFeed.sql} link={seriesAddress('day', 'feed', filter)} empty={sheet.byFeed.items.length === 0}>
        <Ranked rows={totals(sheet.byFeed.items)} />
      </Card>
      <Card title={t('ana.cells')} sql={sheet.cells.sql} link={cellsAddress(filter)} empty={sheet.cells.items.length === 0}>
        <Ranked rows={sheet.cells.items.map((cell) => [t('detail.coordinates', { lat: ((cell.box[1] + cell.box[3]) / 2).toFixed(4), lon: ((cell.box[0] + cell.box[2]) / 2).toFixed(4) }), cell.rows])} />
      </Card>
    </div>
  );
}

function Card({ title, sql, link, empty, children }: { title: string; sql: string; link: string; empty: boolean; children: ComponentChildren }) {
  return (
    <section class="sheet" aria-label={title}>
      <h2>{title}</h2>
      {empty ? <p class="empty">{t('ana.nothing')}</p> : children}
      <p class="no-print">
        <a href={link} download>
          {t('format.csv')}
        </a>
      </p>
      <details>
        <summary>{t('ana.query')}</summary>
        <pre tabIndex={0} role="group" aria-label={`${t('ana.query')}: ${title}`}>
          {sql}
        </pre>
      </details>
    </section>
  );
}

function Ranked({ rows }: { rows: [string, number][] }) {
  const most = Math.max(1, ...rows.map(([, value]) => value));
  return (
    <table class="ranked">
      <tbody>
        {rows.slice(0, 12).map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td class="measure" style={{ '--share': `${(value / most) * 100}%` }}>
              <span>{count(value)}</span>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function totals(amounts: readonly Amount[]): [string, number][] {
  const sums = new Map<string, number>();
  for (const one of amounts) sums.set(one.split, (sums.get(one.split) ?? 0) + one.rows);
  return [...sums].sort((a, b) => b[1] - a[1]);
}

function byWeek(amounts: readonly Amount[]): number[][] {
  const values = Array.from({ length: 7 }, () => Array.from({ length: 24 }, () => 0));
  for (const one of amounts) {
    const row = values[Math.floor(one.start / 24) % 7];
    if (row) row[one.start % 24] = one.rows;
  }
  return values;
}

const weekdays = (): string[] => Array.from({ length: 7 }, (_, day) => weekday(day));

const asked = (filter: ArchiveFilter): Query => {
  const { from, to, kind } = filterQuery(filter);
  return { from, to, kind };
};

const statement = signal("SELECT kind, count(*) AS events FROM events GROUP BY kind ORDER BY events DESC");
const table = signal<Table | null>(null);
const refused = signal<string | null>(null);
const much = signal(false);

async function run(): Promise<void> {
  refused.value = null;
  try {
    table.value = (await askSql(statement.peek(), much.peek())).table;
  } catch (error) {
    refused.value = words(error);
  }
}

function Sql() {
  const found = table.value;
  return (
    <section class="sheet no-print" aria-label={t('ana.sql')}>
      <h2>{t('ana.sql')}</h2>
      <p class="muted">{t('ana.sqlHint')}</p>
      <label class="sr" for="sql">
        {t('ana.sql')}
      </label>
      <textarea id="sql" rows={4} spellcheck={false} value={statement.value} onInput={(event) => (statement.value = event.currentTarget.value)} />
      <p class="inline">
        <button type="button" class="primary" onClick={() => void run()}>
          {t('inv.ask')}
        </button>
        <label class="inline">
          <input type="checkbox" checked={much.value} onChange={(event) => (much.value = event.currentTarget.checked)} />
          {t('ana.much')}
        </label>
      </p>
      {refused.value !== null && (
        <p class="flag" role="alert">
          {refused.value}
        </p>
      )}
      {found && (
        <div class="wide" role="group" tabIndex={0} aria-label={t('ana.answer')}>
          <table>
            <thead>
              <tr>
                {found.columns.map((name) => (
                  <th key={name}>{name}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {found.rows.map((row, i) => (
                <tr key={i}>
                  {row.map((value, x) => (
                    <td key={x}>{value === null ? '' : String(value)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
