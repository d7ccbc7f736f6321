// The reports an alert rests on, numbered as on the map, with distance and time from the one that completed it.
import { moment } from '../live/picture';
import { measure, metres, moment as atMoment, span, t } from '../i18n';
import type { Evidence } from '../model/types';
import { KindMark } from './marks';

/** More than this many rows are not read at night; the rest is counted. */
const MOST = 40;

export function EvidenceTable({ evidence }: { evidence: Evidence[] }) {
  const shown = evidence.slice(0, MOST);
  return (
    <>
      <h4>{t('detail.evidence')}</h4>
      <table class="evidence">
        <thead>
          <tr>
            <th class="num">{t('evidence.number')}</th>
            <th>{t('evidence.time')}</th>
            <th>{t('evidence.what')}</th>
            <th class="num">{t('evidence.distance')}</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((one, i) => (
            <Row key={one.seq} one={one} number={i + 1} />
          ))}
        </tbody>
      </table>
      {evidence.length > MOST && <p class="empty">{t('detail.evidenceMore', { n: evidence.length - MOST })}</p>}
    </>
  );
}

/** Events shown with the alert that decided nothing; not numbered, for the map does not mark them. */
export function ContextTable({ context }: { context: Evidence[] }) {
  return (
    <>
      <h4>{t('detail.context')}</h4>
      <table class="evidence" data-testid="context">
        <thead>
          <tr>
            <th>{t('evidence.time')}</th>
            <th>{t('evidence.what')}</th>
            <th class="num">{t('evidence.distance')}</th>
          </tr>
        </thead>
        <tbody>
          {context.slice(0, MOST).map((one) => (
            <Row key={one.seq} one={one} number={null} />
          ))}
        </tbody>
      </table>
      {context.length > MOST && <p class="empty">{t('detail.contextMore', { n: context.length - MOST })}</p>}
    </>
  );
}

function Row({ one, number }: { one: Evidence; number: number | null }) {
  return (
    <tr>
      {number !== null && <td class="num">{number}</td>}
      <td class="nowrap">{atMoment(one.eventTime, moment.value)}</td>
      <td>
        <span class="inline">
          <KindMark kind={one.kind} />
          <span class="wrap-any">{one.text ?? one.kind}</span>
        </span>
        {one.value !== null && <b class="nowrap"> {measure(one.value, one.unit)}</b>}
        {one.source && one.source !== one.text && <span class="muted wrap-any"> {one.source}</span>}
      </td>
      <td class="num">
        {one.role === 'anchor' ? t('evidence.anchor') : one.distanceM === null ? '' : metres(one.distanceM)}
        {one.role !== 'anchor' && one.gapS !== null && one.gapS !== 0 && (
          <>
            <br />
            <span class="muted">{t('evidence.gap', { sign: one.gapS < 0 ? '−' : '+', span: span(Math.abs(one.gapS) * 1000) })}</span>
          </>
        )}
      </td>
    </tr>
  );
}
