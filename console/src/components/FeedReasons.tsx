// Why a feed needs a look, in words.
import { now } from '../live/store';
import { span, t, word } from '../i18n';
import type { Feed } from '../model/types';

export function reason(feed: Feed, at: number): string {
  if (feed.error) return feed.error;
  if (feed.lastReceived === null) return t('stale.never');
  const age = span(at - feed.lastReceived);
  return feed.expectedEveryS === null ? t('stale.silentPlain', { age }) : t('stale.silent', { age, span: span(feed.expectedEveryS * 1000) });
}

export function FeedReasons({ feeds }: { feeds: Feed[] }) {
  return (
    <>
      {feeds.map((feed) => (
        <p key={feed.name} class="reason">
          <b>{feed.title}</b> <span class="chip bad">{word('feedState', feed.state)}</span>
          <br />
          <span class="muted wrap-any">{reason(feed, now.value)}</span>
        </p>
      ))}
      <a href="#feeds">{t('stale.all')}</a>
    </>
  );
}
