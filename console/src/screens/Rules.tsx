// Rules: what raises an alert in this city, in words and as written.
import { useEffect } from 'preact/hooks';
import { signal } from '@preact/signals';
import { getRules } from '../api/routes';
import { Backtest } from '../components/Backtest';
import { SeverityMark } from '../components/marks';
import { rules } from '../live/store';
import { t } from '../i18n';
import type { Rule } from '../model/types';

const failed = signal<string | null>(null);

async function load(): Promise<void> {
  try {
    rules.value = await getRules();
    failed.value = null;
  } catch (error) {
    failed.value = error instanceof Error ? error.message : String(error);
  }
}

export function Rules() {
  useEffect(() => void load(), []);
  return (
    <main class="page">
      <h1>{t('rules.title')}</h1>
      <p class="muted">{t('rules.hint')}</p>
      {failed.value !== null && <p role="alert">{failed.value}</p>}
      {rules.value?.length === 0 && <p>{t('rules.empty')}</p>}
      <div class="cards">
        {(rules.value ?? []).map((rule) => (
          <Card key={rule.name} rule={rule} />
        ))}
        {rules.value !== null && (
          <section class="card" aria-label={t('bt.new')}>
            <Backtest rule={null} />
          </section>
        )}
      </div>
    </main>
  );
}

function Card({ rule }: { rule: Rule }) {
  return (
    <article class="card" aria-label={rule.title}>
      <h2>
        <SeverityMark rank={rule.rank} size={20} />
        {rule.title}
      </h2>
      {rule.why && <p>{rule.why}</p>}
      {rule.words && (
        <p>
          <b>{t('rules.words')}:</b> {rule.words}
        </p>
      )}
      <p class="meta">
        <span>{rule.name}</span>
        <span>{t('rules.version', { version: rule.version })}</span>
        <span>{t('rules.alerts', { n: rule.alerts })}</span>
        <span class="wrap-any">{t('rules.where', { file: rule.file, line: rule.line })}</span>
      </p>
      <details>
        <summary>{t('rules.text')}</summary>
        <pre tabIndex={0} role="group" aria-label={t('rules.text')}>
          {rule.text}
        </pre>
      </details>
      <Backtest rule={rule} />
    </article>
  );
}
