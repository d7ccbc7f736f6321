// Alerts by place: circles on the city's own map, larger for more, and the same as a table that leads the map.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { BacktestPlace } from '../api/backtest';
import { count, t } from '../i18n';

const LISTED = 50;
type Shown = { show: (place: BacktestPlace) => void; close: () => void };

export function PlacesMap({ places }: { places: BacktestPlace[] }) {
  const box = useRef<HTMLDivElement>(null);
  const map = useRef<Shown | null>(null);
  const [broken, setBroken] = useState(false);
  useEffect(() => {
    let here = true;
    import('../map/places')
      .then(({ openPlacesMap }) => openPlacesMap(box.current as HTMLElement, places))
      .then((opened) => (here ? (map.current = opened) : opened.close()))
      .catch(() => here && setBroken(true)); // no WebGL: the table says the same
    return () => {
      here = false;
      map.current?.close();
      map.current = null;
    };
  }, [places]);
  return (
    <>
      {broken ? <p class="muted">{t('map.noWebgl')}</p> : (
        <div class="bt-map">
          <div ref={box} data-testid="places-map" />
        </div>
      )}
      <div class="wide" role="group" tabIndex={0} aria-label={t('bt.places')}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t('bt.place')}</th>
              <th scope="col">{t('bt.alerts')}</th>
            </tr>
          </thead>
          <tbody>
            {places.slice(0, LISTED).map((one, at) => (
              <tr key={at}>
                <th scope="row">
                  <button type="button" class="link" title={t('bt.showPlace', { place: one.place })} onClick={() => map.current?.show(one)}>
                    {one.place}
                  </button>
                </th>
                <td>{count(one.alerts)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
