// Starts the console: styles, the connection, the frame.
import '@fontsource-variable/inter/wght.css';
import './style/tokens.css';
import './style/base.css';
import './style/layout.css';
import './style/live.css';
import './style/backtest.css';
import { effect } from '@preact/signals';
import { render } from 'preact';
import { App } from './app';
import { setZone, t } from './i18n';
import { startCounts } from './live/counts';
import { startDetail } from './live/detail';
import { onKey } from './live/keys';
import { start } from './live/link';
import { unacknowledged } from './live/picture';
import { startQueue } from './live/queue';
import { replaying } from './live/playback';
import { startReplay } from './live/replay';
import { status } from './live/store';
import './live/theme';
import { middle } from './live/view';

effect(() => {
  const zone = status.value?.city.timezone;
  if (zone) setZone(zone);
});
effect(() => {
  const city = status.value?.city;
  if (!city) return;
  const waiting = unacknowledged.value;
  const mark = replaying.value ? `${t('strip.replay')} – ` : '';
  document.title = `${mark}${waiting > 0 && !replaying.value ? `(${waiting}) ` : ''}${city.title} – ${t('app.name')}`;
});
addEventListener('keydown', onKey);
start();
if (middle.peek() === 'map') void import('./map/MapView'); // on its way while the first answers come
startReplay();
startDetail();
startQueue();
startCounts();
render(<App />, document.getElementById('app') as HTMLElement);
