// Starts the console: styles, the connection, the frame.
import '@fontsource-variable/inter/wght.css';
import './style/tokens.css';
import './style/base.css';
import './style/layout.css';
import './style/live.css';
import { effect } from '@preact/signals';
import { render } from 'preact';
import { App } from './app';
import { setZone } from './i18n';
import { startCounts } from './live/counts';
import { startDetail } from './live/detail';
import { onKey } from './live/keys';
import { start } from './live/link';
import { unacknowledged } from './live/picture';
import { startReplay } from './live/replay';
import { status } from './live/store';
import './live/theme';

effect(() => {
  const zone = status.value?.city.timezone;
  if (zone) setZone(zone);
});
effect(() => {
  const city = status.value?.city;
  if (!city) return;
  const waiting = unacknowledged.value;
  document.title = `${waiting > 0 ? `(${waiting}) ` : ''}${city.title} – Tocsin`;
});
addEventListener('keydown', onKey);
start();
startReplay();
startDetail();
startCounts();
render(<App />, document.getElementById('app') as HTMLElement);
