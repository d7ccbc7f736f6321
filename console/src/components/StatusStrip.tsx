// The top of every screen: what is connected, what is wrong, which moment is shown, and the node's clock.
import { waiting } from '../live/actions';
import { link } from '../live/link';
import { moment } from '../live/picture';
import { counters, feeds, now, status, troubles } from '../live/store';
import { replaying, returnToLive } from '../live/playback';
import { soundBlocked, soundOn, toggleSound } from '../live/sound';
import { conductor, dtgOn, duty, helpOpen, isLive, screen, SCREENS, theme, THEMES } from '../live/view';
import { clock, clockUtc, count, day, dtg, t } from '../i18n';
import { needsALook } from '../model/feeds';
import { FeedReasons } from './FeedReasons';
import { Menu } from './Menu';
import { Settings } from './Settings';

export function StatusStrip() {
  const bad = feeds.value.filter(needsALook);
  return (
    <header class="strip">
      <span class="brand">{t('app.name')}</span>
      <nav aria-label={t('app.screens')}>
        {SCREENS.map((name) => (
          <a key={name} href={`#${name}`} aria-current={screen.value === name ? 'page' : undefined}>
            {t(`screen.${name}`)}
          </a>
        ))}
      </nav>
      <span class="grow" />
      <span class="pill rate" title={t('strip.rateTitle', { total: counters.value.total })}>
        {t('strip.feeds', { n: feeds.value.length || (status.value?.feeds.total ?? 0) })}
        {' · '}
        {t('strip.rate', { rate: count(counters.value.perMin) })}
      </span>
      {bad.length > 0 && (
        <Menu name={t('stale.title')} label={t('strip.stale', { n: bad.length })} class="pill warn" right>
          <FeedReasons feeds={bad} />
        </Menu>
      )}
      <Mode />
      <button type="button" class="pill" onClick={() => (waiting.value = 'ask')}>
        {duty.value ? t('strip.duty', { name: duty.value }) : t('strip.dutyNone')}
      </button>
      <Clocks />
      <span class="tools">
        <Sound />
        <Settings />
        <IconButton label={t('strip.theme', { name: t(`theme.${theme.value}`) })} sign="◐" act={nextTheme} />
        <IconButton label={t('strip.help')} sign="?" act={() => (helpOpen.value = true)} />
      </span>
    </header>
  );
}

/** Never silent without saying so: off, on, or on and kept silent by the browser. */
function Sound() {
  const state = !soundOn.value ? 'off' : soundBlocked.value ? 'blocked' : 'on';
  return (
    <button type="button" class={`sound${state === 'blocked' ? ' pill warn' : ''}`} data-testid="sound" title={t(`sound.${state}Title`)} onClick={() => void toggleSound()}>
      <svg width="15" height="15" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true">
        <path d="M3 9v6h4l6 5V4L7 9z" fill="currentColor" />
        <path d={state === 'on' ? 'M16.500 8.500a5 5 0 0 1 0 7M19 5.500a9 9 0 0 1 0 13' : 'M16.500 9l6 6M22.500 9l-6 6'} />
      </svg>
      <span class="words">{t(`sound.${state}`)}</span>
    </button>
  );
}

function IconButton({ label, sign, act }: { label: string; sign: string; act: () => void }) {
  return (
    <button type="button" aria-label={label} title={label} onClick={act}>
      <span aria-hidden="true">{sign}</span>
    </button>
  );
}

export function nextTheme(): void {
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? 'auto';
}

function Mode() {
  if (isLive.value && link.value !== 'up') {
    return (
      <span class="pill warn" role="status" data-testid="mode">
        {t('strip.notLive')}
      </span>
    );
  }
  if (isLive.value && troubles.value.length > 0) {
    return (
      <span class="pill warn" role="status" data-testid="mode">
        {t('strip.liveInPart')}
      </span>
    );
  }
  if (isLive.value) {
    return (
      <span class="pill is-live" role="status" data-testid="mode">
        <span class="sign" aria-hidden="true" />
        {t('strip.live')}
      </span>
    );
  }
  if (replaying.value) {
    return (
      <button type="button" class="pill is-replay" data-testid="mode" onClick={returnToLive} title={t('banner.return')}>
        <span aria-hidden="true">⟲</span>
        {t('strip.replay')}
      </button>
    );
  }
  return (
    <button type="button" class="pill is-fixed" data-testid="mode" onClick={returnToLive} title={t('banner.return')}>
      <span class="sign" aria-hidden="true" />
      {t('strip.fixed')}
    </button>
  );
}

function Clocks() {
  const city = status.value?.city.title ?? '';
  const time = now.value;
  if (time === 0) return null;
  return (
    <span class="clocks" data-testid="clock">
      {replaying.value && <b class="then">{t('strip.then')}</b>}
      <time dateTime={new Date(time).toISOString()} title={t('strip.city', { city })}>
        {day(time)} <b>{clock(time)}</b>
      </time>
      <span class="muted">
        {clockUtc(time)} UTC
        {dtgOn.value && (
          <b class="dtg" data-testid="dtg">
            {dtg(time)}
          </b>
        )}
      </span>
      {conductor.value.mode === 'fixed' && <span class="sr">{clock(moment.value)}</span>}
    </span>
  );
}
