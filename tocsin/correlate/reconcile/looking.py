"""Which rules look at which kinds of events, and how far apart in time two facts may be for them: found out once for a plan, and then asked often.

A thousand rules take a while to look through, and the correlator, whose process this runs in, must not wait for that with every entry that holds
something late.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from tocsin.correlate.codebook import selectors
from tocsin.correlate.corrections import longest_window
from tocsin.correlate.parts.needs import lives
from tocsin.model.plan import Plan
from tocsin.model.reading import alerts_read, building_on
from tocsin.model.time import SECOND

from .guarding import apart


class Looking:
    """Works when it is first asked."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._known: dict[str, frozenset[str]] = {}
        self._far: dict[str, int] = {}

    def prepare(self) -> None:
        """Works now."""
        _ = self._by_selector, self._reaches

    def at(self, kind: str) -> frozenset[str]:
        """Names of the rules with a selector that covers this kind of events."""
        return frozenset().union(*(self._by_selector.get(prefix, ()) for prefix in _prefixes(kind)))

    def names(self, kinds: Iterable[str]) -> frozenset[str]:
        """The rules that look at one of these kinds, those that build on their alerts, and what these build on."""
        return frozenset().union(*map(self._names, kinds))

    def rules(self, kinds: Iterable[str], undone: bool = False) -> Plan:
        """These rules as a plan, with time settings for facts that come in order. `undone`: histories see what is taken back until then
        (`guarding.py`)."""
        wanted, plan = self.names(kinds), self._plan
        some = tuple(rule for rule in plan.rules if rule.name in wanted)
        return apart(replace(plan, rules=some, lateness=max(plan.delay, SECOND)), undone)

    def reach(self, kinds: Iterable[str]) -> int:
        """How far before and after a fact of one of these kinds another one may lie that it makes a difference to, µs: by way of one rule, or of
        rules that look at others' alerts."""
        return max(map(self._reach, kinds), default=self._plan.delay)

    def _names(self, kind: str) -> frozenset[str]:
        if kind not in self._known:
            self._known[kind] = building_on(self._reads, self.at(kind)) & self._reads.keys()
        return self._known[kind]

    def _reach(self, kind: str) -> int:
        if kind not in self._far:
            self._far[kind] = max((self._reaches[name] for name in self._names(kind)), default=self._plan.delay)
        return self._far[kind]

    @cached_property
    def _by_selector(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for rule in self._plan.rules:
            for kind in {of.kind for of in selectors(rule)}:
                found.setdefault(kind, []).append(rule.name)
        return found

    @cached_property
    def _reads(self) -> Mapping[str, tuple[str, ...]]:
        return {rule.name: alerts_read(rule) for rule in self._plan.rules}

    @cached_property
    def _reaches(self) -> Mapping[str, int]:
        """Of every rule, by way of those whose alerts it looks at."""
        known = {rule.name: rule for rule in self._plan.rules}
        reaches: dict[str, int] = {}

        def far(name: str) -> int:
            if name not in reaches:
                rule = known[name]
                further = max(map(far, set(self._reads[name]) & known.keys()), default=0)
                reaches[name] = longest_window((rule,)) + lives(rule) + self._plan.delay + further
            return reaches[name]

        for name in known:
            far(name)
        return reaches


def _prefixes(kind: str) -> Iterator[str]:
    """All selectors that cover a kind (SEMANTICS 8)."""
    yield kind
    while "." in kind:
        kind = kind.rpartition(".")[0]
        yield kind
