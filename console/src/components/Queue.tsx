// The queue: what needs somebody, most urgent first. One tree, walked with the arrow keys; the list never moves under the pointer.
import { useEffect, useRef } from 'preact/hooks';
import { goTo } from '../live/camera';
import { alertsKnown, allAlerts, newest, practised, selectedAlert, shownAlerts, unacknowledged, unacknowledgedUnder } from '../live/picture';
import { hold, move, queueGroups, queueNow, queueWaiting, release, toggleFold, unfold } from '../live/queue';
import { alertsCut } from '../live/store';
import { isLive, selected, showResolved } from '../live/view';
import { moment as atMoment, span, t, word } from '../i18n';
import type { AlertRow, Group, Row } from '../model/queue';
import type { Alert } from '../model/types';
import { overBudget } from './Family';
import { SeverityMark } from './marks';

export const QUEUE_ID = 'queue';
/** Where the chosen alert is shown. */
export const DETAIL_ID = 'detail';
const optionId = (key: string): string => `alert-${key}`;

export function Queue() {
  const list = useRef<HTMLDivElement>(null);
  const chosen = selected.value;
  useEffect(() => {
    if (chosen) document.getElementById(optionId(chosen))?.scrollIntoView({ block: 'nearest' });
  }, [chosen]);
  const groups = queueGroups.value;
  const keys = groups.flatMap((group) => group.rows.map((row) => row.key));
  return (
    <section class="queue" aria-label={t('queue.title')}>
      <h2 class="pane">
        {t('queue.title')} · {t('queue.count', { n: unacknowledged.value })}
        {practised.value > 0 && ` · ${t('ex.count', { n: practised.value })}`}
        {unacknowledgedUnder.value > 0 && ` ${t('queue.countUnder', { n: unacknowledgedUnder.value })}`}
      </h2>
      {alertsCut.value && isLive.value && <p class="cut">{t('queue.cut')}</p>}
      {queueWaiting.value > 0 && (
        <button type="button" class="waiting" onClick={release}>
          {t('queue.waiting', { n: queueWaiting.value })}
        </button>
      )}
      <div class="rows" onPointerMove={(event) => event.pointerType === 'mouse' && hold()} onPointerLeave={release}>
        {keys.length === 0 && <p class="empty">{emptyWords()}</p>}
        <div
          id={QUEUE_ID}
          ref={list}
          role="tree"
          tabIndex={0}
          aria-label={t('queue.list')}
          aria-activedescendant={chosen && keys.includes(chosen) ? optionId(chosen) : undefined}
          onKeyDown={onKey}
        >
          {groups.map((group) => (
            <QueueGroup key={group.state} group={group} />
          ))}
        </div>
      </div>
      <p class="sr" aria-live="polite">
        {newest.value && t('queue.announce', { rank: newest.value.rank, headline: newest.value.headline })}
      </p>
      <ResolvedFoot groups={groups} />
    </section>
  );
}

function emptyWords(): string {
  if (!alertsKnown.value) return t('queue.loading');
  const hiddenOnly = shownAlerts.value.length === 0 && allAlerts.value.some((alert) => alert.state !== 'resolved');
  return hiddenOnly ? t('queue.emptyFiltered') : t('queue.empty');
}

function onKey(event: KeyboardEvent): void {
  const step = { ArrowDown: 1, ArrowUp: -1, Home: -1e9, End: 1e9, PageDown: 10, PageUp: -10 }[event.key];
  const key = selected.value;
  if (step !== undefined) move(step);
  else if (event.key === 'ArrowRight' || event.key === 'ArrowLeft') unfold(event.key === 'ArrowRight');
  else if (event.key === 'Enter' && key !== null && key.includes(':')) toggleFold(key);
  else if (event.key === 'Enter' && selectedAlert.value) goTo(selectedAlert.value);
  else return;
  event.preventDefault();
}

function QueueGroup({ group }: { group: Group }) {
  if (group.rows.length === 0) return null;
  const head = `queue-${group.state}`;
  return (
    <div role="group" aria-labelledby={head}>
      <div class="state" id={head}>
        {word('state', group.state)} · {group.total}
      </div>
      {group.rows.map((row, i) => (row.type === 'alert' ? <AlertLine key={row.key} row={row} folded={row.under !== null || isFolded(group.rows, i)} /> : <FoldRow key={row.key} row={row} />))}
    </div>
  );
}

/** On a phone the alert stands below the queue, out of sight: who touches a row wants to read it. */
function choose(id: string): void {
  selected.value = id;
  if (matchMedia('(width < 760px)').matches) document.getElementById(DETAIL_ID)?.scrollIntoView();
}

/** A row that came out of an opened fold is set in under it. */
function isFolded(rows: Row[], at: number): boolean {
  const row = rows[at];
  return row?.type === 'alert' && rows.some((one, i) => i < at && one.type === 'fold' && one.open && one.alerts.some((alert) => alert.id === row.key));
}

function AlertLine({ row, folded }: { row: AlertRow; folded: boolean }) {
  const { alert, children } = row;
  const at = queueNow.value;
  const unack = alert.state === 'open';
  return (
    <div
      id={optionId(alert.id)}
      role="treeitem"
      class={`row${alert.run === null ? '' : ' practised'}${unack ? ' unack' : ''}${folded ? ' folded' : ''}`}
      aria-selected={selected.value === alert.id}
      aria-expanded={children.length > 0 ? row.open : undefined}
      aria-level={row.under === null ? 1 : 2}
      onClick={() => choose(alert.id)}
      onDblClick={() => goTo(alert)}
    >
      <SeverityMark rank={alert.rank} state={alert.state} />
      <span>
        {alert.run !== null && <b class="ex-mark">{t('ex.mark')}</b>}
        <span class="headline">{alert.headline}</span>
        <span class="sub">
          <br />
          {row.under !== null && !unack && `${word('state', alert.state)} · `}
          {secondLine(alert)}
        </span>
        {alert.overBudget > 0 && <span class="over">{overBudget(alert)}</span>}
        {children.length > 0 && <UnderLine row={row} />}
      </span>
      <span class="age" title={t('queue.ageTitle', { time: atMoment(alert.opened, at) })}>
        {span(at - alert.opened)}
        <br />
        {alert.count > 1 && (
          <span class="badge" aria-label={t('queue.count2', { n: alert.count })}>
            ×{alert.count}
          </span>
        )}
        {alert.late && <span class="badge">{t('queue.late')}</span>}
      </span>
    </div>
  );
}

/** How many stand under it. Part of the row: the pointer opens it here, the keyboard with the arrows. */
function UnderLine({ row }: { row: AlertRow }) {
  const fresh = row.children.filter((child) => child.state === 'open').length;
  return (
    <span class={`under${fresh > 0 ? ' fresh' : ''}`} title={t('queue.underHint')} data-testid="under" onClick={() => toggleFold(row.key)} onDblClick={(event) => event.stopPropagation()}>
      <span aria-hidden="true">{row.open ? '▾ ' : '▸ '}</span>
      {t('queue.under', { n: row.children.length })}
      {fresh > 0 && `, ${t('queue.underNew', { n: fresh })}`}
    </span>
  );
}

/** The place, unless the headline says it already; then the rule. And who has it. */
function secondLine(alert: Alert): string {
  const place = alert.place && !alert.headline.includes(alert.place) ? alert.place : '';
  return [place || (alert.title === alert.headline ? '' : alert.title), alert.owner].filter(Boolean).join(' · ');
}

function FoldRow({ row }: { row: Extract<Row, { type: 'fold' }> }) {
  const newest = Math.max(...row.alerts.map((alert) => alert.opened));
  return (
    <div
      id={optionId(row.key)}
      role="treeitem"
      class="row fold unack"
      title={t('queue.foldHint')}
      aria-selected={selected.value === row.key}
      aria-expanded={row.open}
      onClick={() => {
        selected.value = row.key;
        toggleFold(row.key);
      }}
    >
      <SeverityMark rank={row.rank} />
      <span class="headline">
        {row.alerts[0]?.run != null && <b class="ex-mark">{t('ex.mark')}</b>}
        {row.open ? '▾ ' : '▸ '}
        {t('queue.fold', { title: row.title, n: row.alerts.length })}
      </span>
      <span class="age">{span(queueNow.value - newest)}</span>
    </div>
  );
}

function ResolvedFoot({ groups }: { groups: Group[] }) {
  const resolved = groups.find((group) => group.state === 'resolved')?.total ?? 0;
  if (resolved === 0) return null;
  return (
    <div class="foot">
      <button type="button" aria-pressed={showResolved.value} onClick={() => (showResolved.value = !showResolved.value)}>
        {showResolved.value ? t('queue.hideResolved') : t('queue.showResolved', { count: resolved })}
      </button>
    </div>
  );
}
