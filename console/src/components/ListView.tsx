// The map as a table: every symbol of the map is a row here, so that nothing can be seen by eye only. Long parts have pages: nothing is cut.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { goTo, here } from '../live/camera';
import { facilitiesShown, layersShown } from '../live/layers';
import { moment, selectedAlert, shownAlerts, shownEvents } from '../live/picture';
import { eventsCut, layers, MOST_EVENTS } from '../live/store';
import { bounds, inViewOnly, isLive, selected } from '../live/view';
import { kindName, measure, metres, moment as atMoment, t, word } from '../i18n';
import { middleOf, nearestFirst, overlaps, type Box, type Facility } from '../model/facilities';
import { kindGroup } from '../model/kinds';
import { onMap } from '../model/picture';
import { pageOf } from '../model/pages';
import type { Alert, Event, Position } from '../model/types';
import { overBudget, parentWords } from './Family';
import { KindMark, SeverityMark } from './marks';

const COLUMNS = 5;

const inView = (box: Box): boolean => !inViewOnly.value || bounds.value === null || overlaps(box, bounds.value);
const pointInView = (position: Position | null): boolean =>
  position ? inView([position.lon, position.lat, position.lon, position.lat]) : !inViewOnly.value || bounds.value === null;

export function ListView() {
  const alerts = shownAlerts.value
    .filter((alert) => (onMap(alert) || alert.id === selected.value) && pointInView(alert.position))
    .sort((a, b) => a.rank - b.rank || b.opened - a.opened);
  const events = shownEvents.value
    .map((seen) => seen.event)
    .filter((event) => pointInView(event.position))
    .sort((a, b) => b.eventTime - a.eventTime);
  const things = facilitiesShown.value.filter((facility) => inView(facility.box));
  return (
    <div class="listview" role="region" aria-label={t('list.title')} tabIndex={0}>
      <div class="tools">
        <b>{t('list.alerts', { n: alerts.length })}</b>
        {things.length > 0 && <b>{t('list.layers', { n: things.length })}</b>}
        <b>{t('list.events', { n: events.length })}</b>
        <label class="inline">
          <input type="checkbox" checked={inViewOnly.value} onChange={(change) => (inViewOnly.value = change.currentTarget.checked)} />
          {t('list.inView')}
        </label>
      </div>
      {alerts.length + events.length + things.length === 0 && <p class="empty">{t('list.empty')}</p>}
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
        <Part name={t('list.alertsHead')} items={alerts} row={(alert) => <AlertLine key={alert.id} alert={alert} />} />
        <Things things={things} />
        <Part name={t('list.eventsHead')} items={events} row={(event) => <EventLine key={event.seq} event={event} />} />
      </table>
      {eventsCut.value && isLive.value && <p class="empty">{t('list.newest', { n: MOST_EVENTS })}</p>}
      {layersShown.value.length === 0 && (layers.value ?? []).some((layer) => layer.kind !== 'tiles') && <p class="empty">{t('list.noLayers')}</p>}
    </div>
  );
}

function Part<T>({ name, items, row }: { name: string; items: readonly T[]; row: (item: T) => ComponentChildren }) {
  const [wanted, setWanted] = useState(0);
  if (items.length === 0) return null;
  const { page, pages, from, shown } = pageOf(items, wanted);
  return (
    <tbody>
      <tr class="part">
        <th colSpan={COLUMNS} scope="rowgroup">
          <span class="inline">
            {name}
            {pages > 1 && (
              <span class="inline" role="group" aria-label={t('list.pages', { what: name })}>
                <span class="muted" role="status">
                  {t('list.range', { from: from + 1, to: from + shown.length, total: items.length })}
                </span>
                <button type="button" aria-disabled={page === 0} onClick={() => setWanted(Math.max(0, page - 1))}>
                  {t('list.earlier')}
                </button>
                <button type="button" aria-disabled={page === pages - 1} onClick={() => setWanted(Math.min(pages - 1, page + 1))}>
                  {t('list.later')}
                </button>
              </span>
            )}
          </span>
        </th>
      </tr>
      {shown.map(row)}
    </tbody>
  );
}

/** Nearest to the chosen alert first: which station, which hospital is the question then. */
function Things({ things }: { things: Facility[] }) {
  const alertAt = selectedAlert.value?.position ?? null;
  const words = alertAt ? 'list.fromAlert' : 'list.fromMap';
  const rows = nearestFirst(things, alertAt ?? here.value?.centre ?? null);
  const name = t('list.layersHead', { titles: layersShown.value.map((layer) => layer.title).join(', ') });
  return (
    <Part
      name={name}
      items={rows}
      row={({ facility, away }) => (
        <tr key={facility.key}>
          <td />
          <td>{facility.layer.title}</td>
          <td class="wrap-any">{facility.name || <span class="muted">{t('list.nameless')}</span>}</td>
          <td class="wrap-any">{away === null ? coordinates(middleOf(facility.box)) : t(words, { distance: metres(away) })}</td>
          <td />
        </tr>
      )}
    />
  );
}

function AlertLine({ alert }: { alert: Alert }) {
  return (
    <tr class={selected.value === alert.id ? 'chosen' : ''}>
      <td class="nowrap">{atMoment(alert.opened, moment.value)}</td>
      <td>
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
