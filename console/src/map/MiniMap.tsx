// Where the alerts outside the map lie, and how far: small, north up, only while there are any. A click shows them all; `B` goes back.
import { LngLat, type Map as MapLibre } from 'maplibre-gl';
import { lookAt } from '../live/camera';
import { shownAlerts } from '../live/picture';
import { bounds } from '../live/view';
import { t } from '../i18n';
import { overview } from '../model/overview';
import { onMap } from '../model/picture';
import { RANK_SHAPES } from '../model/shapes';

const WIDTH = 136;
const HEIGHT = 96;
const MARK = 9;
/** No closer than a district, also where all alerts are in one street. */
const CLOSEST = 14;

export function MiniMap({ map }: { map: MapLibre }) {
  const alerts = shownAlerts.value.filter(onMap).sort((a, b) => b.rank - a.rank);
  const places = alerts.flatMap((alert) => alert.position ?? []);
  const found = bounds.value && overview(bounds.value, places, WIDTH, HEIGHT);
  if (!found) return null;
  const showAll = (): void => {
    const [west, south, east, north] = found.all;
    const camera = map.cameraForBounds([west, south, east, north], { padding: 60, maxZoom: CLOSEST });
    if (!camera?.center) return;
    const { lng, lat } = LngLat.convert(camera.center);
    lookAt({ centre: { lon: lng, lat }, zoom: camera.zoom ?? CLOSEST });
  };
  return (
    <button type="button" class="minimap" data-testid="minimap" aria-label={t('map.mini', { n: places.length })} title={t('map.mini', { n: places.length })} onClick={showAll}>
      <svg width={WIDTH} height={HEIGHT} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
        <rect class="seen" {...found.view} />
        {alerts.map((alert) => {
          if (!alert.position) return null;
          const { x, y } = found.at(alert.position);
          const hollow = alert.state !== 'open';
          const colour = `var(--sev${alert.rank})`;
          return (
            <path
              key={alert.id}
              d={RANK_SHAPES[alert.rank]}
              transform={`translate(${x - MARK / 2} ${y - MARK / 2}) scale(${MARK / 24})`}
              fill={hollow ? 'var(--panel)' : colour}
              stroke={hollow ? colour : 'var(--sev-edge)'}
              stroke-width={hollow ? 5 : 2.5}
            />
          );
        })}
      </svg>
    </button>
  );
}
