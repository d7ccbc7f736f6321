// What lies over the screen for a moment: the answer to a step, the duty question, the keyboard page.
import { useRef } from 'preact/hooks';
import { dutyGiven, notice, say, undo, waiting } from '../live/actions';
import { status } from '../live/store';
import { duty, helpOpen, keysOn, panes, screen } from '../live/view';
import { t, type Key } from '../i18n';
import { Dialog } from './Dialog';

export function Overlays() {
  return (
    <>
      <Notice />
      {waiting.value !== null && <Duty />}
      {helpOpen.value && <Help />}
    </>
  );
}

function Notice() {
  const shown = notice.value;
  return (
    <div aria-live="polite">
      {shown && (
        <div class={`notice ${shown.kind}`} data-testid="notice" style={screen.value === 'live' ? { '--above': `${panes.value.timeline}px` } : {}}>
          <span>{shown.text}</span>
          {shown.undo && (
            <button type="button" onClick={() => void undo()}>
              {t('act.undo')}
              <kbd>U</kbd>
            </button>
          )}
          <button type="button" class="quiet" aria-label={t('act.close')} onClick={() => say(null)}>
            ✕
          </button>
        </div>
      )}
    </div>
  );
}

function Duty() {
  const field = useRef<HTMLInputElement>(null);
  const close = (): void => {
    waiting.value = null;
  };
  return (
    <Dialog title={t('duty.title')} onClose={close}>
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault();
          dutyGiven(field.current?.value ?? '');
        }}
      >
        <p class="muted">{t('duty.hint')}</p>
        <label for="duty-name">{t('duty.name')}</label>
        <input id="duty-name" ref={field} type="text" required maxLength={80} autoFocus value={duty.value} />
        <div class="buttons">
          <button type="button" onClick={close}>
            {t('duty.cancel')}
          </button>
          <button type="submit" class="primary">
            {t('duty.save')}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

const KEYS: readonly [string, Key][] = [
  ['J K', 'keys.jk'],
  ['← →', 'keys.fold'],
  ['A', 'keys.a'],
  ['I', 'keys.i'],
  ['H', 'keys.h'],
  ['R', 'keys.r'],
  ['U', 'keys.u'],
  ['G', 'keys.g'],
  ['B', 'keys.b'],
  ['M', 'keys.m'],
  ['/', 'keys.slash'],
  ['L', 'keys.l'],
  ['← →', 'keys.arrows'],
  ['␣', 'keys.space'],
  ['P', 'keys.p'],
  ['S', 'keys.s'],
  ['T', 'keys.t'],
  ['1 … 6', 'keys.screens'],
  ['Esc', 'keys.esc'],
  ['?', 'keys.help'],
];

function Help() {
  const close = (): void => {
    helpOpen.value = false;
  };
  const access = status.value?.access.words ?? '';
  return (
    <Dialog title={t('help.title')} onClose={close}>
      <label class="inline">
        <input type="checkbox" checked={keysOn.value} onChange={(event) => (keysOn.value = event.currentTarget.checked)} />
        {t('help.keysOn')}
      </label>
      <table class="keys">
        <tbody>
          {KEYS.map(([keys, words]) => (
            <tr key={words}>
              <td class="nowrap">
                <b>{keys}</b>
              </td>
              <td>{t(words as 'keys.a')}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {access && (
        <p>
          <b>{t('help.access')}:</b> {access}
        </p>
      )}
      <p class="muted">{t('help.version', { version: status.value?.version ?? '' })}</p>
      <div class="buttons">
        <button type="button" class="primary" onClick={close}>
          {t('help.close')}
        </button>
      </div>
    </Dialog>
  );
}
