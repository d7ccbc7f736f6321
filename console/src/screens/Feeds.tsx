// Feeds: what arrives, from whom, why it is kept and for how long; and what could not be decoded.
import { useEffect } from 'preact/hooks';
import { Quarantine, loadQuarantine } from '../components/Quarantine';
import { reason } from '../components/FeedReasons';
import { feeds, now } from '../live/store';
import { count, keptFor, span, t, word } from '../i18n';
import { byTrouble, needsALook } from '../model/feeds';
import type { Feed } from '../model/types';

export function Feeds() {
  useEffect(() => void loadQuarantine(), []);
  return (
    <main class="page">
      <h1>{t('feeds.title')}</h1>
      <p class="muted">{t('feeds.hint')}</p>
      {feeds.value.length === 0 ? (
        <p>{t('feeds.empty')}</p>
      ) : (
        <div class="tablewrap" tabIndex={0} role="group" aria-label={t('feeds.title')}>
          <table class="feeds">
            <thead>
              <tr>
                <th>{t('feeds.state')}</th>
                <th>{t('feeds.feed')}</th>
                <th>{t('feeds.purpose')}</th>
                <th>{t('feeds.owner')}</th>
                <th>{t('feeds.retention')}</th>
                <th>{t('feeds.last')}</th>
                <th class="num">{t('feeds.rate')}</th>
                <th class="num">{t('feeds.counts')}</th>
                <th>{t('feeds.problems')}</th>
              </tr>
            </thead>
            <tbody>
              {byTrouble(feeds.value).map((feed) => (
                <Line key={feed.name} feed={feed} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Quarantine />
    </main>
  );
}

function Line({ feed }: { feed: Feed }) {
  const at = now.value;
  const bad = needsALook(feed);
  return (
    <tr>
      <td data-label={t('feeds.state')}>
        <span class={bad ? 'chip bad' : 'chip'}>{word('feedState', feed.state)}</span>
      </td>
      <td class="wide" data-label={t('feeds.feed')}>
        <b>{feed.title}</b>
        <br />
        <span class="muted wrap-any">
          {feed.name} · {t('feeds.via', { transport: feed.transport, format: feed.format })}
        </span>
        {feed.exerciseShiftS ? (
          <>
            <br />
            <span class="muted">{t('feeds.shifted', { span: span(Math.abs(feed.exerciseShiftS) * 1000) })}</span>
          </>
        ) : null}
        {bad && (
          <>
            <br />
            <span class="wrap-any">{reason(feed, at)}</span>
          </>
        )}
      </td>
      <td class="wide" data-label={t('feeds.purpose')}>
        {feed.purpose}
        {feed.licence && (
          <>
            <br />
            <span class="muted">{t('feeds.licence', { licence: feed.licence })}</span>
          </>
        )}
      </td>
      <td data-label={t('feeds.owner')}>{feed.owner}</td>
      <td data-label={t('feeds.retention')}>
        <span class="nowrap">{keptFor(feed.retention)}</span>
        <br />
        <span class="muted">{feed.sensitivity}</span>
      </td>
      <td class="nowrap" data-label={t('feeds.last')}>
        {feed.lastReceived === null ? t('feeds.never') : t('feeds.ago', { age: span(at - feed.lastReceived) })}
        <br />
        {feed.state === 'ended' ? <span class="muted">{t('feeds.over')}</span> : feed.expectedEveryS !== null && <span class="muted">{t('feeds.expected', { span: span(feed.expectedEveryS * 1000) })}</span>}
      </td>
      <td class="num" data-label={t('feeds.rate')}>{count(feed.perMin)}</td>
      <td class="num" data-label={t('feeds.counts')}>{count(feed.accepted)}</td>
      <td data-label={t('feeds.problems')}>
        {feed.quarantined > 0 && <div>{t('feeds.quarantined', { n: feed.quarantined })}</div>}
        {feed.conflicts > 0 && <div title={t('feeds.conflictTitle')}>{t('feeds.conflicts', { n: feed.conflicts })}</div>}
        {feed.duplicates > 0 && <div class="muted" title={t('feeds.duplicateTitle')}>{t('feeds.duplicates', { n: feed.duplicates })}</div>}
      </td>
    </tr>
  );
}
