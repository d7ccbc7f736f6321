// An answer: the verdict in a sentence, then every clause of the rule - held or failed, and by how much.
import type { Asked } from '../live/explain';
import { moment } from '../live/picture';
import { inCityTime, t } from '../i18n';
import type { Clause, Explanation } from '../model/types';

const SIGNS = { held: '✓', failed: '✗', unknown: '?' } as const;

export function Answer({ asked, summary }: { asked: Asked; summary: boolean }) {
  if (asked.failure !== null) return <p role="alert">{t('explain.failed', { reason: asked.failure })}</p>;
  if (asked.answer === null) return <p role="status">{t('explain.asking')}</p>;
  return <Told answer={asked.answer} summary={summary} />;
}

function Told({ answer, summary }: { answer: Explanation; summary: boolean }) {
  const at = moment.value;
  // the reason of a silence stands in its clause below
  const sentence = answer.verdict === 'silent' ? answer.summary.split(': ')[0] : answer.summary;
  const misses = answer.looks.slice(1).filter((look) => !look.holds);
  return (
    <div class="answer" data-testid="answer">
      {summary && (
        <p role="status">
          <b>{inCityTime(sentence ?? '', at)}</b>
        </p>
      )}
      <ul class="clauses" aria-label={t('explain.clauses')}>
        {answer.clauses.map((clause) => (
          <Line key={clause.clause + clause.words} clause={clause} />
        ))}
      </ul>
      {misses.length > 0 && (
        <details>
          <summary>{t('explain.misses', { n: misses.length })}</summary>
          <ul>
            {misses.map((look) => (
              <li key={`${look.time}${look.words}`}>{inCityTime(look.words, at)}</li>
            ))}
          </ul>
        </details>
      )}
      {answer.notes.map((note) => (
        <p key={note} class="muted">
          {inCityTime(note, at)}
        </p>
      ))}
      <p class="muted">{t(answer.known === 'now' ? 'explain.readNow' : 'explain.readThen', { n: answer.read })}</p>
    </div>
  );
}

function Line({ clause }: { clause: Clause }) {
  return (
    <li class={`is-${clause.state}`}>
      <span class="sign" aria-hidden="true">
        {SIGNS[clause.state]}
      </span>
      <span>
        <span class="sr">{t(`clause.${clause.state}`)} </span>
        {inCityTime(clause.words, moment.value)} <code class="muted">{clause.clause}</code>
      </span>
    </li>
  );
}
