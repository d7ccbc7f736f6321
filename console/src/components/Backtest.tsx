// A rule, or a draft of one, tried on the city's own history: asked, watched, stopped, and what it would have rung for.
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { goingOn, look, plainOptions, start, stop, triedOf } from '../live/backtest';
import { feeds, now, rules } from '../live/store';
import { fromField, sentence, t, toField } from '../i18n';
import { BacktestFigures } from './BacktestFigures';
import type { Rule } from '../model/types';

const DAY_MS = 86_400_000;
const SPANS = [7, 30, 90, 365] as const;
const LOOK_MS = 700;
/** Where what was tried of rules that are not the city's is kept, and what such a rule is called before it says its name. */
const NEW = 'draft';
/** `what`: what the node takes when nothing is said; of the budget an example. */
const LIMITS = [
  { name: 'budget', label: 'bt.budget', what: '6 per 12 h' },
  { name: 'within', label: 'bt.within', what: '500 m' },
  { name: 'before', label: 'bt.ahead', what: '1 h' },
  { name: 'after', label: 'bt.behind', what: '30 min' },
] as const;

/** `rule`: one in force, or null: a rule that is not the city's yet. */
export function Backtest({ rule }: { rule: Rule | null }) {
  const name = rule?.name ?? NEW;
  const { job, result, failure } = triedOf(name);
  const running = goingOn(job);
  const id = job?.id ?? '';
  const draft = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    if (!running) return;
    const timer = setInterval(() => void look(name, id), LOOK_MS);
    return () => clearInterval(timer);
  }, [name, id, running]);
  return (
    <details class="backtest">
      <summary>{t(rule ? 'bt.title' : 'bt.new')}</summary>
      {rule === null && <p class="muted">{t('bt.newHint')}</p>}
      <Question rule={rule} running={running} draft={draft} />
      <div role="status">
        {job && running && (
          <p class="going">
            <progress max={1} value={job.done} aria-label={t('bt.progress')} /> {t('bt.going', { percent: Math.round(job.done * 100), n: job.alerts })}{' '}
            <button type="button" onClick={() => void stop(name, job.id)}>
              {t('bt.stop')}
            </button>
          </p>
        )}
        {job?.state === 'cancelled' && <p>{t('bt.cancelled')}</p>}
        {failure !== null && <Failure words={failure} draft={draft} />}
      </div>
      {result && <BacktestFigures result={result} />}
    </details>
  );
}

type Draft = { current: HTMLTextAreaElement | null };

function Question({ rule, running, draft }: { rule: Rule | null; running: boolean; draft: Draft }) {
  const [written, setWritten] = useState(false);
  const [against, setAgainst] = useState('');
  const [own, setOwn] = useState(false);
  const [refused, setRefused] = useState<string | null>(null);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const asked = question(rule, form);
    setRefused(typeof asked === 'string' ? asked : null);
    if (typeof asked !== 'string') void start(rule?.name ?? NEW, asked);
  };
  const onWritten = (now: boolean): void => {
    // another version is compared with the one in force, unless somebody says otherwise
    if (rule && now !== written) setAgainst(now ? rule.name : against === rule.name ? '' : against);
    setWritten(now);
  };
  return (
    <form onSubmit={submit}>
      <DraftField rule={rule} draft={draft} written={written} onWritten={onWritten} />
      <SpanFields own={own} onOwn={setOwn} />
      <label>
        {t('bt.against')}
        <select name="against" value={against} onChange={(event) => setAgainst(event.currentTarget.value)}>
          <option value="">{t('bt.none')}</option>
          {rule && written && <option value={rule.name}>{t('bt.inForce')}</option>}
          {(rules.value ?? []).filter((one) => one.name !== rule?.name).map((one) => (
            <option key={one.name} value={one.name}>
              {one.title}
            </option>
          ))}
        </select>
      </label>
      <Measures />
      <button type="submit" class="primary" disabled={running}>
        {t('bt.start')}
      </button>
      {refused !== null && (
        <p class="flag" role="alert">
          {refused}
        </p>
      )}
    </form>
  );
}

/** What it is measured by: values of one number, real incidents, a budget. */
function Measures() {
  const id = useId();
  const kinds = [...new Set(feeds.value.flatMap((feed) => feed.kinds))].sort();
  return (
    <div class="measures">
      <div>
        <label>
          {t('bt.sweep')}
          <input name="sweep" maxLength={400} spellcheck={false} aria-describedby={`${id}-sweep`} />
        </label>
        <small id={`${id}-sweep`}>{t('bt.sweepHint')}</small>
      </div>
      <div>
        <label>
          {t('bt.incidents')}
          <input name="incidents" maxLength={200} spellcheck={false} list={`${id}-kinds`} aria-describedby={`${id}-incidents`} />
        </label>
        <small id={`${id}-incidents`}>{t('bt.incidentsHint')}</small>
        <datalist id={`${id}-kinds`}>
          {kinds.map((kind) => (
            <option key={kind} value={kind} />
          ))}
        </datalist>
      </div>
      <details>
        <summary>{t('bt.more')}</summary>
        <div class="limits">
          {LIMITS.map(({ name, label, what }) => (
            <label key={name}>
              {t(label)}
              <input name={name} maxLength={40} placeholder={t(name === 'budget' ? 'bt.ofRule' : 'bt.usual', { what })} />
            </label>
          ))}
        </div>
      </details>
    </div>
  );
}

/** The keys of `POST /backtests`, or why it cannot be asked. */
function question(rule: Rule | null, form: FormData): Record<string, string | undefined> | string {
  const text = (name: string): string | undefined => String(form.get(name) ?? '').trim() || undefined;
  const draft = text('draft');
  if (rule === null && draft === undefined) return t('bt.emptyDraft');
  const days = Number(form.get('days'));
  const to = days > 0 ? now.peek() : fromField(text('to') ?? '');
  const from = days > 0 ? now.peek() - days * DAY_MS : fromField(text('from') ?? '');
  if (from === null || to === null || from >= to) return t('bt.badSpan');
  return {
    rule: rule?.name ?? (/^rule:\s*([\w.-]+)/m.exec(draft ?? '')?.[1] ?? NEW),
    text: draft,
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
    order: text('order'),
    against: text('against'),
    sweep: text('sweep'),
    incidents: text('incidents'),
    ...Object.fromEntries(LIMITS.map(({ name }) => [name, text(name)])),
  };
}

function SpanFields({ own, onOwn }: { own: boolean; onOwn: (own: boolean) => void }) {
  return (
    <>
      <label>
        {t('bt.over')}
        <select name="days" onChange={(event) => onOwn(event.currentTarget.value === '0')}>
          {SPANS.map((days) => (
            <option key={days} value={String(days)}>
              {t('bt.last', { n: days })}
            </option>
          ))}
          <option value="0">{t('bt.own')}</option>
        </select>
      </label>
      {own && (
        <>
          <label>
            {t('bt.from')}
            <input name="from" type="datetime-local" defaultValue={toField(now.peek() - DAY_MS)} />
          </label>
          <label>
            {t('bt.to')}
            <input name="to" type="datetime-local" defaultValue={toField(now.peek())} />
          </label>
        </>
      )}
      <label>
        {t('bt.order')}
        <select name="order">
          <option value="">{t('bt.orderAuto')}</option>
          <option value="journal">{t('bt.orderJournal')}</option>
          <option value="time">{t('bt.orderTime')}</option>
        </select>
      </label>
    </>
  );
}

function DraftField({ rule, draft, written, onWritten }: { rule: Rule | null; draft: Draft; written: boolean; onWritten: (written: boolean) => void }) {
  const begin = (): void => {
    if (draft.current === null || rule === null) return;
    draft.current.value = rule.text;
    onWritten(true);
    draft.current.focus();
  };
  const field = (
    <>
      <textarea
        ref={draft}
        name="draft"
        aria-label={t(rule ? 'bt.draftOf' : 'bt.draft')}
        rows={12}
        maxLength={65_536}
        spellcheck={false}
        onInput={(event) => onWritten(event.currentTarget.value.trim() !== '')}
      />
      <p class="muted">
        {t(rule ? 'bt.draftHint' : 'bt.draftNew')}{' '}
        {rule && !written && (
          <button type="button" onClick={begin}>
            {t('bt.fromForce')}
          </button>
        )}
      </p>
    </>
  );
  if (rule === null) return <div class="draft">{field}</div>;
  return (
    <details class="draft" open={written || undefined}>
      <summary>{t('bt.draftOf')}</summary>
      {field}
    </details>
  );
}

/** One mistake a line; those of the draft with a button that goes there. */
function Failure({ words, draft }: { words: string; draft: Draft }) {
  const lines = words.split('\n').filter((line) => line.trim() !== '');
  const parts = lines.map((line) => /^rule\.yaml:(\d+): (.*)$/.exec(line));
  if (!parts.some((part) => part)) return <p class="flag">{sentence(plainOptions(words))}</p>;
  return (
    <div class="flag">
      <p>{t('bt.wrong')}</p>
      <ul>
        {lines.map((line, at) => {
          const [, number = '', said = ''] = parts[at] ?? [];
          return (
            <li key={line}>
              {number === '' ? line : <LineButton draft={draft} line={Number(number)} />} {said}
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function LineButton({ draft, line }: { draft: Draft; line: number }) {
  const go = (): void => {
    const box = draft.current;
    if (box === null) return;
    box.closest('details')?.setAttribute('open', '');
    const lines = box.value.split('\n');
    const first = lines.slice(0, line - 1).join('\n').length + (line > 1 ? 1 : 0);
    box.focus();
    box.setSelectionRange(first, first + (lines[line - 1]?.length ?? 0));
  };
  return (
    <button type="button" onClick={go}>
      {t('bt.line', { n: line })}
    </button>
  );
}
