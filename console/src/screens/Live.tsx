// The Live screen: queue, map or list, detail, timeline.
import { lazy, Suspense } from 'preact/compat';
import { useRef } from 'preact/hooks';
import { Detail } from '../components/Detail';
import { FilterBar } from '../components/FilterBar';
import { ListView } from '../components/ListView';
import { Queue } from '../components/Queue';
import { Splitter } from '../components/Splitter';
import { Timeline } from '../components/Timeline';
import { middle, panes } from '../live/view';
import { t } from '../i18n';

/** The map library is the largest part by far: the queue does not wait for it. */
const MapView = lazy(() => import('../map/MapView').then((found) => found.MapView));

export function Live() {
  const mapAsked = useRef(false);
  if (middle.value === 'map') mapAsked.current = true; // once drawn it stays, so that coming back is instant
  const { queue, detail, timeline } = panes.value;
  const sizes = { '--queue-w': `${queue}px`, '--detail-w': `${detail}px`, '--timeline-h': `${timeline}px` };
  return (
    <>
      <FilterBar />
      <main class="live" style={sizes}>
        <h1 class="sr">{t('screen.live')}</h1>
        <Queue />
        <Splitter pane="queue" name={t('pane.queue')} class="s1" sign={1} />
        <div class="middle">
          {mapAsked.current && (
            <Suspense fallback={null}>
              <MapView />
            </Suspense>
          )}
          {middle.value === 'list' && <ListView />}
        </div>
        <Splitter pane="detail" name={t('pane.detail')} class="s2" sign={-1} />
        <Detail />
        <Splitter pane="timeline" name={t('pane.timeline')} class="s3" sign={-1} />
        <Timeline />
      </main>
    </>
  );
}
