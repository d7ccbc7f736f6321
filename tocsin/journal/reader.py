"""The journal read back: entries in order, verified one by one; what is damaged or missing is reported, never skipped silently."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson

from tocsin.kernel.fault import Retriable, Skippable
from tocsin.model.exercise import is_exercise

from . import leader, streams
from .connection import Journal
from .encode import INGEST, Entry, decode
from .epoch import LOST_SUBJECTS
from .link import Reply
from .pull import Gap, Raw, pull

log = logging.getLogger(__name__)
_MARKERS = frozenset(LOST_SUBJECTS.values())


@dataclass(frozen=True, slots=True)
class DamagedEntry:
    """Numbers `first`..`last` cannot be read: `kind` is `damaged` (checksum, count, format), `missing` (the server has a
    hole there), `expired` (before the start of what is kept) or `lost` (a rewind, see `epoch.py`)."""

    stream: str
    first: int
    last: int
    kind: str
    reason: str


Report = Callable[[DamagedEntry], None]


async def read(
    journal: Journal,
    start_seq: int,
    *,
    follow: bool = True,
    until: int | None = None,
    on_damage: Report | None = None,
    exercise: bool = False,
) -> AsyncIterator[Entry]:
    """Entries of EVENTS from `start_seq` on. `follow` waits for new ones for ever; otherwise it ends at what is last now
    (or at `until`). Survives reconnects without a gap or a double. Without `exercise` those of an exercise are empty and tell no time."""
    if not follow and until is None:
        until = await last_seq(journal)
    async for raw in verified(journal, streams.EVENTS, start_seq, until, on_damage):
        if not exercise and is_exercise(raw.subject):
            yield _veiled(raw)
            continue
        try:
            entry = decode(raw.seq, raw.subject, raw.headers, raw.data)
        except Skippable as error:
            _report(journal, DamagedEntry(streams.EVENTS, raw.seq, raw.seq, "damaged", str(error)), on_damage)
            continue
        yield entry


async def skim(
    journal: Journal, start_seq: int, until: int, names: Sequence[bytes], always: frozenset[str] | None, on_damage: Report | None = None
) -> AsyncIterator[Entry]:
    """Entries of EVENTS from `start_seq` to `until`; of those whose bytes hold none of `names` only position and clock are told, undecoded: an
    event of a kind has the kind's name in it. `always`: feeds (as subject tokens) that are decoded whatever they hold, None for all."""
    async for raw in verified(journal, streams.EVENTS, start_seq, until, on_damage):
        if is_exercise(raw.subject):
            yield _veiled(raw)
            continue
        feed = raw.subject.rpartition(".")[2]
        wanted = always is None or feed in always or not raw.subject.startswith("ev.") or any(name in raw.data for name in names)
        try:
            if wanted:
                yield decode(raw.seq, raw.subject, raw.headers, raw.data)
            else:
                yield Entry(raw.seq, raw.subject, int(raw.headers.get(INGEST, 0)), 0, None, 0)
        except Skippable as error:
            _report(journal, DamagedEntry(streams.EVENTS, raw.seq, raw.seq, "damaged", str(error)), on_damage)


def _veiled(raw: Raw) -> Entry:
    """An entry of an exercise, for everybody who is not part of it: a number in the order, and nothing else."""
    return Entry(raw.seq, raw.subject, 0, 0, None, 0)


async def verified(journal: Journal, stream: str, start: int, until: int | None, on_damage: Report | None) -> AsyncIterator[Raw]:
    """Messages of any stream; gaps and markers of lost entries go to `on_damage`, each run of them once."""
    lost: DamagedEntry | None = None
    async for found in pull(journal, stream, start, until):
        if isinstance(found, Raw) and found.subject in _MARKERS:
            lost = _extend(lost, found, stream)
            continue
        if lost is not None:
            _report(journal, lost, on_damage)
            lost = None
        if isinstance(found, Gap):
            _report(journal, await _explain(journal, stream, found), on_damage)
            continue
        if journal.high_water is not None:
            journal.high_water.note(stream, found.seq)
        yield found
    if lost is not None:
        _report(journal, lost, on_damage)


async def _explain(journal: Journal, stream: str, gap: Gap) -> DamagedEntry:
    """Before the first entry kept, or where retention has removed some: on purpose. Between others: the server has lost them."""
    state = await journal.state(stream)
    expired = gap.last < max(state.first, state.lapsed)
    words = "are no longer kept" if expired else "are missing on the server: its files are damaged"
    return DamagedEntry(
        stream, gap.first, gap.last, "expired" if expired else "missing", f"entries {gap.first} to {gap.last} of {stream} {words}"
    )


def _extend(lost: DamagedEntry | None, marker: Raw, stream: str) -> DamagedEntry:
    if lost is not None:
        return DamagedEntry(stream, lost.first, marker.seq, lost.kind, lost.reason)
    reason = str(orjson.loads(marker.data)["alarm"])
    return DamagedEntry(stream, marker.seq, marker.seq, "lost", reason)


def _report(journal: Journal, damage: DamagedEntry, on_damage: Report | None) -> None:
    if damage.kind == "damaged":
        journal.counters.damaged += 1
    elif damage.kind != "expired":
        journal.counters.missing += damage.last - damage.first + 1
    log.log(logging.DEBUG if damage.kind == "expired" else logging.ERROR, "journal: %s", damage.reason)
    if on_damage is not None:
        on_damage(damage)


async def fetch(journal: Journal, seq: int) -> Entry:
    """One entry by its stream sequence. Raises Skippable when there is none or it is damaged, Retriable when the journal is away."""
    reply = await _direct(journal, streams.EVENTS, {"seq": seq})
    if reply is None:
        raise Skippable(f"the journal holds no entry {seq}")
    subject = reply.headers.get("Nats-Subject", "")
    if subject in _MARKERS:
        raise Skippable(f"entry {seq} was lost in a rewind of the stream")
    try:
        return decode(seq, subject, reply.headers, reply.data)
    except Skippable as error:
        _report(journal, DamagedEntry(streams.EVENTS, seq, seq, "damaged", str(error)), None)
        raise


async def newest_of(journal: Journal, subject: str) -> Entry | None:
    """The newest entry of a subject of EVENTS. Raises as `fetch`."""
    return await _one(journal, {"last_by_subj": subject})


async def first_of(journal: Journal, subject: str) -> Entry | None:
    """The oldest entry of a subject of EVENTS. Raises as `fetch`."""
    return await _one(journal, {"seq": 1, "next_by_subj": subject})


async def next_of(journal: Journal, subject: str, seq: int) -> Entry | None:
    """The first entry of a subject of EVENTS from stream sequence `seq` on. Raises as `fetch`."""
    return await _one(journal, {"seq": seq, "next_by_subj": subject})


async def newest_message(journal: Journal, stream: str, subject: str) -> Reply | None:
    """The newest message of a subject as it is stored; None when there is none. Raises Retriable."""
    return await _direct(journal, stream, {"last_by_subj": subject})


async def _one(journal: Journal, question: dict[str, object]) -> Entry | None:
    reply = await _direct(journal, streams.EVENTS, question)
    if reply is None:
        return None
    return decode(int(reply.headers["Nats-Sequence"]), reply.headers["Nats-Subject"], reply.headers, reply.data)


async def last_seq(journal: Journal, stream: str = streams.EVENTS) -> int:
    """Stream sequence of the newest entry, 0 when there never was one."""
    return (await journal.state(stream)).last


async def tail(
    journal: Journal, *, seconds: float | None = None, count: int | None = None, on_damage: Report | None = None
) -> AsyncIterator[Entry]:
    """The newest `count` entries, or those of the last `seconds` of wall time, oldest first; ends at what is last now."""
    if (seconds is None) == (count is None):
        raise ValueError("tail takes either seconds or count")
    newest = await last_seq(journal)
    if count is not None:
        start: int | None = max(1, newest - count + 1)
    else:
        since = datetime.now(UTC) - timedelta(seconds=seconds or 0.0)
        start = await _first_since(journal, since)
    if start is None or start > newest:
        return
    async for entry in read(journal, start, until=newest, on_damage=on_damage):
        yield entry


async def _first_since(journal: Journal, moment: datetime) -> int | None:
    reply = await _direct(journal, streams.EVENTS, {"start_time": moment.isoformat().replace("+00:00", "Z"), "batch": 1, "seq": 0})
    return int(reply.headers["Nats-Sequence"]) if reply is not None else None


async def stored(journal: Journal, stream: str, seq: int) -> Raw | None:
    """One message of any stream by its sequence, None when there is none. Raises Retriable."""
    reply = await _direct(journal, stream, {"seq": seq})
    return None if reply is None else Raw(seq, reply.headers.get("Nats-Subject", ""), reply.data, dict(reply.headers))


async def _direct(journal: Journal, stream: str, body: dict[str, object]) -> Reply | None:
    """A stored message from the stream itself, without a consumer; None when there is none. Any copy of a stream answers that, also one that
    lags behind, so where there are several the leader is asked for what must be new."""
    if journal.endpoint.replicas > 1 and "start_time" not in body:
        return await journal.ask(lambda link: leader.get(link, stream, body))
    request = orjson.dumps(body)
    reply = await journal.ask(lambda link: link.request(f"$JS.API.DIRECT.GET.{stream}", request))
    if reply.headers.get("Status") == "404":
        return None
    if "Nats-Sequence" not in reply.headers:
        raise Retriable(f"the journal does not answer: {reply.headers.get('Status')} {reply.headers.get('Description', '')}", after=1.0)
    return reply
