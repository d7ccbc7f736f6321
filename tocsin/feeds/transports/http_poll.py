"""HTTP polling: fetches a page again and again, as gently as HTTP allows.

Validators (RFC 9110: ETag, Last-Modified) are sent back only after the reply they came with was delivered, so a reply that was
lost on our side is fetched again. Failures are raised: the supervisor waits with backoff and jitter, or as long as Retry-After says.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

from tocsin import __version__
from tocsin.feeds.body import BadBodyError, read_body
from tocsin.feeds.catalog import Context
from tocsin.feeds.contract import Message, Sink
from tocsin.feeds.options import Option
from tocsin.kernel.fault import Retriable
from tocsin.model.feed import FeedSpec
from tocsin.model.time import SECOND

from .delivery import deliver_patiently

OPTIONS: Final[Mapping[str, Option]] = {
    "url": Option("text", "what to fetch", required=True),
    "every": Option("span", "time between two requests", default=60 * SECOND),
    "timeout": Option("span", "how long a whole reply may take", default=30 * SECOND),
    "max_size": Option("size", "largest reply, unpacked", default=16 << 20),
    "headers": Option("map", "request headers", default={}),
    "bearer_file": Option("text", "file that holds a token for 'Authorization: Bearer'", default=None),
}
MAX_REDIRECTS: Final = 3
#: Of the interval, at random, so that a thousand feeds do not knock at once.
JITTER: Final = 0.1
#: A server cannot send us away for longer than this, seconds.
LONGEST_WAIT: Final = 3600.0


class HttpPoll:
    """The schedule and the validators outlive a failure: the supervisor runs the same object again."""

    def __init__(self, spec: FeedSpec, options: Mapping[str, Any], context: Context) -> None:
        self._spec = spec
        self._options = options
        self._context = context
        self._validators: dict[str, str] = {}

    async def run(self, sink: Sink) -> None:
        """Polls until cancelled. Raises `Retriable` after a failed request."""
        every = self._options["every"] / SECOND
        async with httpx.AsyncClient(follow_redirects=True, max_redirects=MAX_REDIRECTS, headers=self._headers(), timeout=None) as client:  # noqa: S113 - `_fetch` bounds the whole reply
            while True:
                await self._poll(client, sink)
                await asyncio.sleep(every * random.uniform(1 - JITTER, 1 + JITTER))

    async def _poll(self, client: httpx.AsyncClient, sink: Sink) -> None:
        url, timeout = self._options["url"], self._options["timeout"] / SECOND
        try:
            async with asyncio.timeout(timeout), client.stream("GET", url, headers=self._validators) as reply:
                body = await self._body(reply)
        except TimeoutError:
            raise Retriable(f"GET {url}: no complete reply within {timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Retriable(f"GET {url}: {type(error).__name__}: {error}".rstrip(": ")) from error
        if body is None:
            sink.heard()
            return
        await deliver_patiently(sink, Message(body, self._context.clock.now(), f"GET {url}", reply.headers.get("content-type", "")))
        kept = (("etag", "If-None-Match"), ("last-modified", "If-Modified-Since"))
        self._validators = {send: reply.headers[got] for got, send in kept if got in reply.headers}

    async def _body(self, reply: httpx.Response) -> bytes | None:
        """None when nothing changed."""
        if reply.status_code == httpx.codes.NOT_MODIFIED:
            return None
        if reply.status_code != httpx.codes.OK:
            raise Retriable(f"GET {self._options['url']}: {reply.status_code} {reply.reason_phrase}".rstrip(), _retry_after(reply))
        try:
            return await read_body(reply.aiter_raw(1 << 16), reply.headers.get("content-encoding", ""), self._options["max_size"])
        except BadBodyError as error:
            raise Retriable(f"GET {self._options['url']}: {error}") from None

    def _headers(self) -> dict[str, str]:
        headers = {"User-Agent": f"tocsin/{__version__}", "Accept-Encoding": "gzip", **self._options["headers"]}
        path = self._options["bearer_file"]
        if path is not None:
            headers["Authorization"] = f"Bearer {(self._context.root / path).read_text().strip()}"
        return headers


def _retry_after(reply: httpx.Response) -> float | None:
    """Seconds, from a number or an HTTP date (RFC 9110, 10.2.3); None when there is none that can be read."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isdigit():
        return min(float(text), LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(0.0, (at - datetime.now(UTC)).total_seconds()), LONGEST_WAIT)
