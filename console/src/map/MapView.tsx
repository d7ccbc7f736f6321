// The map pane: the map itself and what lies over it.
import './map.css';
import type { Map as MapLibre } from 'maplibre-gl';
import { useEffect, useRef, useState } from 'preact/hooks';
import { canGoBack, goBack, here, lookAt } from '../live/camera';
import { moment, shownEvents } from '../live/picture';
import { status } from '../live/store';
import { middle } from '../live/view';
import { kindName, measure, moment as atMoment, t } from '../i18n';
import { cityZoom } from '../model/geo';
import { kindGroup } from '../model/kinds';
import { KindMark } from '../components/marks';
import { EdgeArrows } from './EdgeArrows';
import { Legend } from './Legend';
import { MiniMap } from './MiniMap';
import { inspected, openMap } from './session';

export function MapView() {
  const box = useRef<HTMLDivElement>(null);
  const [map, setMap] = useState<MapLibre | null>(null);
  const [broken, setBroken] = useState(false);
  useEffect(() => {
    let close = (): void => undefined;
    let here = true;
    openMap(box.current as HTMLElement)
      .then((opened) => {
        if (!here) return opened.close();
        close = opened.close;
        setMap(opened.map);
      })
      .catch(() => {
        setBroken(true); // no WebGL: the list says the same
        middle.value = 'list';
      });
    return () => {
      here = false;
      close();
    };
  }, []);
  return (
    <div class={middle.value === 'map' ? 'map' : 'map away'} data-testid="map">
      <div ref={box} class="map" />
      {broken && <p class="empty">{t('map.noWebgl')}</p>}
      {map && (
        <>
          <Buttons map={map} />
          <EdgeArrows map={map} />
          <MiniMap map={map} />
          <Report />
          <Legend />
        </>
      )}
    </div>
  );
}

function Buttons({ map }: { map: MapLibre }) {
  const home = (): void => {
    const city = status.value?.city;
    const { clientWidth, clientHeight } = map.getContainer();
    if (city) lookAt({ centre: { lon: city.centre[0], lat: city.centre[1] }, zoom: cityZoom(city.zoom, clientWidth, clientHeight) });
  };
  const zoom = (step: number): void => {
    const at = here.value;
    if (at) map.easeTo({ zoom: at.zoom + step, duration: 200 });
  };
  return (
    <div class="mapbuttons">
      <button type="button" aria-label={t('map.zoomIn')} onClick={() => zoom(1)}>
        +
      </button>
      <button type="button" aria-label={t('map.zoomOut')} onClick={() => zoom(-1)}>
        −
      </button>
      <button type="button" aria-label={t('map.home')} title={t('map.home')} onClick={home}>
        ⌂
      </button>
      {canGoBack.value && (
        <button type="button" aria-label={t('map.back')} title={t('map.back')} onClick={goBack}>
          ↩
        </button>
      )}
    </div>
  );
}

/** The report that was clicked. */
function Report() {
  const seq = inspected.value;
  const found = seq === null ? undefined : shownEvents.value.find((seen) => seen.event.seq === seq)?.event;
  if (!found) return null;
  return (
    <div class="report" role="status">
      <p class="top">
        <KindMark kind={found.kind} />
        <b>{kindName(kindGroup(found.kind))}</b>
        <span class="muted">{atMoment(found.eventTime, moment.value)}</span>
        <span class="grow" />
        <button type="button" class="quiet" aria-label={t('view.close')} onClick={() => (inspected.value = null)}>
          ✕
        </button>
      </p>
      <p>
        {found.text ?? found.kind} {found.value !== null && <b>{measure(found.value, found.unit)}</b>}
      </p>
      <p class="muted">{[found.source, found.feed].filter(Boolean).join(' · ')}</p>
    </div>
  );
}
