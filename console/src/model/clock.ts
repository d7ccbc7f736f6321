// The node's clock as the screen knows it: the last frame, run on at the node's speed.

export interface ClockReading {
  /** Node time of the frame, and performance.now() when it came. */
  now: number;
  speed: number;
  seenAt: number;
}

/** How far the screen's clock may run ahead of the last frame, in wall milliseconds: after that it stands still. */
const TRUSTED_MS = 5_000;

export function nodeTime(reading: ClockReading | null, wall: number): number {
  if (!reading) return 0;
  return reading.now + Math.min(TRUSTED_MS, Math.max(0, wall - reading.seenAt)) * reading.speed;
}

/** Silent for longer than this and the screen says so. */
export const SILENT_MS = 5_000;
export const isSilent = (lastFrameAt: number, wall: number): boolean => wall - lastFrameAt > SILENT_MS;
