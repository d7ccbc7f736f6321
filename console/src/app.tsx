// The frame round every screen.
import { lazy, Suspense } from 'preact/compat';
import { Banners } from './components/Banners';
import { Overlays } from './components/Overlays';
import { StatusStrip } from './components/StatusStrip';
import { failure, load } from './live/link';
import { replaying } from './live/playback';
import { status } from './live/store';
import { isLive, screen } from './live/view';
import { t } from './i18n';
import { Exercises } from './screens/Exercises';
import { Feeds } from './screens/Feeds';
import { Live } from './screens/Live';
import { Rules } from './screens/Rules';

/** Loaded when somebody opens them: the queue does not wait for them. */
const Investigate = lazy(() => import('./screens/Investigate').then((found) => found.Investigate));
const Analytics = lazy(() => import('./screens/Analytics').then((found) => found.Analytics));

const SCREENS = { live: Live, feeds: Feeds, rules: Rules, exercises: Exercises, investigate: Investigate, analytics: Analytics };

export function App() {
  if (status.value === null) return <Starting />;
  const Shown = SCREENS[screen.value];
  return (
    <div class={replaying.value ? 'app replay' : isLive.value ? 'app' : 'app fixed'}>
      <StatusStrip />
      <Banners />
      <Suspense fallback={null}>
        <Shown />
      </Suspense>
      <Overlays />
    </div>
  );
}

function Starting() {
  return (
    <main class="empty">
      <h1>{t('app.name')}</h1>
      {failure.value === null ? (
        <p role="status">{t('app.loading')}</p>
      ) : (
        <>
          <p role="alert">
            {t('app.failed')} {failure.value}
          </p>
          <button type="button" onClick={() => void load()}>
            {t('app.retry')}
          </button>
        </>
      )}
    </main>
  );
}
