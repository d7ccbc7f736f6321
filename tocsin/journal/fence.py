"""A fence in a stream: whoever takes over a piece of work puts it up, and from then on the server refuses what others still send.

A process that was frozen and wakes up does not know that another one has taken over. Everything it publishes says which fence it stands
behind (`Nats-Expected-Last-Subject-Sequence` of the fence's subject); the server compares and stores in one step, so not even a message
that was on its way when the process froze can slip in.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

import orjson

from tocsin.kernel.fault import Fatal

from .connection import Ack, Journal, WrongLast
from .encode import MSG_ID

PREFIX: Final = "fence."
_EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
_OF: Final = "Nats-Expected-Last-Subject-Sequence-Subject"


class Fenced(Fatal):
    """Another process has taken over; this one must end."""


@dataclass(frozen=True, slots=True)
class Fence:
    """Put up at stream sequence `seq` of `subject`."""

    subject: str
    seq: int

    def headers(self) -> dict[str, str]:
        """What makes the server refuse a message once another fence is up."""
        return {_EXPECTED: str(self.seq), _OF: self.subject}

    async def append(self, journal: Journal, subject: str, payload: bytes, headers: dict[str, str], patience: float = 10.0) -> Ack:
        """As `Journal.append`, into the stream of the fence. Raises Fenced besides."""
        try:
            return await journal.append(subject, payload, headers | self.headers(), patience)
        except WrongLast as refused:
            raise Fenced(f"another process has taken over what this one publishes on {subject} ({refused}); this one ends") from None


async def put_up(journal: Journal, work: str, by: str) -> Fence:
    """A new fence for a piece of work; older ones are down when this returns. `by`: who, for people who read the stream."""
    subject = PREFIX + work
    ack = await journal.append(subject, orjson.dumps({"by": by}), {MSG_ID: secrets.token_hex(8)})
    return Fence(subject, ack.seq)
