// Everything about the chosen alert: why it exists, what it rests on, who has it, what can be done.
import { detail, detailFailure } from '../live/detail';
import { goTo } from '../live/camera';
import { moment, selectedAlert } from '../live/picture';
import { foldChosen } from '../live/queue';
import { dtgOn, isLive, selected } from '../live/view';
import { dtg, inCityTime, metres, moment as atMoment, span, t, word } from '../i18n';
import type { Alert, HistoryEntry } from '../model/types';
import { explainAlert, ofAlert } from '../live/explain';
import { aroundAlert } from '../live/investigate';
import { Actions } from './Actions';
import { Answer } from './Clauses';
import { ContextTable, EvidenceTable } from './EvidenceTable';
import { Children, Closed, closingReason, DETAIL_SCROLL_ID, Parent } from './Family';
import { SeverityMark } from './marks';
import { DETAIL_ID, QUEUE_ID } from './Queue';
import { WhyNot } from './WhyNot';

export function Detail() {
  const alert = detail.value;
  return (
    <section class="detail" id={DETAIL_ID} aria-label={t('detail.title')}>
      <div class="panehead">
        <h2 class="pane">{t('detail.title')}</h2>
        <span class="grow" />
        {alert?.position && (
          <button type="button" onClick={() => goTo(alert)}>
            {t('detail.goto')}
            <kbd>G</kbd>
          </button>
        )}
        {alert?.position && (
          <button type="button" onClick={() => aroundAlert(alert)}>
            {t('inv.aroundButton')}
          </button>
        )}
        <a class="tophone" href="#live" onClick={() => document.getElementById(QUEUE_ID)?.focus()}>
          {t('detail.toQueue')}
        </a>
      </div>
      <div class="scroll" id={DETAIL_SCROLL_ID} tabIndex={0} role="group" aria-label={t('detail.title')}>
        {alert ? <Chosen alert={alert} /> : <Nothing />}
        <WhyNot key={alert?.id ?? ''} alert={alert} />
      </div>
    </section>
  );
}

function Nothing() {
  const folded = foldChosen.value;
  if (folded !== null) {
    return (
      <div class="empty">
        <p>
          <b>{folded.title}</b>
        </p>
        <p>{t('detail.fold', { n: folded.alerts.length })}</p>
        <p>{t('detail.foldHint')}</p>
      </div>
    );
  }
  const lost = selected.value !== null && !selected.value.includes(':') && !isLive.value && selectedAlert.value === null;
  return (
    <div class="empty">
      <p>{lost ? t('detail.gone') : t('detail.none')}</p>
      {!lost && <p>{t('detail.noneHint')}</p>}
    </div>
  );
}

function Chosen({ alert }: { alert: Alert }) {
  return (
    <>
      <div class="head">
        <SeverityMark rank={alert.rank} state={alert.state} size={28} />
        <div>
          <h3>{alert.headline}</h3>
          <Standing alert={alert} />
        </div>
      </div>
      {alert.run !== null && (
        <p class="flag practised">
          <b class="ex-mark">{t('ex.mark')}</b> {t('ex.notReal')}
        </p>
      )}
      {alert.status === 'retracted' && <p class="flag">{t('detail.retracted')}</p>}
      {alert.status === 'amended' && <p class="flag">{t('detail.amended', { revision: alert.revision })}</p>}
      <Actions alert={alert} />
      <Why alert={alert} />
      <Facts alert={alert} />
      {alert.evidence ? <EvidenceTable evidence={alert.evidence} /> : <p class="empty">{detailFailure.value === null ? t('detail.loading') : t('detail.failed', { reason: detailFailure.value })}</p>}
      {alert.context && alert.context.length > 0 && <ContextTable context={alert.context} />}
      {alert.history && <History alert={alert} entries={alert.history} />}
    </>
  );
}

/** Who has it and since when, in one line. */
function Standing({ alert }: { alert: Alert }) {
  const at = moment.value;
  const opened = t('detail.ago', { time: atMoment(alert.opened, at), age: span(at - alert.opened) });
  return (
    <p class="standing" data-testid="standing">
      <b>{word('state', alert.state)}</b> · {alert.owner ?? t('detail.nobody')} · <span class="muted">{opened}</span>
    </p>
  );
}

function Facts({ alert }: { alert: Alert }) {
  const at = moment.value;
  const delay = alert.knownAt - alert.opened;
  return (
    <dl>
      {dtgOn.value && (
        <>
          <dt>{t('detail.dtg')}</dt>
          <dd>{dtg(alert.opened)}</dd>
        </>
      )}
      {delay > 60_000 && (
        <>
          <dt>{t('detail.known')}</dt>
          <dd>{t('detail.knownLate', { time: atMoment(alert.knownAt, at), age: span(delay) })}</dd>
        </>
      )}
      {alert.place && (
        <>
          <dt>{t('detail.place')}</dt>
          <dd>{alert.place}</dd>
        </>
      )}
      {alert.position && (
        <>
          <dt>{t('detail.position')}</dt>
          <dd>{positionWords(alert)}</dd>
        </>
      )}
      <dt>{t('detail.weight')}</dt>
      <dd>{t('detail.weightText', { severity: word('severity', alert.severity), urgency: alert.urgency, certainty: alert.certainty })}</dd>
      <dt>{t('detail.based')}</dt>
      <dd>{t('detail.basedText', { count: alert.count, sources: alert.sources })}</dd>
    </dl>
  );
}

function positionWords(alert: Alert): string {
  const lat = alert.position?.lat.toFixed(5) ?? '';
  const lon = alert.position?.lon.toFixed(5) ?? '';
  return alert.radiusM ? t('detail.radius', { lat, lon, radius: metres(alert.radiusM) }) : t('detail.coordinates', { lat, lon });
}

function Why({ alert }: { alert: Alert }) {
  const closing = closingReason(alert);
  const reasons = alert.reasons.filter((reason) => reason !== closing);
  return (
    <div class="why">
      <h4>{t('detail.why')}</h4>
      <span class="muted wrap-any">{t('detail.rule', { title: alert.title, version: alert.ruleVersion })}</span>
      {alert.why && <p>{alert.why}</p>}
      <Closed alert={alert} />
      {reasons.length > 0 && (
        <ol aria-label={t('detail.reasons')}>
          {reasons.map((reason) => (
            <li key={reason}>{inCityTime(reason, moment.value)}</li>
          ))}
        </ol>
      )}
      {alert.instruction && (
        <p>
          <b>{t('detail.instruction')}:</b> {alert.instruction}
        </p>
      )}
      <Parent alert={alert} />
      <Children key={alert.id} alert={alert} />
      {ofAlert.value?.key === alert.id ? (
        <Answer asked={ofAlert.value} summary={false} />
      ) : (
        <button type="button" onClick={() => void explainAlert(alert.id)}>
          {t('explain.alert')}
        </button>
      )}
    </div>
  );
}

function History({ alert, entries }: { alert: Alert; entries: HistoryEntry[] }) {
  const at = moment.value;
  return (
    <>
      <h4>{t('detail.history')}</h4>
      <ol class="history">
        {!entries.some(isRaise) && <Step at={alert.knownAt} now={at} words={t('detail.raised')} note="" />}
        {entries.map((entry) => (
          <Step key={`${entry.at}${entry.to}`} at={entry.at} now={at} words={historyWords(entry)} note={isRaise(entry) ? '' : entry.note} />
        ))}
      </ol>
    </>
  );
}

/** The engine's own entries: the first has no state before it, an amendment leaves the state as it was. */
const isRaise = (entry: HistoryEntry): boolean => entry.from === '';

function historyWords(entry: HistoryEntry): string {
  if (isRaise(entry)) return t('detail.raised');
  if (entry.from === entry.to) return t('detail.amendedStep');
  if (entry.by === 'rule') return t('detail.byRule', { state: word('state', entry.to) });
  return t('detail.by', { state: word('state', entry.to), by: entry.by });
}

function Step({ at, now, words, note }: { at: number; now: number; words: string; note: string }) {
  return (
    <li>
      <time class="muted">{atMoment(at, now)}</time>
      <span>
        {words}
        {note && <span class="note">“{note}”</span>}
      </span>
    </li>
  );
}
