"""Who of several equal processes is at work: the server pins one of them, and another one when that one is no longer heard.

One pull consumer for each piece of work, with a priority group of policy `pinned_client` (NATS 2.11, ADR-42): the server gives messages to
one client only, until that one has not asked for more for `TTL`. The messages are beats that every candidate publishes, so that the server
has something to give even while nothing else happens. Being pinned is a hint: what keeps a process that was frozen from doing harm
when it wakes up is the fence (`fence.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any, Final

import nats.errors
import orjson

from tocsin.kernel.fault import Retriable

from . import streams
from .connection import Journal
from .consumer import NS
from .link import Link, Lost, Reply

log = logging.getLogger(__name__)

STREAM: Final = "BATON"
#: Seconds without a request after which the server pins another client.
TTL: Final = 3.0
#: Seconds between two requests of the one that is pinned.
BEAT: Final = 0.5
#: Seconds without being given a beat, while connected, after which one that was pinned takes another for pinned.
GONE: Final = 3 * TTL
_GROUP: Final = "one"
_FOR_EVER: Final = 365 * 86_400.0
_SAME_NAME: Final = 10058  # the stream is there already, made by another candidate with other settings
_MISMATCH: Final = "423"


class Baton:
    """For one piece of work. `held`: set while the server has this process pinned. `lost`: set for ever once another one was."""

    def __init__(self, journal: Journal, work: str) -> None:
        self.work = work
        self.held = asyncio.Event()
        self.lost = asyncio.Event()
        self._journal = journal
        self._pin = ""
        self._inbox = ""
        self._given = 0.0
        self._answers: asyncio.Queue[Reply] = asyncio.Queue()
        self._task = asyncio.create_task(self._run(), name=f"baton {work}")

    async def wait(self) -> None:
        """Returns when this process is the one. Raises what no retry can cure."""
        held = asyncio.create_task(self.held.wait())
        try:
            await asyncio.wait({held, self._task}, return_when=asyncio.FIRST_COMPLETED)
            if self._task.done():
                self._task.result()
        finally:
            held.cancel()

    async def close(self) -> None:
        """Lets go: another candidate need not wait until the time is up."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self.held.is_set() and not self.lost.is_set():
            with contextlib.suppress(Lost, Retriable, streams.ApiRefused):
                link = await self._journal.ready(0.1)
                await streams.api(link, f"CONSUMER.UNPIN.{STREAM}.{self.work}", {"group": _GROUP}, within=1.0)

    async def _run(self) -> None:
        while not self.lost.is_set():
            try:
                await self._on(await self._journal.ready(_FOR_EVER))
            except (Lost, Retriable, streams.ApiRefused, nats.errors.Error, OSError) as error:
                self._journal.problem = str(error)
            await asyncio.sleep(BEAT)

    async def _on(self, link: Link) -> None:
        """Candidate on one link, until it goes or another one is pinned instead."""
        await _prepare(link, self.work, self._journal.endpoint.replicas)
        self._inbox = link.inbox()
        self._answers = asyncio.Queue()
        await link.subscribe(self._inbox, self._answers.put)
        self._pin, self._given = "", time.monotonic()
        await self._ask(link)

    async def _ask(self, link: Link) -> None:
        """Asks for one beat after the other."""
        while not link.closed.is_set() and not self.lost.is_set():
            await link.publish(f"baton.{self.work}", b"")
            await link.client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{self.work}", orjson.dumps(self._question()), self._inbox)
            await self._answered()

    def _question(self) -> dict[str, Any]:
        question: dict[str, Any] = {"batch": 1, "expires": int(TTL / 3 * NS), "group": _GROUP}
        return question | ({"id": self._pin} if self._pin else {})

    async def _answered(self) -> None:
        """What the server says to one request; silence is an answer, too."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TTL / 2):
                reply = await self._answers.get()
            status = reply.headers.get("Status")
            if status is None:
                self._pin, self._given = reply.headers.get("Nats-Pin-Id", ""), time.monotonic()
                self.held.set()
                await asyncio.sleep(BEAT)
                return
            if status == _MISMATCH:
                self._pin = ""
                if self.held.is_set():
                    self.lost.set()
            elif status not in {"408", "409"}:
                await asyncio.sleep(BEAT)
        if self.held.is_set() and time.monotonic() - self._given > GONE:
            self.lost.set()


async def _prepare(link: Link, work: str, replicas: int) -> None:
    """The stream of beats and the consumer for this work: made when missing. Beats need not survive anything."""
    stream = {
        "name": STREAM,
        "subjects": ["baton.*"],
        "storage": "memory",
        "retention": "limits",
        "max_msgs_per_subject": 1,
        "num_replicas": replicas,
    }
    consumer = {
        "name": work,
        "durable_name": work,
        "ack_policy": "none",
        "deliver_policy": "new",
        "filter_subject": f"baton.{work}",
        "priority_groups": [_GROUP],
        "priority_policy": "pinned_client",
        "priority_timeout": int(TTL * NS),
    }
    if await streams.state(link, STREAM) is None:
        try:
            await streams.api(link, f"STREAM.CREATE.{STREAM}", stream)
        except streams.ApiRefused as refused:
            if refused.code != _SAME_NAME:
                raise
    await streams.api(link, f"CONSUMER.CREATE.{STREAM}.{work}.baton.{work}", {"stream_name": STREAM, "config": consumer})
