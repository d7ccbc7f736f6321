// The buttons of an alert. Only steps that its state allows are there.
import { busy, draft, draftOf, step } from '../live/actions';
import { conductor, isLive } from '../live/view';
import { t } from '../i18n';
import { allowed } from '../model/queue';
import type { Alert, AlertState } from '../model/types';

type Step = Exclude<AlertState, 'retracted'>;
const STEPS: readonly [Step, string][] = [
  ['acknowledged', 'A'],
  ['in_progress', 'I'],
  ['on_hold', 'H'],
  ['resolved', 'R'],
  ['open', ''],
];

export function Actions({ alert }: { alert: Alert }) {
  if (!isLive.value) return <p class="flag">{t(conductor.value.mode === 'replay' ? 'replay.noSteps' : 'detail.past')}</p>;
  const typed = draftOf(alert.id);
  const steps = STEPS.filter(([to]) => allowed(alert.state, to));
  return (
    <div class="actions" role="group" aria-label={t('act.actions')}>
      <div class="buttons">
        {steps.map(([to, key], i) => (
          <button key={to} type="button" class={i === 0 && alert.state !== 'resolved' ? 'primary' : ''} aria-disabled={busy.value.has(alert.id)} onClick={() => void step(alert, to)}>
            {t(`act.${to}`)}
            {key && <kbd>{key}</kbd>}
          </button>
        ))}
      </div>
      <div class="fields">
        <label>
          {t('act.owner')}
          <input type="text" maxLength={80} value={typed.owner ?? alert.owner ?? ''} onInput={(event) => draft(alert.id, { owner: event.currentTarget.value })} />
        </label>
        <label>
          {t('act.note')}
          <input type="text" maxLength={500} placeholder={t('act.notePlaceholder')} value={typed.note} onInput={(event) => draft(alert.id, { note: event.currentTarget.value })} />
        </label>
      </div>
    </div>
  );
}
