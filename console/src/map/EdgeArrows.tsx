// What needs somebody but lies outside the map: an arrow at the edge, never a move of the map.
import type { Map as MapLibre } from 'maplibre-gl';
import { SeverityMark } from '../components/marks';
import { goTo, here } from '../live/camera';
import { shownAlerts } from '../live/picture';
import { selected } from '../live/view';
import { metres, t } from '../i18n';
import { distance, edgeArrows, type Arrow } from '../model/geo';
import { onMap } from '../model/picture';
import type { Alert, Rank } from '../model/types';
import { view } from './session';

export function EdgeArrows({ map }: { map: MapLibre }) {
  void view.value; // again after every move
  const { clientWidth, clientHeight } = map.getContainer();
  const targets = shownAlerts.value
    .filter(onMap)
    .sort((a, b) => a.rank - b.rank || b.opened - a.opened)
    .map((alert) => ({ at: map.project([alert.position?.lon ?? 0, alert.position?.lat ?? 0]), what: alert }));
  return (
    <>
      {edgeArrows(targets, clientWidth, clientHeight).map((arrow) => (
        <Edge key={arrow.members[0]?.id} arrow={arrow} />
      ))}
    </>
  );
}

function Edge({ arrow }: { arrow: Arrow<Alert> }) {
  const first = arrow.members[0];
  if (!first?.position) return null;
  const far = here.value ? metres(distance(here.value.centre, first.position)) : '';
  const label = t('map.edge', { n: arrow.members.length, distance: far, headline: first.headline });
  const act = (): void => {
    selected.value = first.id;
    goTo(first);
  };
  return (
    <button type="button" class="edge" style={{ left: `${arrow.x}px`, top: `${arrow.y}px` }} title={label} onClick={act}>
      <span class="sr">{label}</span>
      <SeverityMark rank={first.rank as Rank} state={first.state} size={18} label={false} />
      {arrow.members.length > 1 && <span aria-hidden="true">{arrow.members.length}</span>}
      <svg class="dir" width="10" height="10" viewBox="-5 -5 10 10" aria-hidden="true">
        <path d="M-3-4 4 0-3 4z" fill="currentColor" transform={`rotate(${(arrow.angle * 180) / Math.PI})`} />
      </svg>
    </button>
  );
}
