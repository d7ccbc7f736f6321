"""What the measured prototype got wrong, each shown to be right here; and distances against the haversine formula everywhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from correlate_harness import SECOND, TINY, Entry, Pair, columns, plan, rule
from oracle import Fact

from tocsin.correlate.engine import Engine, Sizes
from tocsin.correlate.firing import Firings, What
from tocsin.correlate.geometry import great_circle
from tocsin.model.plan import Absence, Accumulate, Cluster, Match, Per, Silence
from tocsin.model.predicate import Compare, Selector

T0 = 1_700_000_000 * SECOND
HOUR = 3600 * SECOND
A, B = Selector("a"), Selector("b")


def fact(seq: int, at: float, kind: str = "a", source: str = "s", lon: float = 10.0, lat: float = 50.0, value: float | None = None) -> Fact:
    return Fact(seq, T0 + round(at * SECOND), kind, source=("f", source), lon=lon, lat=lat, value=value)


def push(engine: Engine, at: float, *facts: Fact) -> Firings:
    coded = [Fact(**{k: getattr(f, k) for k in f.__dataclass_fields__} | {"code": engine.source_code(*f.source)}) for f in facts]
    return engine.push(columns(engine, coded), T0 + round(at * SECOND))


def raised(firings: Firings) -> list[tuple[int, int]]:
    """(anchor, opened in seconds after T0) of the raises."""
    return [(int(firings.anchor[i]), (int(firings.time[i]) - T0) // SECOND) for i in range(len(firings)) if firings.what[i] == What.RAISE]


@pytest.mark.parametrize("hours", [1, 2, 24])
def test_an_absence_window_may_be_longer_than_any_wheel(hours: int) -> None:
    """The prototype's wheel had no lap count: a 5,000 s window fired after 900 s."""
    engine = Engine(plan(rule(Absence(A, B, 500.0, hours * HOUR))), TINY)
    push(engine, 0, fact(0, 0))
    early = engine.tick(T0 + hours * HOUR + 4 * SECOND)
    due = engine.tick(T0 + hours * HOUR + 5 * SECOND)
    assert raised(early) == []
    assert raised(due) == [(0, hours * 3600)]


def test_a_late_start_whose_deadline_has_passed_is_decided_by_the_next_entry() -> None:
    """The prototype let it wait for a whole turn of the wheel; facts of its own entry still count for it."""
    engine = Engine(plan(rule(Absence(A, B, 500.0, 60 * SECOND))), TINY)
    engine.tick(T0 + 300 * SECOND)
    push(engine, 301, fact(0, 100), fact(1, 200, lon=11.0), fact(2, 210, kind="b", lon=11.0))
    assert raised(engine.tick(T0 + 302 * SECOND)) == [(0, 160)]


def test_full_tables_grow_and_lose_nothing() -> None:
    """The prototype's probe loop never ended when (source, kind) pairs filled the table."""
    engine = Engine(plan(rule(Match(Selector("a", at_least=3.0), samples=2))), Sizes(ring=3, heads=1, sources=2, pending=2))
    found = 0
    for turn in range(2):
        for start in range(0, 5_000, 500):
            facts = [fact(turn * 5_000 + i, turn, source=f"s{i}", value=4.0) for i in range(start, start + 500)]
            found += len(raised(push(engine, turn, *facts)))
    assert found == 5_000
    assert engine.counters()["overwritten"] == 0


def test_more_than_255_samples_in_a_row() -> None:
    """The prototype counted runs in eight bits."""
    engine = Engine(plan(rule(Match(Selector("a", at_least=3.0), samples=300))), TINY)
    found = [raised(push(engine, i, fact(i, i, value=4.0))) for i in range(400)]
    assert [i for i, one in enumerate(found) if one] == [299]


def test_an_event_is_not_its_own_partner() -> None:
    """A without another A: in the prototype the event found itself and nothing ever fired."""
    engine = Engine(plan(rule(Absence(A, A, 500.0, 60 * SECOND))), TINY)
    push(engine, 0, fact(0, 0))
    push(engine, 30, fact(1, 30))
    assert raised(engine.tick(T0 + 200 * SECOND)) == [(1, 90)]


def test_event_time_never_moves_the_watermark() -> None:
    """A time stamp in the future made the prototype fire every pending absence."""
    engine = Engine(plan(rule(Absence(A, B, 500.0, 60 * SECOND)), rule(Silence(A, 60 * SECOND))), TINY)
    push(engine, 0, fact(0, 0))
    assert raised(push(engine, 1, fact(1, 100_000, source="mad"))) == []
    assert raised(push(engine, 2, fact(2, 2, kind="b"))) == []


def test_a_clock_that_jumps_a_year_answers_at_once() -> None:
    """The prototype walked second by second; 31 million steps would not end here."""
    engine = Engine(plan(rule(Absence(A, B, 500.0, 60 * SECOND)), rule(Silence(A, 3600 * SECOND))), TINY)
    push(engine, 0, fact(0, 0))
    assert sorted(raised(engine.tick(T0 + 365 * 24 * HOUR))) == [(0, 60), (0, 3600)]


def test_more_matches_in_a_batch_than_any_buffer() -> None:
    """The prototype counted matches beyond its buffer and lost them."""
    engine = Engine(plan(*(rule(Match(A)) for _ in range(50))), TINY)
    firings = push(engine, 0, *(fact(i, 0, source=f"s{i}") for i in range(2_000)))
    assert len(raised(firings)) == 100_000
    assert len(np.unique(firings.group)) == 100_000


def test_many_kinds_and_sources_stay_inside_their_tables() -> None:
    """The prototype wrote outside its arrays for kind >= 40 and source >= the size of its table."""
    rules = [rule(Cluster(Selector(f"k{i}"), 300.0, 60 * SECOND, sources=2)) for i in range(200)]
    engine = Engine(plan(*rules), TINY)
    facts = [fact(i, i % 50, kind=f"k{i % 200}", source=f"s{i}") for i in range(3_000)]
    found = sum(len(raised(push(engine, 60, *facts[i : i + 100]))) for i in range(0, 3_000, 100))
    assert found == 3_000 - 200, "every event but the first of each kind completes a cluster"


def test_nothing_is_lost_when_a_window_outgrows_the_ring() -> None:
    """The ring grows with what its windows hold; the prototype cut them short without a word."""
    engine = Engine(plan(rule(Cluster(A, 500.0, HOUR, sources=2_000))), TINY)
    found = [raised(push(engine, i, fact(i, i, source=f"s{i}"))) for i in range(2_000)]
    assert [i for i, one in enumerate(found) if one] == [1_999]
    assert engine.counters()["overwritten"] == 0


def test_a_thousand_alerts_of_a_storm_become_one() -> None:
    engine = Engine(plan(rule(Match(A), per=Per(hold=600 * SECOND, place=300.0))), TINY)
    firings = [push(engine, i / 10, fact(i, i / 10, source=f"s{i}", lon=10.0 + (i % 7) * 1e-4)) for i in range(1_000)]
    assert sum(len(raised(one)) for one in firings) == 1
    assert int(firings[-1].count[-1]) == 1_000


def test_one_predicate_bit_per_distinct_condition() -> None:
    where = Compare("severity", ">=", 3)
    rules = [rule(Match(Selector("a", where=where))) for _ in range(3)] + [rule(Match(Selector("a", where=Compare("severity", ">=", 4))))]
    assert len(Engine(plan(*rules), TINY).predicates) == 2


@pytest.mark.parametrize("lat", [0.0, 47.6, -33.9, 69.6, 85.0, 89.99])
@pytest.mark.parametrize("lon", [0.0, -122.33, 179.9999, -180.0])
@pytest.mark.parametrize("radius", [100.0, 2_000.0, 50_000.0])
def test_radius_is_the_great_circle(lon: float, lat: float, radius: float) -> None:
    """Neighbours 0.1 % inside the radius match and 0.1 % outside do not, in every direction, over the antimeridian and near the pole."""
    seq = 0
    for bearing in range(0, 360, 30):
        for share, hit in ((0.999, True), (1.001, False)):
            engine = Engine(plan(rule(Cluster(A, radius, 60 * SECOND, sources=2))), TINY)
            there = _towards(lon, lat, math.radians(bearing), radius * share)
            assert abs(great_circle(lon, lat, *there) / (radius * share) - 1) < 1e-6
            push(engine, 0, fact(seq, 0, source="a", lon=lon, lat=lat))
            assert bool(raised(push(engine, 1, fact(seq + 1, 1, source="b", lon=there[0], lat=there[1])))) is hit, (bearing, share)
            seq += 2


def _towards(lon: float, lat: float, bearing: float, metres: float) -> tuple[float, float]:
    """The place `metres` away on a great circle (direct problem on the sphere)."""
    angle, phi = metres / 6_371_008.8, math.radians(lat)
    phi2 = math.asin(math.sin(phi) * math.cos(angle) + math.cos(phi) * math.sin(angle) * math.cos(bearing))
    east = math.atan2(math.sin(bearing) * math.sin(angle) * math.cos(phi), math.cos(angle) - math.sin(phi) * math.sin(phi2))
    return (lon + math.degrees(east) + 540) % 360 - 180, math.degrees(phi2)


def test_a_larger_mixed_stream_equals_the_oracle() -> None:
    """Four thousand events of a crowded town through twelve rules, in batches, with tiny tables."""
    rng = np.random.default_rng(3)
    rules = [rule(Cluster(Selector("a", at_least=float(i)), 200.0 * (i + 1), 120 * SECOND, sources=2 + i % 3)) for i in range(4)]
    rules += [rule(Absence(Selector("a", at_least=4.0 - i), B, 150.0 * (i + 1), 40 * SECOND)) for i in range(4)]
    rules += [rule(Match(Selector("a", at_least=3.0), samples=1 + i)) for i in range(3)] + [rule(Silence(A, 30 * SECOND))]
    pair = Pair(plan(*rules), TINY)
    times = np.sort(rng.uniform(0, 400, 1_500))
    fired = 0
    for first in range(0, 1_500, 50):
        facts = [
            fact(
                i,
                times[i] - rng.exponential(1.0),
                kind="ab"[int(rng.random() < 0.3)],
                source=f"s{rng.integers(0, 40)}",
                lon=10.0 + rng.normal(0, 0.003),
                lat=50.0 + rng.normal(0, 0.002),
                value=float(rng.integers(0, 6)),
            )
            for i in range(first, first + 50)
        ]
        got, wanted = pair.step(Entry(T0 + round((times[first + 49] + 1) * SECOND), facts), [17, 31])
        assert sorted(row[:-1] for row in got) == sorted(row[:-1] for row in wanted)
        fired += len(got)
    assert fired > 500


def test_a_total_of_which_every_sample_was_cancelled_too_late_tells_nothing() -> None:
    """There was nothing left to be the anchor, and the engine ended."""
    when = Accumulate(A, 300 * SECOND, 300 * SECOND, total=120 * SECOND)
    for gone in (False, True):
        engine = Engine(plan(rule(when), lateness=10), TINY)
        push(engine, 0, fact(0, 0))
        engine.tick(T0 + 60 * SECOND)
        if gone:
            engine.withdraw((0,), T0 + 60 * SECOND)
        assert raised(engine.tick(T0 + 200 * SECOND)) == ([] if gone else [(0, 120)])


def test_a_span_of_which_every_sample_was_cancelled_too_late_tells_nothing() -> None:
    """`match` for a time: there was nothing left to be the anchor, and the engine ended."""
    when = Match(A, lasting=120 * SECOND, max_gap=300 * SECOND)
    for gone in (False, True):
        engine = Engine(plan(rule(when), lateness=10), TINY)
        push(engine, 0, fact(0, 0))
        engine.tick(T0 + 60 * SECOND)
        if gone:
            engine.withdraw((0,), T0 + 60 * SECOND)
        assert raised(engine.tick(T0 + 200 * SECOND)) == ([] if gone else [(0, 120)])


def test_deadlines_take_no_more_room_after_every_restart() -> None:
    """Their table grew whenever that of the absences had to, and a snapshot keeps all of it: each restart began with a larger one."""
    rules = plan(*(rule(Absence(A, B, 500.0 + i, HOUR)) for i in range(20)))
    engine, sizes = Engine(rules, TINY), []
    for turn in range(6):
        push(engine, 7200 * turn, fact(turn, 7200 * turn))
        engine.tick(T0 + 2 * (turn + 1) * HOUR)
        state = engine.snapshot()
        sizes.append(len(state["heap"]))
        engine = Engine(rules, TINY)
        engine.restore(state)
    assert len(set(sizes[1:])) == 1
