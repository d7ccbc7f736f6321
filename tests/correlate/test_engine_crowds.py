"""Crowds and leaps: a million sources, sources that are suddenly elsewhere. Nothing is lost, and the state is what it must be, no more."""

from __future__ import annotations

import numpy as np
from correlate_harness import SECOND, Entry, Pair, plan, rule
from oracle import Fact

from tocsin.correlate.columns import Columns
from tocsin.correlate.engine import Engine, Sizes
from tocsin.correlate.firing import What
from tocsin.model.plan import Cluster, Match, Silence
from tocsin.model.predicate import Selector

T0 = 1_700_000_000 * SECOND
A = Selector("a")
MANY = 1_000_000


def batch(engine: Engine, first: int, sources: np.ndarray, time: int, value: float) -> Columns:
    """One event of each source, spread over a square degree."""
    n = len(sources)
    return Columns(
        seq=np.arange(first, first + n, dtype=np.int64),
        time=np.full(n, time, np.int64),
        kind=np.full(n, engine.kind_code("a", None), np.int32),
        source=sources,
        lon=10 + (sources % 1000) / 1000.0,
        lat=50 + (sources // 1000) / 1000.0,
        value=np.full(n, value),
        bits=np.zeros((n, engine.words), np.uint64),
    )


def test_a_million_sources() -> None:
    """Each reads high twice and then falls silent: a match and a silence of every one, none lost, none twice; then everything is forgotten."""
    engine = Engine(plan(rule(Match(Selector("a", at_least=3.0), samples=2)), rule(Silence(A, 60 * SECOND)), delay=0, lateness=10))
    codes = np.array([engine.source_code("f", str(i)) for i in range(MANY)], np.int32)
    anchors: list[np.ndarray] = []
    for turn in range(2):
        for first in range(0, MANY, 100_000):
            part = codes[first : first + 100_000]
            said = engine.push(batch(engine, turn * MANY + first, part, T0 + turn * SECOND, 4.0), T0 + turn * SECOND)
            anchors.append(said.anchor[said.what == What.RAISE])
    assert np.array_equal(np.sort(np.concatenate(anchors)), np.arange(MANY, 2 * MANY))
    quiet = engine.tick(T0 + 62 * SECOND)
    silent = quiet.anchor[quiet.what == What.RAISE]
    assert len(silent) == len(np.unique(silent)) == MANY
    counters = engine.counters()
    assert counters["overwritten"] == 0
    assert counters["state_bytes"] < 1_000 * MANY


def test_old_places_of_a_million_sources_are_forgotten() -> None:
    """Sources that speak once and never again do not fill the store of recent events."""
    engine = Engine(plan(rule(Cluster(A, 300.0, 10 * SECOND, sources=3)), delay=0, lateness=5))
    most = 0
    for turn in range(40):
        codes = np.arange(turn * 25_000, (turn + 1) * 25_000, dtype=np.int32) + 1
        engine.push(batch(engine, turn * 25_000, codes, T0 + turn * 10 * SECOND, 1.0), T0 + turn * 10 * SECOND)
        most = max(most, engine.counters()["state_bytes"])
    assert engine.counters()["stored"] == MANY
    assert engine.counters()["overwritten"] == 0
    assert most < 110_000_000


def test_a_source_that_leaps_a_hundred_kilometres_counts_where_it_was() -> None:
    """A wrong position now and then is no reason to forget the right ones: each event counts at its own place."""
    pair = Pair(plan(rule(Cluster(A, 500.0, 60 * SECOND, sources=2)), rule(Cluster(A, 50_000.0, 60 * SECOND, sources=2))))
    answers = []
    for i in range(60):
        away = i % 3 == 1
        facts = [
            Fact(3 * i, T0 + i * SECOND, "a", source=("f", "leaper"), lon=10.0, lat=51.0 if away else 50.0),  # 111 km
            Fact(3 * i + 1, T0 + i * SECOND, "a", source=("f", f"s{i % 4}"), lon=10.001, lat=51.0 if i % 2 else 50.0),
        ]
        got, wanted = pair.step(Entry(T0 + i * SECOND, facts))
        assert sorted(row[:-1] for row in got) == sorted(row[:-1] for row in wanted)
        answers += got
    assert len(answers) > 100


def test_what_a_full_store_forgets_is_counted_and_the_newest_stay() -> None:
    """At its largest size the oldest quarter gives way, and nothing else: two of three events in one place are still found together."""
    one = rule(Cluster(A, 30.0, 3_600 * SECOND, sources=3))
    engine = Engine(plan(one, delay=0, lateness=5), Sizes(4, 4, 4, 4, 12))
    for turn in range(20):
        codes = np.arange(turn * 500, (turn + 1) * 500, dtype=np.int32) + 10
        said = engine.push(batch(engine, turn * 500, codes, T0 + turn * SECOND, 1.0), T0 + turn * SECOND)
        assert not len(said)
    counters = engine.counters()
    assert counters["overwritten"] > 0
    assert counters["stored"] == 10_000 and counters["recent"] + counters["overwritten"] == 10_000
    again = np.arange(19 * 500, 20 * 500, dtype=np.int32) + 10  # where the last five hundred are, from other sources
    found = 0
    for turn in range(2):
        late = batch(engine, 10_000 + turn * 500, again.copy(), T0 + (20 + turn) * SECOND, 1.0)
        late.source[:] = 20_000 + turn * 500 + np.arange(500)
        said = engine.push(late, T0 + (20 + turn) * SECOND)
        found += int((said.what == What.RAISE).sum())
    assert found == 500
