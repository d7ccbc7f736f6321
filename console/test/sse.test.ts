import { describe, expect, it } from 'vitest';
import { FrameParser } from '../src/api/sse';

const TEXT = 'id: 7.9\nevent: alert\ndata: {"a":1}\n\n: heartbeat\n\nid: 7.10\r\nevent: events\r\ndata: one\r\ndata: two\r\n\r\n';

describe('server-sent events', () => {
  it('reads frames whole, whatever pieces they come in', () => {
    for (let size = 1; size <= TEXT.length; size += 1) {
      const parser = new FrameParser();
      const frames = [];
      for (let i = 0; i < TEXT.length; i += size) frames.push(...parser.push(TEXT.slice(i, i + size)));
      expect(frames).toEqual([
        { event: 'alert', data: '{"a":1}' },
        { event: 'events', data: 'one\ntwo' },
      ]);
      expect(parser.lastId).toBe('7.10');
    }
  });

  it('gives nothing for an unfinished frame and keeps the last id', () => {
    const parser = new FrameParser();
    expect(parser.push('id: 3\ndata: x\n')).toEqual([]);
    expect(parser.push('\n')).toEqual([{ event: 'message', data: 'x' }]);
    expect(parser.push('data: y\n\n')).toEqual([{ event: 'message', data: 'y' }]);
    expect(parser.lastId).toBe('3');
  });
});
