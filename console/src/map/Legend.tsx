// What the symbols mean; closed until it is asked for.
import { KindMark, SeverityMark } from '../components/marks';
import { groups } from '../live/picture';
import { layers } from '../live/store';
import { kindName, t } from '../i18n';

export function Legend() {
  const sources = (layers.value ?? []).filter((layer) => layer.kind === 'tiles').map((layer) => layer.licence);
  return (
    <details class="legend">
      <summary>{t('map.legend')}</summary>
      <div class="entries" tabIndex={0} role="group" aria-label={t('map.legend')}>
        <ul>
          <li>
            {([1, 2, 3, 4] as const).map((rank) => (
              <span key={rank} class="inline">
                <SeverityMark rank={rank} size={17} label={false} />
                {t(`rank.${rank}`)}
              </span>
            ))}
          </li>
          <li>
            <SeverityMark rank={2} state="acknowledged" size={17} label={false} />
            {t('legend.acked')}
          </li>
          <li>{t('legend.events')}</li>
          {groups.value.map((group) => (
            <li key={group}>
              <KindMark kind={group} />
              {kindName(group)}
            </li>
          ))}
          <li>
            <span class="swatch" aria-hidden="true" />
            {t('legend.area')}
          </li>
          <li>
            <span class="ring" aria-hidden="true" />
            {t('legend.evidence')}
          </li>
          <li class="muted">{[...new Set(sources)].filter(Boolean).join(' · ')}</li>
        </ul>
      </div>
    </details>
  );
}
