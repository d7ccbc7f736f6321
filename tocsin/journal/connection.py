"""The connection to the journal: kept alive for ever, and opened to callers only after the server was checked."""

from __future__ import annotations

import asyncio
import logging
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

import orjson

from tocsin.kernel.backoff import Backoff
from tocsin.kernel.fault import Fatal, Misconfigured, Problem, Retriable, Skippable

from . import streams
from .endpoint import Endpoint
from .epoch import HighWater, Rewind, Watchman
from .link import Link, Lost

log = logging.getLogger(__name__)
T = TypeVar("T")
ACK_SECONDS = 5.0
#: JetStream error codes that mean "no room": memory, account, storage, stream maxima.
FULL = {10002, 10023, 10028, 10047, 10120}
STORE_FAILED = 10077
WRONG_LAST = 10071
TOO_LARGE = 10054


@dataclass(frozen=True, slots=True)
class Ack:
    """The entry is durable as `seq`. `duplicate`: it already was, under the same message id."""

    seq: int
    duplicate: bool = False


class Unsettled(Retriable):
    """The journal was away too long. `in_doubt`: the entry may have been stored, its acknowledgement was not seen."""

    def __init__(self, message: str, in_doubt: bool) -> None:
        super().__init__(message, after=2.0)
        self.in_doubt = in_doubt


class WrongLast(Exception):
    """`Nats-Expected-Last-Sequence` did not hold."""


@dataclass(slots=True)
class Counters:
    """What went wrong and right since start, for health and metrics."""

    published: int = 0
    duplicates: int = 0
    retried: int = 0
    reconnects: int = 0
    damaged: int = 0
    rewinds: int = 0
    missing: int = 0
    reopened: int = 0


@dataclass(slots=True)
class Journal:
    """What `connect` gives. `connected` says whether callers get through now; `problem` why not."""

    endpoint: Endpoint
    name: str = "tocsin"
    high_water: HighWater | None = None
    on_rewind: Callable[[Rewind], None] | None = None
    counters: Counters = field(default_factory=Counters)
    #: Run on every new link before callers get through, in order; a failure closes the link and tries again.
    checks: list[Callable[[Link], Awaitable[None]]] = field(default_factory=list)
    epochs: dict[str, int] = field(default_factory=dict)
    #: Highest stream sequence seen: at the last connect, or acknowledged since.
    last: dict[str, int] = field(default_factory=dict)
    problem: str = ""
    _closing: bool = False
    _link: Link | None = None
    _up: asyncio.Event = field(default_factory=asyncio.Event)
    _keeper: asyncio.Task[None] | None = None
    _subscribed: list[tuple[str, Callable[..., Awaitable[None]], str]] = field(default_factory=list)

    @property
    def connected(self) -> bool:
        return self._up.is_set()

    async def start(self, within: float) -> None:
        self._keeper = asyncio.create_task(self._keep(), name=f"journal-{self.name}")
        opened = asyncio.create_task(self._up.wait())
        done, _ = await asyncio.wait({self._keeper, opened}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        opened.cancel()
        if self._keeper in done:
            await self._keeper  # raises what ended it
        if not done:
            await self.close()
            raise Retriable(f"the journal at {self.endpoint.url} could not be reached in {within:g} s: {self.problem}")

    async def _keep(self) -> None:
        """Reconnects for ever. Ends only by `close`, or by a fault that no retry can cure."""
        backoff = Backoff(base=0.05, cap=2.0)
        while not self._closing:
            link = await self._try_open()
            if link is None:
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            self._link, self.problem = link, ""
            self._up.set()
            await link.until_closed()
            self._up.clear()
            self.problem = "the connection to the journal went"
            self.counters.reconnects += 1

    async def _try_open(self) -> Link | None:
        try:
            link = await Link.open(self.endpoint, self.name)
        except Lost as error:
            self.problem = str(error)
            return None
        try:
            await self._prepare(link)
        except (OSError, Retriable, streams.ApiRefused) as error:  # Lost is an OSError, and so is a full disk
            self.problem = str(error)
            log.warning("journal: %s", error)
            await link.close()
            return None
        except BaseException:
            await link.close()
            raise
        return link

    async def _prepare(self, link: Link) -> None:
        for stream in (streams.EVENTS, streams.ALERTS, streams.INBOX):
            found = await streams.ensure(link, stream, self.endpoint.replicas)
            if self.high_water is not None and stream != streams.INBOX:
                found = await Watchman(link, stream, self.high_water, self._rewound).inspect(found)
            self.epochs[stream] = found.epoch
            self.last[stream] = max(self.last.get(stream, 0), found.last)
        for check in self.checks:
            await check(link)
        for subject, call, queue in self._subscribed:
            await link.subscribe(subject, call, queue)

    def _rewound(self, rewind: Rewind) -> None:
        self.counters.rewinds += 1
        log.critical("journal: %s", rewind)
        if self.on_rewind is not None:
            self.on_rewind(rewind)

    async def ready(self, patience: float = 10.0) -> Link:
        """The live, checked link. Raises Unsettled when there is none within `patience` seconds, Fatal when there never will be."""
        if not self._up.is_set():
            if self._keeper is None:
                raise Fatal("the journal connection is closed")
            await self._opened(self._keeper, max(patience, 0.0))
            if not self._up.is_set():
                raise Unsettled(f"the journal is not reachable: {self.problem}{self.endpoint.disk_words()}", in_doubt=False)
        assert self._link is not None
        return self._link

    async def _opened(self, keeper: asyncio.Task[None], patience: float) -> None:
        """Returns when a link is up or the time is over. Raises Fatal when nobody will open one any more."""
        opened = asyncio.create_task(self._up.wait())
        try:
            await asyncio.wait({keeper, opened}, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            opened.cancel()
        if keeper.done() and not self._up.is_set():
            raise self._ended(keeper)

    def _ended(self, keeper: asyncio.Task[None]) -> Fatal:
        fault = None if keeper.cancelled() else keeper.exception()
        return Fatal("the journal connection is closed" if fault is None else f"the journal connection has ended: {fault}")

    async def append(self, subject: str, payload: bytes, headers: dict[str, str], patience: float = 10.0) -> Ack:
        """One durable entry. Repeats under the same `Nats-Msg-Id` until the outcome is known or `patience` seconds are over.

        Raises Unsettled when the journal is away, Retriable when it is full, Skippable when the entry is too large.
        """
        loop = asyncio.get_running_loop()
        deadline, in_doubt, pause = loop.time() + patience, False, 0.01
        while True:
            try:
                link = await self.ready(deadline - loop.time())
                reply = await link.request(subject, payload, headers, within=min(ACK_SECONDS, max(0.05, deadline - loop.time())))
                if reply.headers.get("Status") != "503":
                    return await self._acknowledged(reply.data)
                trouble = "JetStream does not take the entry: the server is starting, or has stopped for lack of disk space"
            except Lost as lost:
                in_doubt = in_doubt or lost.sent
                trouble = str(lost)
            except Unsettled as away:
                raise Unsettled(str(away), in_doubt or away.in_doubt) from None
            if loop.time() >= deadline:
                raise Unsettled(f"the journal did not acknowledge in {patience:g} s: {trouble}{self.endpoint.disk_words()}", in_doubt)
            self.counters.retried += 1
            pause = min(0.5, 2 * pause)
            await asyncio.sleep(pause)

    async def _acknowledged(self, data: bytes) -> Ack:
        answer: dict[str, Any] = orjson.loads(data)
        error = answer.get("error")
        if error:
            raise refusal(error)
        ack = Ack(int(answer["seq"]), bool(answer.get("duplicate", False)))
        self.counters.published += 1
        self.counters.duplicates += ack.duplicate
        stream = str(answer["stream"])
        self.last[stream] = max(self.last.get(stream, 0), ack.seq)
        if self.high_water is not None:
            try:
                await self.high_water.cover(stream, ack.seq)
            except OSError as error:  # the entry is stored, and that may not be said before a mark of it is
                raise Unsettled(f"the mark {self.high_water.path} cannot be written: {error}", in_doubt=True) from None
        return ack

    async def subscribe(self, subject: str, call: Callable[..., Awaitable[None]], queue: str = "") -> None:
        """Core NATS (health, control): kept over reconnects; at most once."""
        self._subscribed.append((subject, call, queue))
        if self._up.is_set():
            link = await self.ready()
            await link.subscribe(subject, call, queue)

    async def publish(self, subject: str, payload: bytes) -> None:
        """Core NATS, not journaled; dropped when the journal is away."""
        if self._up.is_set() and self._link is not None:
            try:
                await self._link.publish(subject, payload)
            except Lost as error:
                self.problem = str(error)

    async def reconnect(self) -> None:
        """Drops the link: the next one is checked anew before callers get through."""
        if self._link is not None:
            self._up.clear()
            await self._link.close()

    async def ask(self, question: Callable[[Link], Awaitable[T]], patience: float = 10.0) -> T:
        """The answer to a question that changes nothing, asked again on the next link when this one goes. Raises Retriable."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        while True:
            link = await self.ready(deadline - loop.time())
            try:
                return await question(link)
            except (Lost, Retriable, streams.ApiRefused) as error:
                if loop.time() >= deadline or isinstance(error, streams.ApiRefused):
                    raise Retriable(f"the journal does not answer: {error}") from None
                await asyncio.sleep(0.05)

    async def state(self, stream: str = streams.EVENTS) -> streams.StreamState:
        """Raises Retriable when the journal is away."""
        found = await self.ask(lambda link: streams.state(link, stream))
        if found is None:
            raise Fatal(f"stream {stream} does not exist any more")
        return found

    async def close(self) -> None:
        self._closing = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        self._up.clear()
        if self._link is not None:
            await self._link.close()
        if self.high_water is not None:
            await self.high_water.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()


def refusal(error: dict[str, Any]) -> Exception:
    """JetStream's refusal of an entry as what the caller must do. The entry was not stored."""
    code, text = int(error.get("err_code", 0)), str(error.get("description", ""))
    if code in FULL or "no space" in text or "maximum bytes" in text:
        return Retriable(f"the journal's disk space is used up: {text}. Free space, or allow it more", after=5.0)
    if code == TOO_LARGE:
        return Skippable(f"the journal refuses an entry of this size: {text}")
    if code == WRONG_LAST:
        return WrongLast(text)
    return Retriable(f"the journal could not store the entry: {text} (JetStream error {code})", after=2.0)


async def connect(
    endpoint: Endpoint,
    *,
    name: str = "tocsin",
    within: float = 30.0,
    high_water: HighWater | None = None,
    on_rewind: Callable[[Rewind], None] | None = None,
) -> Journal:
    """A journal whose streams exist and whose server keeps what it acknowledges.

    `high_water`: this process's mark (`epoch.py`); every process that publishes passes one. Raises Misconfigured when the
    server does not fsync before acknowledging or refuses us, Retriable when it cannot be reached within `within` seconds.
    """
    if endpoint.monitor is not None:
        await asyncio.to_thread(demand_sync, endpoint.monitor)
    elif not endpoint.sync_always:
        log.warning(
            "journal: cannot see whether %s has sync_interval: always; acknowledged events may be lost in a power cut", endpoint.url
        )
    journal = Journal(endpoint, name, high_water, on_rewind)
    await journal.start(within)
    return journal


def demand_sync(monitor: str) -> None:
    """Asks the server's monitoring page whether it fsyncs before every ack. Raises Misconfigured, Retriable."""
    url = f"{monitor.rstrip('/')}/jsz?config=1"
    if not url.startswith(("http://", "https://")):
        raise Misconfigured([Problem("journal", 0, f"monitor: {monitor!r} is not an http address")])
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - the scheme was checked
            page = orjson.loads(answer.read())
    except (OSError, ValueError) as error:
        raise Retriable(f"{url} does not answer: {error}") from None
    if not (page.get("config") or {}).get("sync_always"):
        message = (
            "this NATS server acknowledges before data is on disk and would lose it in a power cut; set jetstream { sync_interval: always }"
        )
        raise Misconfigured([Problem(monitor, 0, message)])
