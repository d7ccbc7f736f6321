"""Events are picked from a batch and approached before their turn: neither may change an answer, wherever a group of picked rows ends or a table is full."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.correlate.columns import Columns
from tocsin.correlate.engine import Engine, Sizes
from tocsin.correlate.kernels.ahead import AHEAD, STRETCH
from tocsin.correlate.kernels.layout import COVERS, PICKED
from tocsin.model.plan import Absence, AlertSpec, Cluster, Match, Operator, Per, Plan, RulePlan, Sequence, Silence, Step
from tocsin.model.predicate import Selector

SECOND = 1_000_000
EVENTS = 1500
START = 1_760_000_000 * SECOND
TINY = Sizes(ring=4, heads=2, sources=2, pending=2, ring_max=13, candidates=1)


def plan() -> Plan:
    a, b = Selector("a", at_least=0.5), Selector("b")
    operators: list[Operator] = [
        Cluster(a, 400.0, 60 * SECOND, sources=3),
        Cluster(b, 100.0, 20 * SECOND, sources=2),
        Sequence(a, (Step(b, 300.0, 30 * SECOND),)),
        Absence(a, Selector("c", at_least=0.9), 200.0, 10 * SECOND),
        Match(Selector("c", at_least=0.8), samples=2),
        Silence(b, 40 * SECOND, by="source"),
    ]
    alert = AlertSpec("", per=Per(hold=60 * SECOND, place=200.0))
    return Plan(tuple(RulePlan(f"r{i}", str(i), "", "", of, alert) for i, of in enumerate(operators)), delay=5 * SECOND)


def stream(made: Engine) -> Columns:
    """Half of the events nobody looks at; some have no place, some no value, and times go back a little."""
    rng = np.random.default_rng(3)
    codes = np.array([made.kind_code(kind, None) for kind in ("a", "b", "c", "unheard", "unheard.too", "unheard.as.well")], np.int32)
    sources = np.array([made.source_code("feed", f"s{i}") for i in range(25)], np.int32)
    lon, lat = (rng.uniform(0, 0.01, EVENTS) for _ in range(2))
    lon[rng.random(EVENTS) < 0.05] = np.nan
    value = rng.random(EVENTS)
    value[rng.random(EVENTS) < 0.1] = -np.inf
    return Columns(
        seq=np.arange(EVENTS, dtype=np.int64),
        time=START + np.arange(EVENTS, dtype=np.int64) * SECOND // 10 - rng.integers(0, 8 * SECOND, EVENTS),
        kind=codes[rng.integers(0, len(codes), EVENTS)],
        source=sources[rng.integers(0, len(sources), EVENTS)],
        lon=lon,
        lat=lat,
        value=value,
        bits=np.zeros((EVENTS, made.words), np.uint64),
    )


def told(cut: int, sizes: Sizes) -> list[tuple[int, ...]]:
    """What is raised and taken back when the events are pushed so many at a time, all known at one instant: (rule, what, alert, anchor)."""
    made = Engine(plan(), sizes)
    columns, clock = stream(made), START + EVENTS * SECOND // 10
    said = []
    for start in range(0, EVENTS, cut):
        part = Columns(*(column[start : start + cut] for column in columns[:8]))
        said.append(made.push(part, clock).rows)
    said.append(made.tick(clock + 3600 * SECOND).rows)
    assert made.counters()["overwritten"] == 0
    rows = np.concatenate(said)
    rows = rows[np.isin(rows["what"], [0, 2])]
    return [tuple(int(row[name]) for name in ("rule", "what", "group", "anchor")) for row in rows]


WHOLE = told(EVENTS, Sizes())


def test_every_rule_rings() -> None:
    assert {rule for rule, *_ in WHOLE} == set(range(len(plan().rules)))


@pytest.mark.parametrize("cut", [1, AHEAD, AHEAD + 1, STRETCH - 1, STRETCH, PICKED, PICKED + 1, 700, EVENTS])
@pytest.mark.parametrize("sizes", [Sizes(), TINY], ids=["usual", "tiny"])
def test_the_cut_changes_nothing(cut: int, sizes: Sizes) -> None:
    assert told(cut, sizes) == WHOLE


def test_a_cover_for_every_event_that_is_approached() -> None:
    assert COVERS == 2 * AHEAD + 1
