// The one filter: words, kinds, severities. It stays over a reload and says all the time what it hides.
import { groups, hidden } from '../live/picture';
import { layers } from '../live/store';
import { filter, layersOn, middle } from '../live/view';
import { kindName, t } from '../i18n';
import { isFiltering, NO_FILTER, toggled } from '../model/filter';
import type { Rank } from '../model/types';
import { KindMark, SeverityMark } from './marks';
import { Menu } from './Menu';

export const SEARCH_ID = 'filter-words';
const RANKS: readonly Rank[] = [1, 2, 3, 4];

export function FilterBar() {
  return (
    <div class="filterbar" role="search" aria-label={t('filter.bar')}>
      <span class="search">
        <input
          id={SEARCH_ID}
          type="search"
          aria-label={t('filter.search')}
          aria-keyshortcuts="/"
          placeholder={`${t('filter.search')}  /`}
          value={filter.value.text}
          onInput={(event) => (filter.value = { ...filter.value, text: event.currentTarget.value })}
        />
      </span>
      <Kinds />
      <span class="ranks" role="group" aria-label={t('filter.severity')}>
        {RANKS.map((rank) => (
          <button
            key={rank}
            type="button"
            aria-pressed={!filter.value.hiddenRanks.includes(rank)}
            aria-label={t('filter.toggleRank', { rank, name: t(`rank.${rank}`) })}
            onClick={() => (filter.value = { ...filter.value, hiddenRanks: toggled(filter.value.hiddenRanks, rank) })}
          >
            <SeverityMark rank={rank} size={18} label={false} />
          </button>
        ))}
      </span>
      <HiddenChip />
      <span class="grow" />
      <Layers />
      <span role="group" aria-label={t('view.choose')}>
        {(['map', 'list'] as const).map((name) => (
          <button key={name} type="button" aria-pressed={middle.value === name} onClick={() => (middle.value = name)}>
            {t(`view.${name}`)}
          </button>
        ))}
      </span>
    </div>
  );
}

function Kinds() {
  const all = groups.value;
  const off = filter.value.hiddenKinds;
  const shown = all.filter((group) => !off.includes(group)).length;
  const label = shown === all.length ? t('filter.kinds') : t('filter.kindsSome', { shown, total: all.length });
  return (
    <Menu name={t('filter.kinds')} label={label}>
      {all.length === 0 && <p class="muted">{t('filter.none')}</p>}
      {all.map((group) => (
        <label key={group}>
          <input
            type="checkbox"
            checked={!off.includes(group)}
            onChange={() => (filter.value = { ...filter.value, hiddenKinds: toggled(filter.value.hiddenKinds, group) })}
          />
          <KindMark kind={group} />
          {kindName(group)}
        </label>
      ))}
    </Menu>
  );
}

function HiddenChip() {
  if (!isFiltering(filter.value)) return null;
  const { alerts, events, unacknowledged } = hidden.value;
  const detail = t('filter.hiddenDetail', { alerts, events });
  return (
    <span class="inline">
      <span class={unacknowledged > 0 ? 'pill warn' : 'pill'} role="status" title={detail} data-testid="hidden">
        {t('filter.hidden', { n: alerts + events })}
        {unacknowledged > 0 && ` · ${t('filter.hiddenNew', { n: unacknowledged })}`}
      </span>
      <button type="button" onClick={() => (filter.value = NO_FILTER)}>
        {t('filter.clear')}
      </button>
    </span>
  );
}

function Layers() {
  const choices = (layers.value ?? []).filter((layer) => layer.kind !== 'tiles');
  if (choices.length === 0) return null;
  return (
    <Menu name={t('view.layers')} label={t('view.layers')} right>
      {choices.map((layer) => (
        <label key={layer.name} title={layer.licence}>
          <input type="checkbox" checked={layersOn.value.includes(layer.name)} onChange={() => (layersOn.value = toggled(layersOn.value, layer.name))} />
          {layer.title}
        </label>
      ))}
    </Menu>
  );
}
