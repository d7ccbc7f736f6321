"""Which rules look at a kind, and how far apart facts may be for them: what is found out once for a plan against what follows rule by rule; and that
nothing of a judgement that takes a moment holds up the correlator beside it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from latekit import lived
from runkit import Journal, plan, smoke, smoke_cluster

from tocsin.correlate.corrections import longest_window
from tocsin.correlate.parts.needs import lives
from tocsin.correlate.reconcile import run
from tocsin.correlate.reconcile.evaluate import Evaluation
from tocsin.correlate.reconcile.guarding import apart
from tocsin.correlate.reconcile.looking import Looking
from tocsin.correlate.reconcile.window import Window
from tocsin.model.alerting import AlertSpec, Per
from tocsin.model.plan import Cluster, Plan, RulePlan
from tocsin.model.predicate import Selector, covers
from tocsin.model.reading import alerts_read, selectors
from tocsin.model.time import SECOND

KINDS = ("a", "a.b", "a.b.c", "ab", "b", "b.c", "", ".x", "a.", "alert.r0")
_selected = st.sampled_from([*KINDS, *(f"alert.r{i}" for i in range(6))])


@st.composite
def _plans(draw: st.DrawFn) -> Plan:
    """Rules that look at events, and at alerts of the rules before them."""
    rules = []
    for i in range(draw(st.integers(0, 6))):
        kind = draw(_selected.filter(lambda kind, i=i: kind not in {f"alert.r{j}" for j in range(i, 6)}))  # type: ignore[misc]
        when = Cluster(Selector(kind), 100.0, draw(st.integers(1, 50)) * SECOND)
        alert = AlertSpec("x", per=draw(st.none() | st.integers(1, 90).map(lambda s: Per(s * SECOND))))
        rules.append(RulePlan(f"r{i}", "v", "t", "w", when, alert))
    return plan(*rules)


def _looking(rules: Plan, kinds: set[str]) -> set[str]:
    """Step by step until nothing is added: first those that build on what was found, then what these build on."""
    reads = {rule.name: set(alerts_read(rule)) for rule in rules.rules}
    found = {rule.name for rule in rules.rules if any(covers(of.kind, kind) for of in selectors(rule) for kind in kinds)}
    while more := {name for name, read in reads.items() if read & found} - found:
        found |= more
    while more := {read for name in found for read in reads[name] if read in reads} - found:
        found |= more
    return found


def _far(rules: Plan, name: str) -> int:
    known = {rule.name: rule for rule in rules.rules}
    further = max((_far(rules, read) for read in alerts_read(known[name]) if read in known), default=0)
    return longest_window((known[name],)) + lives(known[name]) + rules.delay + further


@settings(max_examples=300, deadline=None)
@given(_plans(), st.lists(st.sets(st.sampled_from([*KINDS, "c", "a.b.c.d"]), max_size=4), min_size=1, max_size=4))
def test_what_is_kept_is_what_follows_rule_by_rule(rules: Plan, asked: list[set[str]]) -> None:
    looking = Looking(rules)
    for kinds in asked:  # of one object, as it is asked: what it remembers changes nothing
        wanted = _looking(rules, kinds)
        assert looking.names(kinds) == wanted
        assert looking.reach(kinds) == max((_far(rules, name) for name in wanted), default=rules.delay)
        for undone in (False, True):
            found = looking.rules(kinds, undone)
            assert found.rules == tuple(rule for rule in apart(rules, undone).rules if rule.name in wanted)
            assert found.lateness == max(rules.delay, SECOND)
        for kind in kinds:
            assert looking.at(kind) == {rule.name for rule in rules.rules if any(covers(of.kind, kind) for of in selectors(rule))}


def test_it_is_made_when_it_is_prepared_or_asked() -> None:
    rules = plan(RulePlan("r", "v", "t", "w", Cluster(Selector("a"), 100.0, 5 * SECOND), AlertSpec("x")))
    prepared, asked = Looking(rules), Looking(rules)
    prepared.prepare()
    assert prepared.reach(["a.b"]) == asked.reach(["a.b"]) == 5 * SECOND + rules.delay
    assert prepared.reach([]) == asked.reach(["b"]) == rules.delay


async def test_what_takes_a_moment_is_done_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    beside: dict[str, set[bool]] = {}

    def heard(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def work(*given: Any) -> Any:
            beside.setdefault(name, set()).add(threading.current_thread() is not threading.main_thread())
            return real(*given)

        monkeypatch.setattr(owner, name, work)

    heavy = [
        (run.Reconciler, "_stretch"),
        (run, "_sides"),
        (run, "_blame"),
        (Evaluation, "_cut"),
        (Evaluation, "_states"),
        (Window, "close"),
    ]
    for owner, name in heavy:
        heard(owner, name)
    journal = Journal().add(0, [smoke("near", 0, 100)]).add(3 * 3600, [smoke("slow", 60)]).tick(3 * 3600 + 10).tick(86_400)
    stream, _, _ = await lived(plan(smoke_cluster(2)), journal)
    assert [alert.late for alert in stream.alerts] == [True]
    assert beside == {name: {True} for _, name in heavy}
