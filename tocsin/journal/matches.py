"""The MATCHES stream: what shards found, several entries in a message, and how far they are."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

import orjson

from tocsin.kernel.fault import Fatal, Misconfigured, Problem, Skippable

from . import streams
from .connection import Journal
from .encode import MSG_ID
from .fence import Fence
from .pull import Gap, pull
from .reader import newest_message

#: Journal entry that a message reaches to.
REACHES: Final = "T-Entry"
#: Where the stream says in what way its matches were found.
WAY_KEY: Final = "tocsin-way"
#: What to do when it cannot be used.
AGAIN: Final = (
    "It can be made again from the journal: stop the node, delete that stream and the folder 'snapshot' of the data directory, and start it"
)
_LENGTH: Final = struct.Struct("<I")
_MOST: Final = 512 << 10  # bytes of a message


async def prepare(journal: Journal) -> None:
    """Makes the stream when it is missing."""
    await journal.ask(lambda link: streams.ensure(link, streams.MATCHES, journal.endpoint.replicas))


async def begin(journal: Journal, way: str, *, alone: bool) -> bool:
    """Before anybody works on the stream: what it holds was found in this `way` (format and regions), or it is made anew, for matches found in two ways do not
    fit together, and all can be found again in the journal. Returns whether it held what was found in another way. `alone`: nobody else works with this
    journal; otherwise raises Misconfigured instead of taking away what others may be using."""
    found = await journal.ask(lambda link: streams.state(link, streams.MATCHES))
    if found is not None and (found.config.get("metadata") or {}).get(WAY_KEY) == way:
        return False
    other = found is not None and found.last > 0
    if other and not alone:
        words = f"the matches in stream {streams.MATCHES} were found by another version, or between other cuts; where another node works with this journal, stop it. {AGAIN}"
        raise Misconfigured([Problem("--journal", 0, words)])
    if other:
        await journal.ask(lambda link: streams.remove(link, streams.MATCHES))
    made = await journal.ask(lambda link: streams.ensure(link, streams.MATCHES, journal.endpoint.replicas))
    await journal.ask(lambda link: streams.note(link, streams.MATCHES, made.config, WAY_KEY, way))
    return other


def packed(parts: Sequence[bytes]) -> bytes:
    """Several entries' matches as one payload."""
    return b"".join(_LENGTH.pack(len(part)) + part for part in parts)


def unpacked(payload: bytes) -> list[bytes]:
    """What `packed` put together. Raises Skippable."""
    parts, at = [], 0
    while at < len(payload):
        if at + _LENGTH.size > len(payload):
            raise Skippable("a message of a shard was cut short")
        (length,) = _LENGTH.unpack_from(payload, at)
        at += _LENGTH.size
        parts.append(payload[at : at + length])
        at += length
    if at != len(payload):
        raise Skippable("a message of a shard was cut short")
    return parts


async def publish(journal: Journal, fence: Fence, shard: int, parts: Sequence[bytes], entry: int) -> int:
    """Stores what a shard found up to a journal entry; the stream sequence. Raises as `Fence.append`."""
    identity = f"{shard}.{fence.seq}.{entry}"
    ack = await fence.append(journal, f"match.{shard}", packed(parts), {MSG_ID: identity, REACHES: str(entry)}, patience=60.0)
    return ack.seq


async def reached(journal: Journal, shard: int) -> tuple[int, int]:
    """(journal entry, stream sequence) of the newest message of a shard; zeros when there is none."""
    reply = await newest_message(journal, streams.MATCHES, f"match.{shard}")
    if reply is None:
        return 0, 0
    return int(reply.headers[REACHES]), int(reply.headers["Nats-Sequence"])


async def follow(journal: Journal, start: int) -> AsyncIterator[tuple[int, int, list[bytes]]]:
    """(stream sequence, shard, entries' matches) from a stream sequence on, for ever; shard -1 for a fence. Raises Fatal when something is
    missing: alerts would be missing, too."""
    async for found in pull(journal, streams.MATCHES, start):
        if isinstance(found, Gap):
            raise Fatal(f"messages {found.first} to {found.last} of stream {streams.MATCHES} are gone. {AGAIN}")
        if not found.subject.startswith("match."):
            yield found.seq, -1, []
            continue
        yield found.seq, int(found.subject.removeprefix("match.")), unpacked(found.data)


async def say_passed(journal: Journal, shard: int, entry: int, message: int) -> None:
    """Tells whoever listens how far a shard is, and the stream sequence of its newest message. May be lost: say it again."""
    await journal.publish(f"passed.{shard}", orjson.dumps([entry, message]))


async def hear_passed(journal: Journal, heard: Callable[[int, int, int], Awaitable[None]]) -> None:
    """Calls `heard` (shard, entry, stream sequence of its newest message) from now on."""

    async def take(message: object) -> None:
        entry, seq = orjson.loads(message.data)  # type: ignore[attr-defined]
        await heard(int(message.subject.removeprefix("passed.")), int(entry), int(seq))  # type: ignore[attr-defined]

    await journal.subscribe("passed.*", take)


def room(parts: Sequence[bytes]) -> bool:
    """Whether another entry's matches may join these in one message."""
    return sum(map(len, parts)) < _MOST
