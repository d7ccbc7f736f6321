"""All shards in one process: what a replay uses to show that sharing out changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from tocsin.correlate.horizon import Horizon
from tocsin.correlate.recent import Entry, Fetch
from tocsin.correlate.setting import Configure, Setting

from .desk import Desk
from .gather import GatheredEngine
from .matcher import Matcher
from .matches import decode
from .meeting import Meeting
from .regions import Regions


class Together:
    """`engine`: for the correlator that tells the alerts. What shards find goes through bytes, as it does between processes."""

    def __init__(self, setting: Setting, regions: Regions, fetch: Fetch, configure: Configure | None = None) -> None:
        self.matchers = [Matcher(setting, shard, regions, fetch, configure) for shard in range(regions.count)]
        self.engine = gathered_engine(setting, Desk(), regions)
        self._meeting = Meeting(self.engine.desk, regions.count)

    def entries(self, journal: AsyncIterator[Entry]) -> AsyncIterator[Entry]:
        """The journal's entries, each after all shards have looked at it."""
        return self._meeting.entries(self._matched(journal))

    async def _matched(self, journal: AsyncIterator[Entry]) -> AsyncIterator[Entry]:
        async for entry in journal:
            for shard, matcher in enumerate(self.matchers):
                found = await matcher.take(entry)
                if found:
                    self._meeting.found(shard, decode(found.encode()))
                self._meeting.passed(shard, entry.seq)
            yield entry


def gathered_engine(setting: Setting, desk: Desk, regions: Regions) -> GatheredEngine:
    """The engine of a correlator whose matching is shared out."""
    plan = replace(setting.plan, lateness=Horizon(setting.plan, setting.lateness).longest)
    return GatheredEngine(plan, desk, regions, corrects=setting.corrects)
