// The drawing of the timeline: lanes of counts, alert marks, the axis, the cursor.
import { clockMinute, day, kindName, t, zoneOffset } from '../i18n';
import type { Counted } from '../live/counts';
import type { Palette } from '../live/theme';
import { RANK_SHAPES } from '../model/shapes';
import { ticks } from '../model/timeline';
import type { Alert, Rank } from '../model/types';
import type { Window } from '../model/conductor';

export const GUTTER = 128;
const AXIS = 18;
const MARK = 13;

export interface Scene {
  window: Window;
  live: boolean;
  counted: Counted[];
  alerts: Alert[];
  chosen: string | null;
  brush: [number, number] | null;
  palette: Palette;
}

export const timeToX = (at: number, window: Window, width: number): number => gutter(width) + ((at - window.from) / (window.to - window.from)) * (width - gutter(width));
export const xToTime = (x: number, window: Window, width: number): number =>
  window.from + ((x - gutter(width)) / (width - gutter(width))) * (window.to - window.from);
export const gutter = (width: number): number => (width < 600 ? 0 : GUTTER);

export function draw(canvas: HTMLCanvasElement, scene: Scene): void {
  const ratio = devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext('2d');
  if (!pen || width === 0) return;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "11px 'Inter Variable', system-ui, sans-serif";
  pen.textBaseline = 'middle';
  const names = laneNames(scene.counted);
  const laneHeight = Math.min(24, (height - AXIS - MARK - 8) / Math.max(1, names.length));
  drawAxis(pen, scene, width, height);
  drawLanes(pen, scene, names, width, laneHeight);
  drawAlerts(pen, scene, width);
  drawCursor(pen, scene, width, height);
}

function laneNames(counted: Counted[]): string[] {
  return counted[0]?.lanes.map((lane) => lane.group) ?? [];
}

function drawAxis(pen: CanvasRenderingContext2D, scene: Scene, width: number, height: number): void {
  const { window, palette } = scene;
  const offset = zoneOffset(window.to);
  const wanted = Math.max(2, Math.floor((width - gutter(width)) / 90));
  pen.fillStyle = palette('muted');
  pen.strokeStyle = palette('line');
  pen.lineWidth = 1;
  pen.textAlign = 'center';
  for (const at of ticks(window.from, window.to, wanted, offset)) {
    const x = Math.round(timeToX(at, window, width)) + 0.5;
    pen.beginPath();
    pen.moveTo(x, 0);
    pen.lineTo(x, height - AXIS);
    pen.stroke();
    const label = (at + offset) % 86_400_000 === 0 ? day(at) : clockMinute(at);
    const half = pen.measureText(label).width / 2;
    pen.fillText(label, Math.min(width - half, Math.max(half, x)), height - AXIS / 2);
  }
}

function drawLanes(pen: CanvasRenderingContext2D, scene: Scene, names: string[], width: number, laneHeight: number): void {
  const { palette, counted, window } = scene;
  const left = gutter(width);
  const most = new Map<string, number>();
  for (const part of counted) for (const lane of part.lanes) most.set(lane.group, Math.max(most.get(lane.group) ?? 1, ...lane.counts));
  pen.textAlign = 'left';
  names.forEach((group, row) => {
    const bottom = MARK + 6 + (row + 1) * laneHeight;
    if (left > 0 && laneHeight >= 9) {
      pen.fillStyle = palette('muted');
      pen.fillText(group === '' ? t('time.other') : kindName(group), 0, bottom - laneHeight / 2, left - 8);
    }
    pen.fillStyle = palette('line');
    pen.fillRect(left, Math.round(bottom) - 1, width - left, 1);
    pen.fillStyle = palette('event-old');
    for (const part of counted) {
      const lane = part.lanes.find((one) => one.group === group);
      lane?.counts.forEach((count, i) => {
        if (count > 0) bar(pen, scene, part.from + i * part.stepMs, part.stepMs, count / (most.get(group) ?? 1), width, bottom, laneHeight - 3);
      });
    }
  });
  if (left > 0) {
    pen.fillStyle = palette('muted');
    pen.fillText(t('time.alerts'), 0, MARK / 2 + 1, left - 8);
  }
  if (!scene.live) {
    pen.fillStyle = palette('panel');
    pen.globalAlpha = 0.6;
    const x = timeToX(window.at, window, width);
    pen.fillRect(x, 0, width - x, MARK + 6 + names.length * laneHeight);
    pen.globalAlpha = 1;
  }
}

function bar(pen: CanvasRenderingContext2D, scene: Scene, from: number, step: number, share: number, width: number, bottom: number, room: number): void {
  const x = timeToX(from, scene.window, width);
  const end = timeToX(from + step, scene.window, width);
  const left = Math.max(gutter(width), x);
  if (end <= left) return;
  const tall = Math.max(2, Math.sqrt(share) * room);
  pen.fillRect(left, bottom - 1 - tall, Math.max(1.5, Math.min(width, end) - left - 0.5), tall);
}

const paths = new Map<Rank, Path2D>();

/** The least severe first, so that the most severe lies on top. */
function drawAlerts(pen: CanvasRenderingContext2D, scene: Scene, width: number): void {
  const { window, palette } = scene;
  const order = [...scene.alerts].sort((a, b) => b.rank - a.rank);
  for (const alert of order) {
    if (alert.opened < window.from || alert.opened > window.to) continue;
    const path = paths.get(alert.rank) ?? new Path2D(RANK_SHAPES[alert.rank]);
    paths.set(alert.rank, path);
    const done = alert.state === 'resolved' || alert.state === 'retracted';
    pen.save();
    pen.translate(timeToX(alert.opened, window, width) - MARK / 2, 1);
    pen.scale(MARK / 24, MARK / 24);
    pen.globalAlpha = !scene.live && alert.opened > window.at ? 0.35 : 1;
    pen.fillStyle = done ? palette('event-old') : palette(`sev${alert.rank}`);
    pen.fill(path);
    pen.lineWidth = alert.id === scene.chosen ? 5 : 2;
    pen.strokeStyle = alert.id === scene.chosen ? palette('strong') : palette('sev-edge');
    pen.stroke(path);
    pen.restore();
  }
}

function drawCursor(pen: CanvasRenderingContext2D, scene: Scene, width: number, height: number): void {
  const { window, palette, brush } = scene;
  if (brush) {
    const [a, b] = brush.map((at) => timeToX(at, window, width)).sort((one, other) => one - other) as [number, number];
    pen.globalAlpha = 0.25;
    pen.fillStyle = palette('fixed');
    pen.fillRect(a, 0, b - a, height - AXIS);
    pen.globalAlpha = 1;
  }
  const x = Math.min(width - 1.5, timeToX(window.at, window, width));
  pen.fillStyle = palette(scene.live ? 'accent' : 'fixed');
  pen.fillRect(x - 1, 0, scene.live ? 2 : 3, height - AXIS);
  if (!scene.live) {
    pen.beginPath();
    pen.roundRect(x - 6, height - AXIS - 12, 13, 12, 3);
    pen.fill();
  }
}
