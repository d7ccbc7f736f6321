// Records that could not be decoded: why, what they look like, and another try.
import { signal } from '@preact/signals';
import { Problem } from '../api/http';
import { getQuarantine, getQuarantined, retryQuarantined } from '../api/routes';
import { now } from '../live/store';
import { moment, t } from '../i18n';
import type { Quarantined } from '../model/types';

const records = signal<Quarantined[] | null>(null);
const failed = signal<string | null>(null);
const opened = signal<Pick<Quarantined, 'id' | 'raw' | 'base64'> | null>(null);
const answers = signal<Record<string, string>>({});

const said = (error: unknown): string => (error instanceof Problem ? error.detail || error.title : error instanceof Error ? error.message : String(error));

export async function loadQuarantine(): Promise<void> {
  try {
    records.value = await getQuarantine();
    failed.value = null;
  } catch (error) {
    failed.value = said(error);
  }
}

async function show(record: Quarantined): Promise<void> {
  if (opened.value?.id === record.id) {
    opened.value = null;
    return;
  }
  opened.value = record;
  try {
    const whole = await getQuarantined(record.id);
    if (opened.value?.id === record.id) opened.value = whole;
  } catch (error) {
    failed.value = said(error);
  }
}

async function retry(record: Quarantined): Promise<void> {
  let answer: string;
  try {
    const body = (await retryQuarantined(record.id)) as Record<string, unknown>;
    const refused = body.accepted === 0 || body.ok === false;
    answer = refused ? t('quarantine.refused', { reason: String(body.reason ?? body.detail ?? record.reason) }) : t('quarantine.retried');
  } catch (error) {
    answer = t('quarantine.refused', { reason: said(error) });
  }
  answers.value = { ...answers.value, [record.id]: answer };
  await loadQuarantine();
}

export function Quarantine() {
  return (
    <section aria-labelledby="quarantine-title">
      <h2 id="quarantine-title">{t('quarantine.title')}</h2>
      <p class="muted">{t('quarantine.hint')}</p>
      {failed.value !== null && <p role="alert">{t('quarantine.failed', { reason: failed.value })}</p>}
      <div aria-live="polite">
        {Object.entries(answers.value).map(([id, answer]) => (
          <p key={id}>{answer}</p>
        ))}
      </div>
      {records.value?.length === 0 && <p>{t('quarantine.empty')}</p>}
      {records.value && records.value.length > 0 && <Table items={records.value} />}
    </section>
  );
}

function Table({ items }: { items: Quarantined[] }) {
  return (
    <div class="tablewrap" tabIndex={0} role="group" aria-label={t('quarantine.title')}>
      <table>
        <thead>
          <tr>
            <th>{t('quarantine.received')}</th>
            <th>{t('feeds.feed')}</th>
            <th>{t('quarantine.reason')}</th>
            <th>{t('quarantine.action')}</th>
          </tr>
        </thead>
        <tbody>
          {items.map((record) => (
            <Line key={record.id} record={record} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function rawWords({ raw, base64 }: Pick<Quarantined, 'raw' | 'base64'>): string {
  if (raw === null) return t('quarantine.noRaw');
  return base64 ? `${t('quarantine.base64')}\n${raw}` : raw;
}

function Line({ record }: { record: Quarantined }) {
  const open = opened.value?.id === record.id ? opened.value : null;
  return (
    <tr>
      <td class="nowrap">{record.at === null ? '' : moment(record.at, now.value)}</td>
      <td>{record.feed}</td>
      <td class="wide wrap-any">
        {record.reason}
        {open && <pre aria-label={t('quarantine.raw')}>{rawWords(open)}</pre>}
      </td>
      <td>
        <span class="inline">
          <button type="button" aria-expanded={open !== null} onClick={() => void show(record)}>
            {open ? t('quarantine.hide') : t('quarantine.show')}
          </button>
          <button type="button" onClick={() => void retry(record)}>
            {t('quarantine.retry')}
          </button>
        </span>
      </td>
    </tr>
  );
}
