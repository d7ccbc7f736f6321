"""A pull consumer on one link: keeps the server's pipe filled, counts what is under way, notices when it falls silent.

The client library's `fetch` is not used: it waits for messages of a connection that is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import nats.errors
import orjson

from . import streams
from .link import Link, Lost, Reply

BATCH = 512
MAX_BYTES = 24 << 20
EXPIRES = 30.0
HEARTBEAT = 1.0
#: Without a message or heartbeat for this long the consumer is taken for dead.
DEAD = 4.0
NS = 10**9
#: Ways in which a request ends while its consumer lives on.
ENDED = {"Batch Completed", "Message Size Exceeds MaxBytes"}


class Stale(Exception):
    """This consumer can no longer be trusted; make a new one."""


@dataclass(slots=True)
class Consumer:
    """`open` first. `news` is set when something has arrived; consumers of one reader may share it. `idle`: the server's last
    word was that it is waiting for messages. `lasting`: it is left on the server when closed."""

    link: Link
    stream: str
    name: str
    news: asyncio.Event = field(default_factory=asyncio.Event)
    lasting: bool = False
    batch: int = BATCH
    idle: bool = False
    room: int = 0
    _inbox: str = ""
    _arrived: deque[Reply] = field(default_factory=deque)
    _subscription: Any = None

    async def open(self, config: dict[str, Any]) -> None:
        """Creates it on the server (or finds it there unchanged). Raises Lost, Retriable, ApiRefused."""
        self.link.wakes.add(self.news)
        self._inbox = self.link.inbox()
        self._subscription = await self.link.subscribe(self._inbox, self._take)
        call = f"CONSUMER.CREATE.{self.stream}.{self.name}"
        if "filter_subject" in config:
            call += f".{config['filter_subject']}"
        try:
            await streams.api(self.link, call, {"stream_name": self.stream, "config": config | {"name": self.name}})
        except BaseException:
            await self.close()
            raise

    async def _take(self, message: Reply) -> None:
        self._arrived.append(message)
        self.news.set()

    async def ask(self) -> None:
        """Asks for more when half of what was asked for has come. Raises Stale."""
        if self.room > self.batch // 2:
            return
        body = {
            "batch": self.batch - self.room,
            "max_bytes": MAX_BYTES,
            "expires": int(EXPIRES * NS),
            "idle_heartbeat": int(HEARTBEAT * NS),
        }
        self.room = self.batch
        try:
            await self.link.client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self.name}", orjson.dumps(body), self._inbox)
        except (nats.errors.Error, OSError) as error:
            raise Stale(str(error)) from None

    def pop(self) -> Reply | None:
        """The next message that has arrived. Raises Stale when the server has ended the consumer."""
        while self._arrived:
            message = self._arrived.popleft()
            if message.reply.startswith("$JS.ACK."):
                self.room -= 1
                self.idle = False
                return message
            self._status(message)
        return None

    def _status(self, message: Reply) -> None:
        """100: heartbeat. 408, 409: a request ended, `Nats-Pending-Messages` of it will not come. The rest ends the consumer."""
        status, text = message.headers.get("Status"), message.headers.get("Description", "")
        if status == "100":
            self.idle = True
            return
        if status == "408" or (status == "409" and text in ENDED):
            self.room = max(0, self.room - int(message.headers.get("Nats-Pending-Messages", "0")))
            return
        raise Stale(f"{status} {text}")

    async def exhausted(self) -> bool:
        """The server has nothing more for this consumer, and nothing is on its way."""
        self.idle = False
        info = await streams.api(self.link, f"CONSUMER.INFO.{self.stream}.{self.name}")
        return bool(info["num_pending"] == 0 and not self._arrived)

    async def close(self) -> None:
        """Best effort: when the link is gone the server forgets the rest by itself."""
        self.link.wakes.discard(self.news)
        with contextlib.suppress(Lost, nats.errors.Error, OSError):
            if self._subscription is not None:
                await self._subscription.unsubscribe()
            if not self.lasting:
                await self.link.publish(f"$JS.API.CONSUMER.DELETE.{self.stream}.{self.name}", b"")


async def wait(link: Link, news: asyncio.Event) -> None:
    """Returns when something has arrived. Raises Stale when the link goes, or nothing is heard, not even a heartbeat."""
    if news.is_set() and not link.closed.is_set():
        return
    try:
        async with asyncio.timeout(DEAD):
            if not link.closed.is_set():
                await news.wait()  # the link sets it too when it goes
    except TimeoutError:
        raise Stale("no heartbeat") from None
    if link.closed.is_set():
        raise Stale("the connection went")
