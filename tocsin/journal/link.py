"""One live connection to a NATS server: requests that fail at once when the connection goes, never silently repeated.

The client library's own reconnecting is not used: it would send what it had buffered before we could look whether the
server is still the one we knew (see `epoch.py`). `Journal` opens a new link instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from tocsin.kernel.fault import Misconfigured, Problem

from .endpoint import Endpoint

log = logging.getLogger(__name__)
PENDING_BYTES = 256 << 20
CLOSE_SECONDS = 2.0
#: How often a link looks whether its connection went without a word (seconds).
LOOK_SECONDS = 0.5
REFUSED = (nats.errors.AuthorizationError, nats.errors.InvalidUserCredentialsError)


class Lost(ConnectionError):
    """No answer: the connection went or the time was up. `sent`: the request may have reached the server."""

    def __init__(self, message: str, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Reply:
    """A message as received: a JetStream acknowledgement, an API answer or a stored entry."""

    subject: str
    reply: str
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Link:
    """Open with `Link.open`; `closed` is set when the connection is gone, and so are the events in `wakes`.

    The library reports a closed connection last of all it does when it closes one, and not at all when something fails on
    the way (data that could not be sent any more, a task cancelled): so `until_closed` and every sending look for themselves.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.closed = asyncio.Event()
        self.wakes: set[asyncio.Event] = set()
        self.max_payload = 1 << 20
        self.trouble = ""
        self._inbox = client.new_inbox()
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Reply]] = {}

    @classmethod
    async def open(cls, endpoint: Endpoint, name: str, within: float = 5.0) -> Self:
        """Connects. Raises Lost when the server cannot be reached, Misconfigured when it refuses the credentials."""
        client = Client()
        link = cls(client)
        cancelled_before = _cancellations()
        try:
            await client.connect(
                servers=endpoint.servers,
                user=endpoint.user,
                password=endpoint.password,
                user_credentials=endpoint.creds,
                name=name,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=max(1, int(within)),
                error_cb=link._note,
                closed_cb=link._gone,
                ping_interval=5,
                max_outstanding_pings=3,
                pending_size=64 << 20,
            )
        except (nats.errors.Error, OSError, TimeoutError) as error:
            await link.close()
            _demand_not_cancelled(cancelled_before)
            if isinstance(error, REFUSED) or "authorization" in str(error).lower():
                raise Misconfigured([Problem(endpoint.url, 0, f"the NATS server refuses our credentials ({error})")]) from None
            raise Lost(f"cannot reach {endpoint.url}: {link.trouble or error or type(error).__name__}") from None
        except BaseException:
            await link.close()
            raise
        if _cancellations() > cancelled_before:
            await link.close()
        _demand_not_cancelled(cancelled_before)
        link.max_payload = client.max_payload
        try:
            await client.subscribe(f"{link._inbox}.*", cb=link._answered, pending_bytes_limit=PENDING_BYTES)
        except (nats.errors.Error, OSError) as error:
            await link.close()
            raise Lost(f"cannot reach {endpoint.url}: {error}") from None
        return link

    async def _note(self, error: Exception) -> None:
        """The library reports here what it also raises, or closes the connection for, in fewer words."""
        self.trouble = str(error) or type(error).__name__

    async def until_closed(self) -> None:
        """Returns when the connection is gone."""
        while not self.closed.is_set():
            if self.client.is_closed:
                self._lose()
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self.closed.wait()

    async def _gone(self) -> None:
        self._lose()

    def _lose(self) -> None:
        """Tells everyone who waits that the connection is gone. Harmless a second time."""
        self._close()
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(Lost("the connection to the journal went", sent=True))

    async def _answered(self, message: Msg) -> None:
        future = self._waiting.pop(message.subject[len(self._inbox) + 1 :], None)
        if future is not None and not future.done():
            future.set_result(_reply(message))

    async def request(self, subject: str, payload: bytes, headers: dict[str, str] | None = None, within: float = 5.0) -> Reply:
        """Sends and waits for one answer. Raises Lost."""
        loop = asyncio.get_running_loop()
        token = str(next(self._numbers))
        future: asyncio.Future[Reply] = loop.create_future()
        self._waiting[token] = future
        timer = loop.call_later(within, _expire, future, within)
        try:
            await self._send(subject, payload, f"{self._inbox}.{token}", headers)
            return await future
        finally:
            timer.cancel()
            self._waiting.pop(token, None)

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> None:
        """Core NATS, at most once. Raises Lost when the connection is gone."""
        await self._send(subject, payload, "", headers)

    async def _send(self, subject: str, payload: bytes, reply: str, headers: dict[str, str] | None) -> None:
        if self.closed.is_set():
            raise Lost("the connection to the journal is gone")
        try:
            await self.client.publish(subject, payload, reply, headers)
        except (nats.errors.Error, OSError) as error:
            if self.client.is_closed:
                asyncio.get_running_loop().call_soon(self._lose)  # after the caller has taken back what it waited for
            raise Lost(f"cannot send to the journal: {error}", sent=True) from None

    async def subscribe(self, subject: str, on_message: Callable[[Reply], Awaitable[None]], queue: str = "") -> Subscription:
        async def call(message: Msg) -> None:
            await on_message(_reply(message))

        try:
            return await self.client.subscribe(subject, queue, cb=call, pending_msgs_limit=1 << 20, pending_bytes_limit=PENDING_BYTES)
        except (nats.errors.Error, OSError) as error:
            raise Lost(f"cannot subscribe: {error}") from None

    def inbox(self) -> str:
        """A subject only this connection listens to."""
        return str(self.client.new_inbox())

    async def close(self) -> None:
        """Sends what is left, when the other side still takes it: a frozen one is not waited for."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.client.close()
        except (TimeoutError, nats.errors.Error, OSError) as error:
            log.info("journal: the connection was not closed in order: %s", error or type(error).__name__)
        finally:
            self._lose()

    def _close(self) -> None:
        self.closed.set()
        for event in self.wakes:
            event.set()


def _demand_not_cancelled(before: int) -> None:
    """The library's `connect` can swallow a cancellation; the task would then never end."""
    if _cancellations() > before:
        raise asyncio.CancelledError


def _cancellations() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0


def _reply(message: Msg) -> Reply:
    headers: dict[str, str] = message.headers or {}
    return Reply(message.subject, message.reply, message.data, headers)


def _expire(future: asyncio.Future[Any], within: float) -> None:
    if not future.done():
        future.set_exception(Lost(f"no answer within {within:g} s", sent=True))
