// @vitest-environment happy-dom
import { render } from 'preact';
import { act } from 'preact/test-utils';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Bars } from '../src/components/Chart';
import { useInParts } from '../src/components/inParts';

const List = ({ items }: { items: number[] }) => (
  <ul>
    {useInParts(items).map((one) => (
      <li key={one}>{one}</li>
    ))}
  </ul>
);
const numbers = (n: number, from = 0): number[] => Array.from({ length: n }, (_, i) => from + i);
const count = (box: Element, what: string): number => box.querySelectorAll(what).length;

describe('long lists', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('are drawn a part at a time, and whole in the end', async () => {
    const box = document.createElement('div');
    const items = numbers(100);
    await act(() => render(<List items={items} />, box));
    expect(count(box, 'li')).toBe(40);
    for (const rows of [80, 100]) {
      await act(() => void vi.advanceTimersByTime(0));
      expect(count(box, 'li')).toBe(rows);
    }
    await act(() => render(<List items={numbers(130)} />, box)); // the next page of the same answer
    expect(count(box, 'li')).toBeGreaterThanOrEqual(100);
    await act(() => render(<List items={numbers(90, 500)} />, box)); // another answer
    expect(count(box, 'li')).toBe(40);
  });
});

describe('the numbers of a chart', () => {
  it('are made when somebody opens them', async () => {
    const box = document.createElement('div');
    document.body.append(box);
    await act(() => render(<Bars name="Events" bars={numbers(300).map((n) => ({ label: `h${n}`, value: n }))} />, box));
    expect(count(box, '.numbers tr')).toBe(0);
    const details = box.querySelector('details') as HTMLDetailsElement;
    await act(() => {
      details.open = true;
      details.dispatchEvent(new Event('toggle'));
    });
    expect(count(box, '.numbers tr')).toBe(300);
  });
});
