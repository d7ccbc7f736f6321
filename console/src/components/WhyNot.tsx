// "Why did it not ring?": a rule, a place - that of the chosen alert, or the middle of the map - and the moment on the screen.
import { useEffect } from 'preact/hooks';
import { signal } from '@preact/signals';
import { here } from '../live/camera';
import { explainRule, loadRules, ofRule } from '../live/explain';
import { moment } from '../live/picture';
import { rules, status } from '../live/store';
import { moment as atMoment, t } from '../i18n';
import type { Alert, Position } from '../model/types';
import { Answer } from './Clauses';

const rule = signal('');
const within = signal('');
const late = signal(false);

export function WhyNot({ alert }: { alert: Alert | null }) {
  useEffect(() => void loadRules(), []);
  const place = alert?.position ?? here.value?.centre ?? centre();
  const known = rules.value ?? [];
  const chosen = known.some((one) => one.name === rule.value) ? rule.value : (alert?.rule ?? known[0]?.name ?? '');
  if (place === null) return null;
  const ask = (event: SubmitEvent): void => {
    event.preventDefault();
    void explainRule({ rule: chosen, near: place, at: moment.value, within: within.value.trim(), withLate: late.value });
  };
  return (
    <details class="whynot" open={alert === null}>
      <summary>{t('explain.title')}</summary>
      <p class="muted">{t(alert?.position ? 'explain.hintAlert' : 'explain.hintMap')}</p>
      <form onSubmit={ask}>
        <label>
          {t('explain.rule')}
          <select value={chosen} onChange={(event) => (rule.value = event.currentTarget.value)}>
            {known.map((one) => (
              <option key={one.name} value={one.name}>
                {one.title}
              </option>
            ))}
          </select>
        </label>
        <label>
          {t('explain.within')}
          <input type="text" maxLength={20} placeholder={t('explain.withinOwn')} value={within.value} onInput={(event) => (within.value = event.currentTarget.value)} />
        </label>
        <label class="inline">
          <input type="checkbox" checked={late.value} onChange={(event) => (late.value = event.currentTarget.checked)} />
          {t('explain.late')}
        </label>
        <button type="submit" class="primary" disabled={chosen === ''}>
          {t('explain.ask', { time: atMoment(moment.value, moment.value) })}
        </button>
      </form>
      {ofRule.value && <Answer asked={ofRule.value} summary />}
    </details>
  );
}

function centre(): Position | null {
  const at = status.value?.city.centre;
  return at ? { lon: at[0], lat: at[1] } : null;
}
