// How things are written on this screen: units and clocks. Kept on this machine.
import { dtgOn, units } from '../live/view';
import { t } from '../i18n';
import { UNIT_SYSTEMS } from '../model/units';
import { Menu } from './Menu';

export function Settings() {
  return (
    <Menu name={t('set.title')} label={<Label />} right>
      <fieldset>
        <legend>{t('set.units')}</legend>
        {UNIT_SYSTEMS.map((system) => (
          <label key={system}>
            <input type="radio" name="units" checked={units.value === system} onChange={() => (units.value = system)} />
            {t(`set.${system}`)}
          </label>
        ))}
        <p class="muted">{t('set.unitsHint')}</p>
      </fieldset>
      <fieldset>
        <legend>{t('set.clock')}</legend>
        <label>
          <input type="checkbox" checked={dtgOn.value} onChange={(event) => (dtgOn.value = event.currentTarget.checked)} />
          {t('set.dtg')}
        </label>
      </fieldset>
      <p class="muted">{t('set.kept')}</p>
    </Menu>
  );
}

function Label() {
  return (
    <span title={t('set.title')}>
      <span aria-hidden="true">⚙</span>
      <span class="sr">{t('set.title')}</span>
    </span>
  );
}
