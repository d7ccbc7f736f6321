"""`silence` with guards, or of an area (SEMANTICS 12); the kernels run the plain one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tocsin.model.links import BY_SOURCE
from tocsin.model.plan import Plan, Silence

from .keyed import Keyed
from .keys import Keyer, KeyValue, SourceName
from .sample import NEVER, Found, Sample, at_deadline
from .track import Outlet, Steady

#: (name of a source or feed, whether it is a feed) -> its code.
Declared = Callable[[str, bool], int]


class SilenceMachine(Steady):
    """The history holds what was heard; the state is () or (time of the newest,)."""

    reach = 0
    blank: tuple[Any, ...] = ()

    def __init__(self, when: Silence) -> None:
        self._during = when.during

    def step(self, _state: tuple[Any, ...], samples: list[Sample], i: int, _out: list[Found]) -> tuple[Any, ...]:
        """Something is heard."""
        return (samples[i].time,)

    def due(self, state: tuple[Any, ...]) -> int:
        """When it will have been silent for too long."""
        return int(state[0]) + self._during if state else NEVER

    def expire(self, _state: tuple[Any, ...], at: int, samples: list[Sample], i: int, out: list[Found]) -> tuple[Any, ...]:
        """The gap after samples[i - 1] is real. Its anchor is the first event of that time."""
        last = samples[i - 1]
        same = [sample for sample in samples[max(0, i - 64) : i] if sample.time == last.time and sample.seq >= 0]
        anchor = same[0] if same else last
        found = at_deadline(anchor, at)
        out.append(found if anchor.seq >= 0 else found._replace(evidence=()))
        return ()

    def ready(self, _found: Found, _samples: list[Sample]) -> bool:
        """Also when a newer event is known already."""
        return True


class SilenceRule(Keyed):
    """A history for each source, or feed. What was heard stays heard, also when it is taken back."""

    def __init__(self, when: Silence, names: SourceName, outlet: Outlet, plan: Plan) -> None:
        machine = SilenceMachine(when)
        super().__init__(lambda _key: machine, Keyer(BY_SOURCE, names), outlet, plan)
        self._when = when
        self._names = names
        self._code: Declared = lambda _name, _by_feed: -1
        self._declared: list[int] = []
        self._started: set[int] = set()

    def declare(self, code: Declared) -> None:
        """Tells the codes of sources and feeds known beforehand."""
        self._code = code
        self._declared = [code(name, self._when.by == "feed") for name in self._when.declared]

    def begin(self, clock: int, _first: bool) -> None:
        """The rule comes into force: who is known beforehand starts now, as if heard."""
        for source in self._declared:
            if source not in self._started:
                self._started.add(source)
                if source not in self._tracks:
                    super().take([Sample(clock, -1, source, math.nan, math.nan, math.nan, 1)], clock)

    def take(self, samples: Sequence[Sample], clock: int) -> None:
        """Events in journal order."""
        for sample in samples:
            subject = self._subject(sample.source)
            if subject >= 0:
                super().take([sample._replace(source=subject)], clock)

    def _subject(self, source: int) -> int:
        """Whose silence an event ends, -1: nobody's."""
        if source < 0:
            return -1
        feed, name = self._names(source)
        if self._when.by == "feed":
            return self._code(feed, True)
        return source if name is not None else -1

    def withdraw(self, _seqs: frozenset[int], _clock: int, _at: int) -> None:
        """What was heard stays heard."""

    def _rank(self, key: KeyValue) -> Any:
        """A source known beforehand has no feed until it is heard."""
        return key

    def save(self) -> dict[str, Any]:
        """Plain values and arrays."""
        return {**super().save(), "started": sorted(self._started)}

    def load(self, state: Any) -> None:
        """Goes on from a snapshot."""
        super().load(state)
        self._started = set(state["started"])
