"""What a withdrawn fact changes in the engine: answered absences fire, standing facts end, and only feeds that may correct cost anything."""

from __future__ import annotations

from random import Random

from correlate_harness import SECOND, TINY, Entry, Pair, check, plan, rule, selector
from correlate_worlds import OPERATORS, World, some_rules, worlds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import Fact

from tocsin.correlate.engine import Engine
from tocsin.correlate.firing import EVIDENCE_MAX, What
from tocsin.model.plan import Absence, Active, Match, Per

T = 1_000 * SECOND
quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def fact(seq: int, at: float, kind: str = "a", feed: str = "f", name: str = "s", **more: object) -> Fact:
    return Fact(seq, T + round(at * SECOND), kind, source=(feed, name), lon=0.0, lat=0.0, **more)  # type: ignore[arg-type]


def waiting(per: Per | None = None) -> Pair:
    return Pair(plan(rule(Absence(selector("a"), selector("b"), 100.0, 10 * SECOND), per), lateness=60))


def said(pair: Pair, entries: list[Entry]) -> list[list[tuple[str, str]]]:
    """What happened at each entry: (what, count), the oracle agreeing."""
    rows = []
    for entry in entries:
        got, wanted = pair.step(entry)
        assert [row[:-1] for row in got] == [row[:-1] for row in wanted]
        rows.append([(row[1], row[5]) for row in got])
    return rows


def at(seconds: float, *facts: Fact, gone: tuple[int, ...] = (), until: float = 0) -> Entry:
    return Entry(T + round(seconds * SECOND), list(facts), gone, T + round(until * SECOND))


def test_a_cancelled_b_restores_the_absence_it_answered_in_time() -> None:
    entries = [at(0, fact(1, 0)), at(5, fact(2, 5, "b")), at(20), at(30, gone=(2,)), at(40)]
    assert said(waiting(), entries) == [[], [], [], [("RAISE", "1")], []]


def test_a_cancelled_late_b_restores_the_absence_it_took_back_and_another_b_takes_it_back_again() -> None:
    entries = [at(0, fact(1, 0)), at(20), at(25, fact(2, 5, "b")), at(30, gone=(2,)), at(35, fact(3, 9, "b"))]
    assert said(waiting(), entries) == [[], [("RAISE", "1")], [("RETRACT", "0")], [("RAISE", "1")], [("RETRACT", "0")]]


def test_while_one_b_is_left_nothing_is_restored() -> None:
    entries = [at(0, fact(1, 0)), at(5, fact(2, 5, "b"), fact(3, 6, "b")), at(20), at(30, gone=(2,)), at(40, gone=(3,))]
    assert said(waiting(), entries) == [[], [], [], [], [("RAISE", "1")]]


def test_nothing_is_restored_once_no_b_could_arrive_any_more() -> None:
    for late, rows in ((70, [("RAISE", "1")]), (70.000001, [])):
        entries = [at(0, fact(1, 0)), at(5, fact(2, 5, "b")), at(late), at(late, gone=(2,))]
        assert said(waiting(), entries)[-1] == rows


def test_of_several_absences_in_one_alert_each_counts() -> None:
    """A late answer to one, the start of the other cancelled: the alert has no match left, and the engine says how many there are."""
    pair = waiting(Per(60 * SECOND))
    entries = [at(0, fact(1, 0), fact(2, 2)), at(20), at(21, fact(3, 1, "b")), at(22, gone=(2,))]
    assert said(pair, entries) == [[], [("RAISE", "1"), ("JOIN", "2")], [("RETRACT", "1")], []]
    assert said(pair, [at(23, gone=(3,)), at(24, fact(4, 11, "b"))]) == [[("JOIN", "3")], []], "the cancelled b would have been the other's"
    assert said(pair, [at(25, fact(5, 9, "b"))]) == [[("RETRACT", "0")]]


def test_a_warning_ends_when_its_cancel_says() -> None:
    permit = Active(selector("b"), 100.0, 60 * SECOND)
    pair = Pair(plan(rule(Match(selector("a")), unless=(permit,)), lateness=600))
    entries = [at(0, fact(1, 0, "b")), at(30, gone=(1,), until=20), at(30, fact(2, 19.999999), fact(3, 20)), at(31, fact(4, -1))]
    assert said(pair, entries) == [[], [], [("RAISE", "1")], [("RAISE", "1")]]


def test_all_evidence_that_may_fall_is_told_and_the_rest_is_not() -> None:
    """Beyond the evidence an alert shows, matches of feeds that correct nothing are one row a push."""
    crowd = rule(Match(selector("a")), Per(60 * SECOND))
    for corrects, told in ((frozenset({"f"}), 50), (frozenset(), 0), (None, 100)):
        engine = Engine(plan(crowd), TINY, corrects)
        pair = Pair(plan(crowd))
        pair.engine = engine
        facts = [pair.coded(fact(i, 0, feed="f" if i % 2 else "g", name=f"s{i}")) for i in range(EVIDENCE_MAX + 100)]
        engine.push(pair.columns(facts[:EVIDENCE_MAX]), T)
        firings = engine.push(pair.columns(facts[EVIDENCE_MAX:]), T)
        assert len(firings.evidence) == told
        assert set(firings.what.tolist()) == {What.JOIN}
        assert int(firings.count[-1]) == EVIDENCE_MAX + 100
        counts = firings.count.tolist()
        assert counts == sorted(counts), "the newest row has the newest count"


@quick
@given(st.integers(0, 1 << 30), worlds, st.integers(1, 6))
def test_feeds_that_correct_nothing_change_nothing(seed: int, world: World, n: int) -> None:
    random, pair = Random(seed), Pair(plan(*some_rules(seed, (*OPERATORS, "absence", "absence"), n), lateness=30))
    pair.engine = Engine(pair.plan, TINY, frozenset({"f"}))
    entries, feeds = world.stream(), {}
    for entry in entries:
        gone = random.sample(sorted(seq for seq, feed in feeds.items() if feed == "f"), min(2, list(feeds.values()).count("f")))
        entry.gone = tuple(gone) if random.random() < 0.4 else ()
        feeds |= {one.seq: one.source[0] for one in entry.facts if one.source is not None}
    check(pair, entries)
