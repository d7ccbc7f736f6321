// Reports: each card asks for itself, says in one sentence what it found, and shows what made it. A report that cannot be made says what it needs.
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { getReport, reportAddress, type Query, type Report, type ReportName } from '../api/reports';
import { Figure } from '../components/Figure';
import { words } from '../live/investigate';
import { count, inCityDates, metres, sentence, span, t } from '../i18n';
import { coverageChart, falseChart, forecastChart, hourOfWeek, responseChart, volumeChart, type Chart } from './charts';

type Row = Record<string, unknown>;
const SHOWN = 200;
const number = (value: unknown): number => (typeof value === 'number' ? value : Number.NaN);
const percent = (share: unknown): string => (typeof share === 'number' ? `${(share * 100).toFixed(share > 0.995 && share < 1 ? 2 : 1)} %` : '–');
const seconds = (value: unknown): string => (typeof value === 'number' ? span(value * 1000) : '–');

/** `long`: a span long enough for baselines; `query`: the span that was asked for. */
export function Reports({ query, long }: { query: Query; long: Query }) {
  const timeOnly = { from: query.from, to: query.to };
  return (
    <div class="sheets" data-testid="reports">
      <ReportCard name="forecast" query={{ ...long, days: 3 }} title={t('rep.forecast')} draw={forecastChart} say={sayForecast} keys={<ForecastKey />} />
      <ReportCard name="volume" query={long} title={t('rep.volume')} draw={volumeChart} say={sayVolume} keys={<VolumeKey />} />
      <Responses query={query} />
      <ReportCard name="feeds" query={timeOnly} title={t('rep.feeds')} say={sayFeeds} body={feedTable} />
      <ReportCard name="false-alarms" query={timeOnly} title={t('rep.false')} draw={falseChart} say={sayFalse} keys={<FalseKey />} />
      <ReportCard name="coverage" query={{}} title={t('rep.coverage')} draw={coverageChart} say={sayCoverage} />
    </div>
  );
}

interface CardProps {
  name: ReportName;
  query: Query;
  title: string;
  draw?: (report: Report) => Chart | null;
  body?: (report: Report) => ComponentChildren;
  say: (report: Report) => string;
  keys?: ComponentChildren;
  children?: ComponentChildren;
}

function ReportCard({ name, query, title, draw, body, say, keys, children }: CardProps) {
  const [report, setReport] = useState<Report | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const asked = JSON.stringify(query);
  useEffect(() => {
    const leave = new AbortController();
    setFailure(null);
    setReport(null);
    getReport(name, JSON.parse(asked) as Query, leave.signal)
      .then(setReport)
      .catch((error: unknown) => leave.signal.aborted || setFailure(words(error)));
    return () => leave.abort();
  }, [name, asked]);
  const chart = useMemo(() => (report && draw && report.rows.length > 0 ? draw(report) : null), [report, draw]);
  return (
    <section class="sheet" aria-label={title} data-report={name} data-state={report ? 'done' : failure === null ? 'asking' : 'refused'}>
      <h2>{title}</h2>
      {children}
      {report === null && failure === null && <p class="muted">{t('inv.busy')}</p>}
      {failure !== null && <Cannot name={name} reason={failure} />}
      {report && (
        <>
          <p>{say(report)}</p>
          {chart && <Figure make={chart} label={`${title}. ${say(report)}`} />}
          {chart && keys}
          {body?.(report)}
          <Behind report={report} title={title} query={query} />
        </>
      )}
    </section>
  );
}

/** A report that cannot be made here: what it needs, and how to give it. */
function Cannot({ name, reason }: { name: ReportName; reason: string }) {
  return (
    <div class="cannot">
      <p>
        <b>{t('rep.cannot')}</b> {sentence(reason.replace(/^[a-z]+: /, ''))}
      </p>
      <p class="muted">{t(`rep.teach.${name}` as 'rep.teach.feeds')}</p>
    </div>
  );
}

function Behind({ report, title, query }: { report: Report; title: string; query: Query }) {
  return (
    <>
      {report.notes.map((note) => (
        <p key={note} class="muted note">
          {sentence(inCityDates(note))}
        </p>
      ))}
      <p class="muted note">{t('rep.zone', { zone: report.timezone })}</p>
      <p class="no-print take">
        <a href={reportAddress(report.name as ReportName, query, 'csv')} download>
          {t('format.csv')}
        </a>
        <a href={reportAddress(report.name as ReportName, query, 'parquet')} download>
          {t('rep.parquet')}
        </a>
      </p>
      {report.rows.length > 0 && <Numbers report={report} title={title} />}
      <details class="no-print">
        <summary>{t('ana.query')}</summary>
        <pre tabIndex={0} role="group" aria-label={`${t('ana.query')}: ${title}`}>
          {[report.command, ...report.queries].join('\n\n')}
        </pre>
      </details>
    </>
  );
}

function Numbers({ report, title }: { report: Report; title: string }) {
  const columns = Object.keys(report.rows[0] ?? {});
  return (
    <details class="numbers no-print">
      <summary>{t('chart.numbers')}</summary>
      <div class="wide" role="group" tabIndex={0} aria-label={`${t('chart.numbers')}: ${title}`}>
        <table>
          <thead>
            <tr>
              {columns.map((column) => (
                <th key={column} scope="col">
                  {column.replaceAll('_', ' ')}
                  {report.units[column] && <span class="unit"> {report.units[column]}</span>}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {report.rows.slice(0, SHOWN).map((row, i) => (
              <tr key={i}>
                {columns.map((column) => (
                  <td key={column}>{cellText(row[column])}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {report.rows.length > SHOWN && <p class="muted">{t('rep.more', { n: report.rows.length - SHOWN })}</p>}
    </details>
  );
}

const cellText = (value: unknown): string => (value === null || value === undefined ? '' : typeof value === 'number' ? count(value) : String(value));

function Responses({ query }: { query: Query }) {
  const [ends, setEnds] = useState('arrived');
  const [by, setBy] = useState('');
  const name = (event: Event): string => (event.currentTarget as HTMLInputElement).value.trim();
  return (
    <ReportCard name="responses" query={{ ...query, ends: ends || 'arrived', by: by || undefined }} title={t('rep.responses')} draw={responseChart} say={sayResponses} keys={<ResponseKey several={by !== ''} />}>
      <p class="no-print choose">
        <label class="inline">
          {t('rep.ends')}
          <input type="text" value={ends} onChange={(event) => setEnds(name(event))} />
        </label>
        <label class="inline">
          {t('rep.by')}
          <input type="text" value={by} placeholder={t('rep.allTogether')} onChange={(event) => setBy(name(event))} />
        </label>
      </p>
    </ReportCard>
  );
}

const Key = ({ children }: { children: ComponentChildren }) => <p class="key">{children}</p>;
const Mark = ({ kind, children }: { kind: string; children: ComponentChildren }) => (
  <span class="nowrap">
    <i class={`sw sw-${kind}`} aria-hidden="true" /> {children}
  </span>
);
const ForecastKey = () => (
  <Key>
    <Mark kind="line">{t('rep.key.expected')}</Mark> <Mark kind="band">{t('rep.key.band')}</Mark> <Mark kind="dot">{t('rep.key.actual')}</Mark>
  </Key>
);
const VolumeKey = () => (
  <Key>
    <Mark kind="line">{t('rep.key.last')}</Mark> <Mark kind="grey">{t('rep.key.usual')}</Mark> <Mark kind="ring">{t('rep.key.unusual')}</Mark>
  </Key>
);
const FalseKey = () => (
  <Key>
    <Mark kind="grey">{t('rep.retracted')}</Mark> <Mark kind="loud">{t('rep.closedFalse')}</Mark>
  </Key>
);
const ResponseKey = ({ several }: { several: boolean }) => <Key>{t(several ? 'rep.key.cells' : 'rep.key.percentiles')}</Key>;

function sayForecast({ facts, rows }: Report): string {
  const coming = rows.slice(rows.findLastIndex((row) => typeof row.actual === 'number') + 1);
  const total = Math.round(coming.reduce((sum, row) => sum + number(row.expected), 0));
  return t('rep.say.forecast', {
    total,
    days: Math.round(number(facts.horizon_hours) / 24),
    method: String(facts.method),
    error: number(facts.mean_absolute_error).toFixed(2),
    naive: number(facts.seasonal_naive_error).toFixed(2),
    better: Math.round(number(facts.better_than_naive) * 100),
    origins: number(facts.origins),
  });
}

function sayVolume({ facts, rows }: Report): string {
  const unusual = rows.filter((row) => row.unusual === true);
  const loudest = [...unusual].sort((a, b) => Math.abs(number(b.deviations)) - Math.abs(number(a.deviations)))[0];
  const said = t('rep.say.volume', { n: unusual.length, weeks: number(facts.weeks_before).toFixed(0) });
  if (!loudest) return said;
  return `${said} ${t('rep.say.loudest', { hour: hourOfWeek(number(loudest.hour_of_week)), last: count(number(loudest.last)), usual: number(loudest.usual).toFixed(1) })}`;
}

const sayResponses = ({ facts }: Report): string => t('rep.say.responses', { n: number(facts.calls), stations: number(facts.stations) });

function sayFeeds({ rows }: Report): string {
  const poor = rows.filter((row) => typeof row.uptime === 'number' && row.uptime < 0.99);
  return t('rep.say.feeds', { n: rows.length, poor: poor.length });
}

const sayFalse = ({ rows }: Report): string => {
  const nothing = rows.reduce((sum, row) => sum + number(row.retracted) + number(row.closed_as_false), 0);
  return rows.length === 0 ? t('rep.say.noAlerts') : t('rep.say.false', { n: nothing, sources: rows.length });
};

const sayCoverage = ({ facts }: Report): string =>
  t('rep.say.coverage', { people: number(facts.people), stations: number(facts.stations), half: metres(number(facts.half_within_m)), most: metres(number(facts.nine_of_ten_within_m)) });

function feedTable({ rows }: Report): ComponentChildren {
  if (rows.length === 0) return <p class="empty">{t('rep.noFeeds')}</p>;
  return (
    <div class="over" role="group" tabIndex={0} aria-label={t('rep.feeds')}>
      <table class="ranked">
        <thead>
          <tr>
            <th>{t('inv.feed')}</th>
            <th>{t('rep.uptime')}</th>
            <th class="num">{t('rep.gap')}</th>
            <th class="num">{t('rep.delay')}</th>
            <th class="num">{t('ana.events')}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row: Row) => (
            <tr key={String(row.feed)}>
              <th scope="row">{String(row.feed)}</th>
              <td class="up" style={{ '--share': `${number(row.uptime) * 100 || 0}%` }}>
                {typeof row.uptime === 'number' ? percent(row.uptime) : t('rep.notDeclared')}
              </td>
              <td class="num">{seconds(row.longest_gap_s)}</td>
              <td class="num">
                {seconds(row.delay_p50_s)} / {seconds(row.delay_p95_s)}
              </td>
              <td class="num">{count(number(row.events))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
