// What a back-test found: how often and where it would have rung, what it would have caught, what it only just did not ring for.
import type { ComponentChildren } from 'preact';
import type { BacktestResult, Caught, Incidents, Moment, NearMiss } from '../api/backtest';
import { aroundPlace } from '../live/investigate';
import { plainOptions } from '../live/backtest';
import { count, dateTime, inCityDates, measure, metres, sentence, span, t } from '../i18n';
import { Bars } from './Chart';
import { PlacesMap } from './PlacesMap';

export function BacktestFigures({ result }: { result: BacktestResult }) {
  return (
    <section class="bt-result" aria-label={t('bt.result')} data-testid="backtest">
      <Verdict result={result} />
      <div class="bt-sheets">
        {result.summary.alerts > 0 && <OverTime result={result} />}
        {result.places.length > 0 && (
          <Part title={t('bt.places')}>
            <PlacesMap places={result.places} />
          </Part>
        )}
        {result.incidents && <Real found={result.incidents} />}
        {result.near.length > 0 && <Near result={result} />}
        {result.against && <Compared result={result} />}
        {result.sources.length > 0 && (
          <Part title={t('bt.noisiest')}>
            <Table name={t('bt.noisiest')} heads={[t('bt.source'), t('bt.alerts'), t('bt.share')]} rows={result.sources.map((one) => [one.source, count(one.alerts), percent(one.share)])} />
          </Part>
        )}
        <Swept result={result} />
      </div>
    </section>
  );
}

function OverTime({ result }: { result: BacktestResult }) {
  return (
    <Part title={t('bt.perDay')}>
      <Bars name={t('bt.perDay')} bars={result.days.map((one) => ({ label: one.day, value: one.alerts }))} />
      {result.weeks.length > 1 && (
        <>
          <h4>{t('bt.perWeek')}</h4>
          <Bars name={t('bt.perWeek')} bars={result.weeks.map((one) => ({ label: one.week, value: one.alerts }))} />
        </>
      )}
    </Part>
  );
}

const percent = (share: number): string => t('bt.percent', { percent: Math.round(share * 100) });

function Verdict({ result }: { result: BacktestResult }) {
  const { summary, budget } = result;
  const when = { from: dateTime(result.from), to: dateTime(result.to) };
  return (
    <>
      <p class="verdict">
        <b>{summary.alerts === 0 ? t('bt.silent') : t('bt.summary', { n: summary.alerts, week: count(summary.perWeek), most: summary.mostInADay })}</b>
        {summary.retracted > 0 && ` ${t('bt.retracted', { n: summary.retracted })}`}
      </p>
      <p class={budget?.exceeds ? 'flag' : ''}>{budget ? sentence(inCityDates(budget.words)) : t('bt.noBudget')}</p>
      <p class="muted">
        {t('bt.what', { title: result.title, version: result.version })} {t(result.order === 'time' ? 'bt.spanTime' : 'bt.spanJournal', when)}
      </p>
      {result.notes.map((note) => (
        <p key={note}>
          {t('bt.note')} {sentence(plainOptions(inCityDates(note)))}
        </p>
      ))}
    </>
  );
}

/** Before or after, the way one says it. */
const early = (ms: number): string => (ms > 0 ? t('bt.before', { span: span(ms) }) : ms < 0 ? t('bt.after', { span: span(-ms) }) : t('bt.same'));
const later = (ms: number): string => (ms > 0 ? t('bt.laterBy', { span: span(ms) }) : ms < 0 ? t('bt.earlierBy', { span: span(-ms) }) : t('bt.same'));

function Real({ found }: { found: Incidents }) {
  const said = { caught: found.caught, n: found.total, share: percent(found.share), missed: found.missed, idle: found.idle };
  return (
    <Part title={t('bt.real', { kind: found.kind })}>
      <p>{found.total === 0 ? t('bt.noReal') : <b>{t('bt.caught', said)}</b>}</p>
      {found.earlyMs !== null && <p>{t('bt.early', { median: early(found.earlyMs), before: found.before, caught: found.caught })}</p>}
      {found.missedList.length > 0 && (
        <>
          <h4>{t('bt.missed', { n: found.missed })}</h4>
          <Moments name={t('bt.missed', { n: found.missed })} rows={found.missedList} of={found.missed} />
        </>
      )}
      {found.caughtList.length > 0 && <CaughtList rows={found.caughtList} n={found.caught} />}
      <p class="muted">{sentence(found.rule)}</p>
    </Part>
  );
}

function CaughtList({ rows, n }: { rows: Caught[]; n: number }) {
  const name = t('bt.caughtList', { n });
  return (
    <details>
      <summary>{name}</summary>
      <Table name={name} heads={[t('bt.when'), t('bt.whatCol'), t('bt.known'), t('bt.apart')]} rows={rows.map((one) => [dateTime(one.time), one.words, early(one.earlyMs), metres(one.apartM)])} />
    </details>
  );
}

/** A number of a near miss in its unit; where sources or events are counted, the threshold says so already. */
const amount = (value: number, { unit, threshold }: NearMiss): string =>
  unit === 's' ? span(value * 1000) : unit === 'm' ? metres(value) : measure(value, threshold.startsWith(unit) ? null : unit);
const short = (one: NearMiss): string => (one.short === null ? t('bt.atMost', { percent: Math.round(one.relative * 100) }) : amount(one.short, one));

function Near({ result }: { result: BacktestResult }) {
  const { near, nearTotal: n, nearBy } = result;
  const name = t('bt.near', { n });
  const by = nearBy.map((one) => `${one.threshold} ${count(one.n)}`).join(', ');
  return (
    <Part title={name}>
      <p>
        {t('bt.nearHint')} {t('bt.nearBy', { by })} {n > near.length && t('bt.nearest', { n: near.length })}
      </p>
      <Table
        name={name}
        heads={[t('bt.whenWhere'), t('bt.threshold'), t('bt.found'), t('bt.needed'), t('bt.short')]}
        rows={near.map((one) => [
          <>
            {dateTime(one.time)} <Place at={one} />
          </>,
          one.threshold,
          one.found === null ? t('bt.unknown') : amount(one.found, one),
          amount(one.needed, one),
          <b key="short">{short(one)}</b>,
        ])}
      />
    </Part>
  );
}

function Compared({ result }: { result: BacktestResult }) {
  const { against } = result;
  if (against === null) return null;
  const lists: [string, Moment[], number][] = [
    [t('bt.onlyThis', { n: against.onlyThis }), against.thisList, against.onlyThis],
    [t('bt.onlyOther', { n: against.onlyOther }), against.otherList, against.onlyOther],
  ];
  return (
    <Part title={against.name === result.name ? t('bt.comparedOwn') : t('bt.compared', { title: against.name })}>
      <p>
        <b>{t('bt.diff', { both: against.both, a: against.onlyThis, b: against.onlyOther })}</b> {against.laterMs !== null && t('bt.later', { median: later(against.laterMs) })}
      </p>
      {lists.map(([name, rows, of]) => rows.length > 0 && (
        <div key={name}>
          <h4>{name}</h4>
          <Moments name={name} rows={rows} of={of} />
        </div>
      ))}
    </Part>
  );
}

function Swept({ result }: { result: BacktestResult }) {
  const { sweep } = result;
  if (sweep === null) return null;
  const withReal = sweep.rows.some((row) => row.caught !== null);
  const real = withReal ? [t('bt.caughtCol'), t('bt.missedCol'), t('bt.idle')] : [];
  const name = t('bt.swept', { key: sweep.key });
  return (
    <Part title={name}>
      <Table
        name={name}
        heads={[t('bt.value'), t('bt.alerts'), t('bt.week'), ...real]}
        rows={sweep.rows.map((row) => [
          row.value === sweep.now ? `${row.value} (${t('bt.now')})` : row.value,
          count(row.alerts),
          count(row.perWeek),
          ...(withReal ? [row.caught, row.missed, row.idle].map((one) => count(one ?? 0)) : []),
        ])}
      />
      {result.suggestion && (
        <p>
          <b>{t(result.suggestion.changes ? 'bt.suggested' : 'bt.kept', { value: result.suggestion.value })}</b> {sentence(plainOptions(result.suggestion.why))}
        </p>
      )}
    </Part>
  );
}

/** `of`: how many there are; the node lists some hundreds. */
function Moments({ name, rows, of }: { name: string; rows: Moment[]; of: number }) {
  return (
    <>
      <Table name={name} heads={[t('bt.when'), t('bt.whatCol'), t('bt.place')]} rows={rows.map((one) => [dateTime(one.time), one.words, <Place key={one.key} at={one} />])} />
      {of > rows.length && <p>{t('bt.listed', { n: rows.length })}</p>}
    </>
  );
}

/** Where it was; leads to everything around it. */
function Place({ at }: { at: Moment }) {
  const { position } = at;
  if (position === null) return <>{at.place || t('bt.noPlace')}</>;
  const place = at.place || `${position.lat.toFixed(4)}, ${position.lon.toFixed(4)}`;
  return (
    <button type="button" class="link" title={t('bt.around', { place, time: dateTime(at.time) })} onClick={() => aroundPlace(position, at.time, at.words)}>
      {place}
    </button>
  );
}

function Part({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="bt-part" aria-label={title}>
      <h3>{title}</h3>
      {children}
    </section>
  );
}

/** Scrolls in itself, by the keyboard too. The first cell of a row names it. */
export function Table({ name, heads, rows }: { name: string; heads: string[]; rows: ComponentChildren[][] }) {
  return (
    <div class="wide" role="group" tabIndex={0} aria-label={name}>
      <table>
        <thead>
          <tr>
            {heads.map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((cells, at) => (
            <tr key={at}>
              {cells.map((cell, column) => (column === 0 ? <th key={column} scope="row">{cell}</th> : <td key={column}>{cell}</td>))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
