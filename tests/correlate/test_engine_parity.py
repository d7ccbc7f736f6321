"""Every operator against the brute-force oracle on random streams: late and equal times, tiny tables, cuts, restarts."""

from __future__ import annotations

from random import Random

import pytest
from correlate_harness import TINY, Entry, Pair, check, plan
from correlate_worlds import OPERATORS, World, some_rules, worlds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.correlate.engine import Sizes
from tocsin.model.plan import RulePlan

quick = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
SIZES = (TINY, Sizes(ring=4, heads=3, sources=3, pending=3, candidates=0), Sizes(10, 9, 8, 8))


def play(rules: list[RulePlan], world: World, sizes: Sizes, seed: int) -> int:
    """Plays a world, with the entries cut and the engine restarted at random places."""
    random, entries = Random(seed), world.stream()
    restarts = random.sample(range(len(entries)), min(2, len(entries)))
    return check(Pair(plan(*rules, lateness=30), sizes), entries, restarts, [cut(random, entry) for entry in entries])


def cut(random: Random, entry: Entry) -> list[int]:
    return sorted(random.sample(range(len(entry.facts) + 1), min(random.randint(0, 2), len(entry.facts))))


@pytest.mark.parametrize("operator", OPERATORS)
def test_one_operator(operator: str) -> None:
    fired = 0

    @quick
    @given(st.integers(0, 1 << 30), worlds, st.sampled_from(SIZES))
    def parity(seed: int, world: World, sizes: Sizes) -> None:
        nonlocal fired
        fired += play(some_rules(seed, (operator,), 3), world, sizes, seed)

    parity()
    assert fired > 100  # the worlds are not empty


@pytest.mark.parametrize("operator", ["match", "sequence", "absence", "silence"])
def test_what_a_new_alert_rests_on(operator: str) -> None:
    """Where it is determined: the latest chain of a sequence, in its order; the event that started the clock of an absence."""
    seen = 0

    @quick
    @given(st.integers(0, 1 << 30), worlds)
    def parity(seed: int, world: World) -> None:
        nonlocal seen
        pair = Pair(plan(*some_rules(seed, (operator,), 3), lateness=30), TINY)
        for entry in world.stream():
            got, wanted = (sorted(row for row in rows if row[1] == "RAISE") for rows in pair.step(entry))
            assert got == wanted
            seen += sum(len(row[-1]) > 1 for row in got) if operator == "sequence" else len(got)

    parity()
    assert seen > 50


@quick
@given(st.integers(0, 1 << 30), worlds, st.sampled_from(SIZES), st.integers(2, 12))
def test_mixed_rules(seed: int, world: World, sizes: Sizes, n: int) -> None:
    play(some_rules(seed, tuple(OPERATORS), n), world, sizes, seed)
