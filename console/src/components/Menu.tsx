// A button with a panel under it; Escape or a click elsewhere closes it and gives the focus back.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

interface Props {
  label: ComponentChildren;
  name: string;
  right?: boolean;
  class?: string;
  children: ComponentChildren;
}

export function Menu({ label, name, right, class: extra, children }: Props) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event): void => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener('pointerdown', outside);
    return () => document.removeEventListener('pointerdown', outside);
  }, [open]);
  const onKey = (event: KeyboardEvent): void => {
    if (event.key !== 'Escape' || !open) return;
    event.stopPropagation();
    setOpen(false);
    button.current?.focus();
  };
  return (
    <div class={right ? 'menu right' : 'menu'} ref={root} onKeyDown={onKey}>
      <button type="button" ref={button} class={extra} aria-expanded={open} onClick={() => setOpen(!open)}>
        {label}
      </button>
      {open && (
        <div class="pop" role="group" aria-label={name}>
          {children}
        </div>
      )}
    </div>
  );
}
