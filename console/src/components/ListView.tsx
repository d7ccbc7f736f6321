// The map as a table: every symbol of the map is a row here, so that nothing can be seen by eye only.
import { goTo } from '../live/camera';
import { moment, shownAlerts, shownEvents } from '../live/picture';
import { bounds, inViewOnly, selected } from '../live/view';
import { kindName, measure, moment as atMoment, t, word } from '../i18n';
import { kindGroup } from '../model/kinds';
import { onMap } from '../model/picture';
import type { Alert, Event, Position } from '../model/types';
import { overBudget, parentWords } from './Family';
import { KindMark, SeverityMark } from './marks';

const MOST = 500;

function inView(position: Position | null): boolean {
  const box = bounds.value;
  if (!inViewOnly.value || !box) return true;
  if (!position) return false;
  const [west, south, east, north] = box;
  return position.lon >= west && position.lon <= east && position.lat >= south && position.lat <= north;
}

export function ListView() {
  const alerts = shownAlerts.value.filter((alert) => onMap(alert) && inView(alert.position)).sort((a, b) => a.rank - b.rank || b.opened - a.opened);
  const events = shownEvents.value
    .map((seen) => seen.event)
    .filter((event) => inView(event.position))
    .sort((a, b) => b.eventTime - a.eventTime);
  return (
    <div class="listview" role="region" aria-label={t('list.title')} tabIndex={0}>
      <div class="tools">
        <b>{t('list.alerts', { n: alerts.length })}</b>
        <b>{t('list.events', { n: events.length })}</b>
        <label class="inline">
          <input type="checkbox" checked={inViewOnly.value} onChange={(change) => (inViewOnly.value = change.currentTarget.checked)} />
          {t('list.inView')}
        </label>
      </div>
      {alerts.length + events.length === 0 && <p class="empty">{t('list.empty')}</p>}
      <table>
        <thead>
          <tr>
            <th>{t('list.time')}</th>
            <th>{t('list.kind')}</th>
            <th>{t('list.what')}</th>
            <th>{t('list.where')}</th>
            <th>{t('list.state')}</th>
          </tr>
        </thead>
        <tbody>
          {alerts.slice(0, MOST).map((alert) => (
            <AlertLine key={alert.id} alert={alert} />
          ))}
          {events.slice(0, MOST).map((event) => (
            <EventLine key={event.seq} event={event} />
          ))}
        </tbody>
      </table>
      {events.length > MOST && <p class="empty">{t('list.shown', { shown: MOST, total: events.length })}</p>}
    </div>
  );
}

function AlertLine({ alert }: { alert: Alert }) {
  return (
    <tr class={selected.value === alert.id ? 'chosen' : ''}>
      <td class="nowrap">{atMoment(alert.opened, moment.value)}</td>
      <td class="nowrap">
        <span class="inline">
          <SeverityMark rank={alert.rank} state={alert.state} size={18} />
          {alert.title}
        </span>
      </td>
      <td>
        <button type="button" class="link" onClick={() => (selected.value = alert.id)} onDblClick={() => goTo(alert)}>
          {alert.run !== null && <b class="ex-mark">{t('ex.mark')}</b>}
          {alert.headline}
        </button>
        <span class="muted">
          {[parentWords(alert), overBudget(alert)].filter(Boolean).map((words) => (
            <span key={words} class="besides">
              {words}
            </span>
          ))}
        </span>
      </td>
      <td>{alert.place || coordinates(alert.position)}</td>
      <td class="nowrap">{word('state', alert.state)}</td>
    </tr>
  );
}

function EventLine({ event }: { event: Event }) {
  return (
    <tr>
      <td class="nowrap">{atMoment(event.eventTime, moment.value)}</td>
      <td class="nowrap">
        <span class="inline">
          <KindMark kind={event.kind} />
          {kindName(kindGroup(event.kind))}
        </span>
      </td>
      <td class="wrap-any">
        {event.exercise && <b class="ex-mark">{t('ex.mark')}</b>}
        {event.text ?? event.id} {event.value !== null && <b class="nowrap">{measure(event.value, event.unit)}</b>}
      </td>
      <td class="wrap-any">{event.source ?? coordinates(event.position)}</td>
      <td />
    </tr>
  );
}

const coordinates = (position: Position | null): string =>
  position ? t('detail.coordinates', { lat: position.lat.toFixed(4), lon: position.lon.toFixed(4) }) : '';
