// Back-tests asked for on this page: started, watched, stopped, by the rule they were asked for. Kept while the page is open.
import { signal } from '@preact/signals';
import { cancelBacktest, getBacktest, getBacktestResult, startBacktest, type BacktestJob, type BacktestResult } from '../api/backtest';
import { words } from './investigate';
import { t } from '../i18n';

export interface Tried {
  job: BacktestJob | null;
  result: BacktestResult | null;
  failure: string | null;
}

const EMPTY: Tried = { job: null, result: null, failure: null };
const tried = signal<Readonly<Record<string, Tried>>>({});

export const triedOf = (rule: string): Tried => tried.value[rule] ?? EMPTY;
export const goingOn = (job: BacktestJob | null): boolean => job?.state === 'waiting' || job?.state === 'running';

const set = (rule: string, part: Partial<Tried>): void => {
  tried.value = { ...tried.peek(), [rule]: { ...(tried.peek()[rule] ?? EMPTY), ...part } };
};

export async function start(rule: string, question: Record<string, string | undefined>): Promise<void> {
  set(rule, EMPTY);
  try {
    const job = await startBacktest(question);
    set(rule, { job, failure: job.error });
  } catch (error) {
    set(rule, { failure: words(error) });
  }
}

export async function look(rule: string, id: string): Promise<void> {
  try {
    const job = await getBacktest(id);
    set(rule, { job, failure: job.error });
    if (job.state === 'done') set(rule, { result: await getBacktestResult(id) });
  } catch (error) {
    set(rule, { failure: words(error) });
  }
}

export async function stop(rule: string, id: string): Promise<void> {
  try {
    set(rule, { job: await cancelBacktest(id) });
  } catch (error) {
    set(rule, { failure: words(error) });
  }
}

const FIELDS = { sweep: 'bt.sweep', incidents: 'bt.incidents', budget: 'bt.budget', within: 'bt.within', before: 'bt.ahead', after: 'bt.behind', from: 'bt.from', to: 'bt.to', against: 'bt.against' } as const;

/** Words of the node that name an option of its command, with the field of the screen instead. */
export const plainOptions = (said: string): string =>
  said.replace(/--(sweep|incidents|budget|within|before|after|from|to|against)\b/g, (_, option: keyof typeof FIELDS) => t('bt.field', { name: t(FIELDS[option]) }));
