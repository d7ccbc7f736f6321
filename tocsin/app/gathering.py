"""What the correlate process needs where shards match for it: their matches brought to the entries they belong to."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from tocsin.correlate.meters import Sample, render
from tocsin.correlate.recent import Entry
from tocsin.correlate.shards.desk import Desk
from tocsin.correlate.shards.matches import decode
from tocsin.correlate.shards.meeting import Meeting
from tocsin.journal import matches as stream
from tocsin.journal.connection import Journal
from tocsin.kernel.fault import Fatal, Skippable

log = logging.getLogger(__name__)


class Gathering:
    """One for each correlator. `desk`: where its engine finds what the shards found."""

    def __init__(self, journal: Journal, shards: int, desk: Desk) -> None:
        self.desk = desk
        self.meeting = Meeting(desk, shards)
        self._journal = journal
        self._heard = desk.start(shards)  # stream sequence up to which messages were read
        self._passed: list[tuple[int, int, int]] = []  # what shards said of messages that have not come yet

    async def prepare(self) -> None:
        """Before anything is read."""
        await stream.prepare(self._journal)
        await stream.hear_passed(self._journal, self._on_passed)

    async def run(self) -> None:
        """For ever: takes in what the shards found."""
        async for seq, shard, parts in stream.follow(self._journal, self._heard + 1):
            if not shard < len(self.meeting.reached):
                raise Fatal(
                    f"a shard {shard} has published, but this node has {len(self.meeting.reached)}; start all of them with the same shards"
                )
            try:
                for part in parts:
                    self.meeting.found(shard, decode(part), seq)
            except Skippable as fault:
                raise Fatal(f"message {seq} of stream MATCHES cannot be used: {fault}. {stream.AGAIN}") from None
            self._heard = seq
            if self._passed:
                self._settle()

    async def _on_passed(self, shard: int, entry: int, message: int) -> None:
        if shard >= len(self.meeting.reached):
            return
        if message <= self._heard:
            self.meeting.passed(shard, entry)
        else:
            self._passed.append((shard, entry, message))

    def _settle(self) -> None:
        due = [one for one in self._passed if one[2] <= self._heard]
        self._passed = [one for one in self._passed if one[2] > self._heard]
        for shard, entry, _ in due:
            self.meeting.passed(shard, entry)

    def entries(self, journal: AsyncIterator[Entry]) -> AsyncIterator[Entry]:
        """As `Meeting.entries`."""
        return self.meeting.entries(journal)

    def metrics(self) -> str:
        """Prometheus text."""
        meeting = self.meeting
        samples = [
            Sample("shard_reached", "gauge", "Journal entry up to which a shard's matches are here.", reached, f'shard="{shard}"')
            for shard, reached in enumerate(meeting.reached)
        ]
        samples += [
            Sample("gathered_matches", "counter", "Matches of shards taken in.", self.desk.taken),
            Sample("gathered_again", "counter", "Entries whose matches a shard said a second time; left out.", meeting.repeated),
        ]
        return render(samples)
