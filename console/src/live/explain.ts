// Why a rule rang, or did not: asked of the node when somebody wants to know, never by itself.
import { signal } from '@preact/signals';
import { getAlertExplained, getRuleExplained, getRules, type Question } from '../api/routes';
import type { Explanation } from '../model/types';
import { rules } from './store';

/** `key`: what was asked; an answer to another question is not shown. */
export interface Asked {
  key: string;
  answer: Explanation | null;
  failure: string | null;
}

/** The clauses of the chosen alert. */
export const ofAlert = signal<Asked | null>(null);
/** The answer to "why did it not ring here?". */
export const ofRule = signal<Asked | null>(null);

async function ask(into: typeof ofAlert, key: string, find: () => Promise<Explanation>): Promise<void> {
  into.value = { key, answer: null, failure: null };
  try {
    const answer = await find();
    if (into.value?.key === key) into.value = { key, answer, failure: null };
  } catch (error) {
    if (into.value?.key === key) into.value = { key, answer: null, failure: error instanceof Error ? error.message : String(error) };
  }
}

export const explainAlert = (id: string): Promise<void> => ask(ofAlert, id, () => getAlertExplained(id));

export const explainRule = (asked: Question): Promise<void> => ask(ofRule, JSON.stringify(asked), () => getRuleExplained(asked));

/** The names to choose from; a node that does not answer leaves the list empty. */
export async function loadRules(): Promise<void> {
  if (rules.value === null) rules.value = await getRules().catch(() => null);
}
