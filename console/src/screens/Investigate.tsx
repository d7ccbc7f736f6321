// Investigate: years of events by place, time, kind, feed and words; around an incident; what was found as list, map and file; replayed from there.
import { useEffect, useRef, useState } from 'preact/hooks';
import { FORMATS } from '../api/archive';
import { Bars } from '../components/Chart';
import { useInParts } from '../components/inParts';
import { KindMark } from '../components/marks';
import { amounts, around, ask, asked, begin, busy, change, chosen, exportLink, failure, found, leaveAround, mapBox, mapFailure, more, narrow, narrowed, widen } from '../live/investigate';
import { begin as replayFrom } from '../live/playback';
import { feeds } from '../live/store';
import { clockMinute, count, dateTime, day, fromField, kindName, measure, metres, span, t, toField } from '../i18n';
import { every } from '../model/steps';
import { kindGroup } from '../model/kinds';
import type { FoundEvent } from '../api/archive';

const WITHIN = ['100 m', '250 m', '500 m', '1 km', '2 km', '5 km'];
const SPANS = ['10 min', '30 min', '1 h', '3 h', '12 h', '1 day'];
const HALF_HOUR = 1_800_000;

export function Investigate() {
  useEffect(begin, []);
  return (
    <main class="investigate">
      <h1 class="sr">{t('screen.investigate')}</h1>
      <section class="asking" aria-label={t('inv.question')}>
        {around.value === null ? <SearchForm /> : <AroundForm />}
        <Exports />
      </section>
      <section class="findings" aria-label={t('inv.results')}>
        <Standing />
        <Histogram />
        <Results />
      </section>
      <ArchiveMap />
    </main>
  );
}

function SearchForm() {
  const form = asked.value;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void ask();
      }}
    >
      <h2 class="pane">{t('inv.search')}</h2>
      <label>
        {t('inv.words')}
        <input type="search" maxLength={400} value={form.text} onInput={(event) => change({ text: event.currentTarget.value })} />
      </label>
      <label>
        {t('inv.from')}
        <input type="datetime-local" value={toField(form.from)} onChange={(event) => change({ from: fromField(event.currentTarget.value) })} />
      </label>
      <label>
        {t('inv.to')}
        <input type="datetime-local" value={toField(form.to)} onChange={(event) => change({ to: fromField(event.currentTarget.value) })} />
      </label>
      <label>
        {t('inv.kind')}
        <input list="kinds" value={form.kind} placeholder={t('inv.kindHint')} onInput={(event) => change({ kind: event.currentTarget.value.trim() })} />
      </label>
      <datalist id="kinds">
        {[...new Set(feeds.value.flatMap((feed) => feed.kinds))].sort().map((kind) => (
          <option key={kind} value={kind} />
        ))}
      </datalist>
      <label>
        {t('inv.feed')}
        <select value={form.feed} onChange={(event) => change({ feed: event.currentTarget.value })}>
          <option value="">{t('inv.any')}</option>
          {feeds.value.map((feed) => (
            <option key={feed.name} value={feed.name}>
              {feed.title}
            </option>
          ))}
        </select>
      </label>
      <label>
        {t('inv.severity')}
        <select value={String(form.severity)} onChange={(event) => change({ severity: Number(event.currentTarget.value) })}>
          <option value="0">{t('inv.any')}</option>
          {[1, 2, 3, 4].map((level) => (
            <option key={level} value={String(level)}>
              {t(`inv.sev${level as 1 | 2 | 3 | 4}`)}
            </option>
          ))}
        </select>
      </label>
      <label class="inline">
        <input type="checkbox" checked={form.box !== null} disabled={mapBox.value === null} onChange={(event) => change({ box: event.currentTarget.checked ? mapBox.value : null })} />
        {t('inv.inMap')}
      </label>
      <button type="submit" class="primary" aria-disabled={busy.value}>
        {t('inv.ask')}
      </button>
      {narrowed.value.length > 0 && (
        <button type="button" onClick={widen}>
          {t('inv.widen')}
        </button>
      )}
    </form>
  );
}

function AroundForm() {
  const form = around.value;
  if (form === null) return null;
  const set = (part: { within?: string; span?: string }): void => {
    around.value = { ...form, ...part };
    void ask();
  };
  return (
    <form onSubmit={(event) => event.preventDefault()}>
      <h2 class="pane">{t('inv.around')}</h2>
      <p>
        <b>{form.title}</b>
        <br />
        {form.at !== null && <span class="muted">{dateTime(form.at)}</span>}
      </p>
      <label>
        {t('inv.within')}
        <select value={form.within} onChange={(event) => set({ within: event.currentTarget.value })}>
          {WITHIN.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </label>
      <label>
        {t('inv.span')}
        <select value={form.span} onChange={(event) => set({ span: event.currentTarget.value })}>
          {SPANS.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </label>
      {form.at !== null && <ReplayButton at={form.at} />}
      <button type="button" onClick={leaveAround}>
        {t('inv.leave')}
      </button>
    </form>
  );
}

function ReplayButton({ at, small = false }: { at: number; small?: boolean }) {
  const go = (): void => {
    location.hash = '#live';
    void replayFrom({ from: at - HALF_HOUR, to: at + 2 * HALF_HOUR, at: at - HALF_HOUR / 6, rate: 10 });
  };
  return (
    <button type="button" title={t('replay.hereTitle')} aria-label={small ? `${t('replay.here')}, ${dateTime(at)}` : undefined} onClick={go}>
      {small ? <span aria-hidden="true">⟲</span> : t('replay.here')}
    </button>
  );
}

function Exports() {
  if (found.value === null || found.value.items.length === 0) return null;
  return (
    <p class="exports">
      <b>{t('inv.export')}</b>
      {FORMATS.map((format) => (
        <a key={format} href={exportLink(format)} download>
          {t(`format.${format}`)}
        </a>
      ))}
    </p>
  );
}

function Standing() {
  const answer = found.value;
  return (
    <div role="status" class="standing">
      {busy.value && <p>{t('inv.busy')}</p>}
      {failure.value !== null && <p class="flag">{failure.value}</p>}
      {answer && !busy.value && (
        <p>
          <b>{t(answer.cut || answer.next !== null ? 'inv.foundMore' : 'inv.found', { n: answer.items.length })}</b>{' '}
          <span class="muted">{t('inv.cost', { files: answer.files, rows: count(answer.rows) })}</span>
          {answer.notes.map((note) => (
            <span key={note}> {note}.</span>
          ))}
        </p>
      )}
      {answer === null && !busy.value && failure.value === null && (
        <div class="empty">
          <p>{t('inv.hint')}</p>
          <p>{t('inv.hintAround')}</p>
        </div>
      )}
    </div>
  );
}

/** When it happened; a bar narrows the question to its hour or day. */
function Histogram() {
  const answer = amounts.value;
  if (answer === null || answer.items.length < 2) return null;
  const { step } = answer;
  const label = (at: number): string => (step === 'hour' ? `${day(at)}, ${clockMinute(at)}` : day(at));
  const bars = every(answer.items, step);
  const pick = (at: number): void => {
    const start = bars[at]?.start;
    if (start === undefined) return;
    narrow(start, bars[at + 1]?.start ?? start + (step === 'hour' ? 3_600_000 : 86_400_000));
  };
  return <Bars name={t('inv.when')} bars={bars.map((one) => ({ label: label(one.start), value: one.rows }))} onPick={pick} />;
}

function Results() {
  const answer = found.value;
  const rows = useInParts(answer?.items ?? []);
  if (answer === null || answer.items.length === 0) return null;
  return (
    <div class="found" role="region" aria-label={t('inv.list')} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th>{t('list.time')}</th>
            <th>{t('list.kind')}</th>
            <th>{t('list.what')}</th>
            <th>{around.value === null ? t('inv.feed') : t('inv.near')}</th>
            <th>
              <span class="sr">{t('replay.here')}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((event) => (
            <Row key={event.seq} event={event} />
          ))}
        </tbody>
      </table>
      {answer.next !== null && (
        <button type="button" onClick={() => void more()}>
          {t('inv.more')}
        </button>
      )}
    </div>
  );
}

function Row({ event }: { event: FoundEvent }) {
  const gap = event.gapMs;
  const near = event.distanceM === null ? '' : metres(event.distanceM);
  const apart = gap === null ? '' : `${gap < 0 ? '−' : '+'}${span(Math.abs(gap))}`;
  return (
    <tr class={chosen.value === event.seq ? 'chosen' : ''}>
      <td class="nowrap">{dateTime(event.eventTime)}</td>
      <td class="nowrap">
        <span class="inline">
          <KindMark kind={event.kind} />
          {kindName(kindGroup(event.kind))}
        </span>
      </td>
      <td class="wrap-any">
        <button type="button" class="link" onClick={() => (chosen.value = event.seq)}>
          {event.text ?? event.source ?? event.id}
        </button>{' '}
        {event.value !== null && <b class="nowrap">{measure(event.value, event.unit)}</b>}
      </td>
      <td class="nowrap">{around.value === null ? event.feed : `${near} ${apart}`}</td>
      <td>
        <ReplayButton at={event.eventTime} small />
      </td>
    </tr>
  );
}

function ArchiveMap() {
  const box = useRef<HTMLDivElement>(null);
  const [broken, setBroken] = useState(false);
  useEffect(() => {
    let close = (): void => undefined;
    let here = true;
    import('../map/archive')
      .then(({ openArchiveMap }) => openArchiveMap(box.current as HTMLElement))
      .then((closing) => (here ? (close = closing) : closing()))
      .catch(() => setBroken(true)); // no WebGL: the list says the same
    return () => {
      here = false;
      close();
    };
  }, []);
  return (
    <div class="archive-map" data-testid="archive-map">
      <div ref={box} class="box" />
      {found.value !== null && !broken && (
        <p class="map-key">
          <i class="sw sw-found" aria-hidden="true" /> {t('inv.key.list')} {around.value === null && <>
            <i class="sw sw-all" aria-hidden="true" /> {t('inv.key.all')}
          </>}
        </p>
      )}
      {mapFailure.value !== null && !broken && (
        <p class="flag map-failed" role="status">
          {t('map.failed', { reason: mapFailure.value })}
        </p>
      )}
      {broken && <p class="empty">{t('map.noWebgl')}</p>}
    </div>
  );
}
