// What an alert belongs to: its parent, what stands under it, the budget it is beyond, how its rule closed it.
import { allAlerts, moment } from '../live/picture';
import { selected } from '../live/view';
import { moment as atMoment, ordinal, span, t, word } from '../i18n';
import { childrenOf, numberOverBudget, standsUnder } from '../model/family';
import type { Alert, Child } from '../model/types';
import { SeverityMark } from './marks';

export const DETAIL_SCROLL_ID = 'detail-scroll';

/** So many children are read at a glance; the rest opens on demand. */
const SHOWN = 5;
/** The single view tells no more. */
const MOST = 200;

/** "Over budget: 13th of 12 in 12 h"; nothing within it. */
export function overBudget(alert: Alert): string {
  if (alert.overBudget === 0) return '';
  const nth = ordinal(numberOverBudget(alert));
  return alert.budget ? t('queue.over', { nth, most: alert.budget.alerts, span: span(alert.budget.perMs) }) : t('queue.overUnknown', { nth });
}

const find = (id: string | null): Alert | null => (id === null ? null : (allAlerts.value.find((alert) => alert.id === id) ?? null));

/** For the list: under which alert this one is shown. */
export function parentWords(alert: Alert): string {
  const parent = find(alert.parent);
  return parent && standsUnder(alert, parent) ? t('queue.child', { headline: parent.headline }) : '';
}

/** Chooses another alert from within the panel, which then is read from its top. */
function open(id: string): void {
  selected.value = id;
  const panel = document.getElementById(DETAIL_SCROLL_ID);
  panel?.focus({ preventScroll: true });
  panel?.scrollTo({ top: 0 });
}

function Link({ to }: { to: Child }) {
  return (
    <>
      <SeverityMark rank={to.rank} state={to.state} size={18} />
      <span>
        <button type="button" class="link" onClick={() => open(to.id)}>
          {to.headline}
        </button>{' '}
        <span class="muted nowrap">
          {word('state', to.state)} · {span(moment.value - to.opened)}
        </span>
      </span>
    </>
  );
}

export function Parent({ alert }: { alert: Alert }) {
  if (alert.parent === null) return null;
  const parent = find(alert.parent);
  return (
    <div class="kin" data-testid="parent">
      <h5>{t(parent ? relation(alert, parent) : 'detail.under')}</h5>
      {parent ? (
        <p class="member">
          <Link to={parent} />
        </p>
      ) : (
        <p>{t('detail.underGone', { id: alert.parent })}</p>
      )}
    </div>
  );
}

function relation(alert: Alert, parent: Alert): 'detail.under' | 'detail.underUrgent' | 'detail.underClosed' {
  if (standsUnder(alert, parent)) return 'detail.under';
  return alert.rank < parent.rank ? 'detail.underUrgent' : 'detail.underClosed';
}

export function Children({ alert }: { alert: Alert }) {
  const children = childrenOf(alert.id, allAlerts.value, alert.children ?? []);
  if (children.length === 0) return null;
  const rest = children.slice(SHOWN, MOST);
  return (
    <div class="kin" data-testid="children">
      <h5>{t('detail.children', { n: children.length })}</h5>
      <Members members={children.slice(0, SHOWN)} />
      {rest.length > 0 && (
        <details>
          <summary>{t('detail.childrenMore', { n: rest.length })}</summary>
          <Members members={rest} />
        </details>
      )}
      {children.length >= MOST && <p class="muted">{t('detail.childrenMost', { n: MOST })}</p>}
    </div>
  );
}

function Members({ members }: { members: readonly Child[] }) {
  return (
    <ul>
      {members.map((child) => (
        <li key={child.id} class="member">
          <Link to={child} />
        </li>
      ))}
    </ul>
  );
}

/** The engine says last why a rule closed its alert: "closed by itself at ...: why". */
export const closingReason = (alert: Alert): string | null => {
  const last = alert.closed === null ? undefined : alert.reasons.at(-1);
  return last?.startsWith('closed by itself at ') ? last : null;
};

export function Closed({ alert }: { alert: Alert }) {
  if (alert.closed === null) return null;
  const at = moment.value;
  const when = { time: atMoment(alert.closed, at), age: span(at - alert.closed) };
  const why = closingReason(alert)?.split(': ').slice(1).join(': ') ?? '';
  return (
    <p data-testid="closed">
      <b>{why ? t('detail.closedWhy', { ...when, why }) : t('detail.closed', when)}</b>
    </p>
  );
}
