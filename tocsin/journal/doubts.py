"""Entries in doubt: sent, never acknowledged, and their callers told to try again.

Before anything else gets through on a new connection they are sent once more under the same message id, which the server
stores only if it had not. What callers then deliver a second time is recognised by its event ids.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson
import pyarrow as pa

from tocsin.kernel.fault import Retriable
from tocsin.model.ids import event_seq

from . import leader
from .encode import MSG_ID
from .link import Link
from .streams import EVENTS

#: Settled ids kept per feed; callers try again within seconds, so the newest are enough.
KEEP = 1 << 18


@dataclass(frozen=True, slots=True)
class Doubt:
    """`after`: a stream sequence known before it was first sent."""

    feed: str
    subject: str
    payload: bytes
    headers: dict[str, str]
    batch: pa.RecordBatch
    after: int


class Doubts:
    """`on_settled(feed, batch, first_seq)`: an entry in doubt is in the journal after all."""

    def __init__(self, on_settled: Callable[[str, pa.RecordBatch, int], None] | None = None) -> None:
        self.on_settled = on_settled
        self.open: list[Doubt] = []
        self._settled: dict[str, dict[str, int]] = {}

    async def settle(self, link: Link) -> None:
        """Run on a new link before callers get through. Raises Lost or Retriable to be run again."""
        while self.open:
            doubt = self.open[0]
            seq = await _settled_seq(link, doubt)
            self.open.pop(0)
            if seq is not None:
                self._remember(doubt, seq)

    def _remember(self, doubt: Doubt, seq: int) -> None:
        ids = doubt.batch.column("id").to_pylist()
        known = self._settled.setdefault(doubt.feed, {})
        known.update((name, event_seq(seq, row)) for row, name in enumerate(ids))
        for name in list(known)[: max(0, len(known) - KEEP)]:
            del known[name]
        if self.on_settled is not None:
            self.on_settled(doubt.feed, doubt.batch, event_seq(seq, 0))

    def trim(self, feed: str, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, int | None]:
        """The events of a batch that are not settled yet, and the number of its first event when that one is."""
        known = self._settled.get(feed)
        if not known:
            return batch, None
        numbers = [known.get(name) for name in batch.column("id").to_pylist()]
        if all(number is None for number in numbers):
            return batch, None
        return batch.filter(pa.array([number is None for number in numbers])), numbers[0]


async def _settled_seq(link: Link, doubt: Doubt) -> int | None:
    """Stream sequence of the entry; None when the server refuses it and has not stored it."""
    reply = await link.request(doubt.subject, doubt.payload, doubt.headers)
    answer = orjson.loads(reply.data) if reply.data else {}
    if "seq" in answer:
        return int(answer["seq"])
    if not answer:
        raise Retriable("JetStream does not answer yet", after=1.0)
    return await find_message(link, doubt.subject, doubt.headers[MSG_ID], doubt.after + 1)


async def find_message(link: Link, subject: str, msg_id: str, start: int) -> int | None:
    """The stream sequence of a message id on one subject, looking from `start` on; None when it is not there."""
    while True:
        reply = await leader.get(link, EVENTS, {"seq": start, "next_by_subj": subject})
        if reply is None:
            return None
        seq = int(reply.headers["Nats-Sequence"])
        if reply.headers.get(MSG_ID) == msg_id:
            return seq
        start = seq + 1
