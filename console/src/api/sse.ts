// Server-sent events (WHATWG HTML, section 9.2) read with fetch: unlike EventSource it lets us see every byte arrive, drop a
// connection that has gone silent, and resume with Last-Event-ID after any kind of failure.
import { address, Problem } from './http';

export interface Frame {
  event: string;
  data: string;
}

/** Splits a byte stream's text into frames. Keeps the last event id across frames, as the standard asks. */
export class FrameParser {
  lastId = '';
  private rest = '';
  private event = '';
  private data: string[] = [];

  push(chunk: string): Frame[] {
    const lines = (this.rest + chunk).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? '';
    const frames: Frame[] = [];
    for (const line of lines) {
      if (line === '') this.flush(frames);
      else this.field(line);
    }
    return frames;
  }

  private flush(frames: Frame[]): void {
    if (this.data.length > 0) frames.push({ event: this.event || 'message', data: this.data.join('\n') });
    this.event = '';
    this.data = [];
  }

  private field(line: string): void {
    const colon = line.indexOf(':');
    if (colon === 0) return; // a comment: keeps the connection warm
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'event') this.event = value;
    else if (name === 'data') this.data.push(value);
    else if (name === 'id' && !value.includes('\0')) this.lastId = value;
  }
}

/** Reads the stream until it ends or `signal` aborts. `onBytes` is called for every piece, frames or comments. */
export async function readStream(
  path: string,
  lastId: string,
  signal: AbortSignal,
  onOpen: () => void,
  onFrame: (frame: Frame, lastId: string) => void,
  onBytes: () => void,
): Promise<void> {
  const headers: Record<string, string> = { accept: 'text/event-stream' };
  if (lastId) headers['last-event-id'] = lastId;
  const response = await fetch(address(path, { topics: 'alerts,events,feeds' }), { headers, signal, cache: 'no-store' });
  if (!response.ok || !response.body) throw new Problem(response.status, response.statusText, '');
  onOpen();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new FrameParser();
  parser.lastId = lastId;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    onBytes();
    for (const frame of parser.push(value)) onFrame(frame, parser.lastId);
  }
}
