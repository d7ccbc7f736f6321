"""What the explainer finds to hold is what the engine raised: on random rules and streams, for every operator."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from correlate_worlds import OPERATORS as PLAIN
from correlate_worlds import World, worlds
from explain_kit import bare, pick, run
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from test_series_parity import OPERATORS, dressed, some_rules, with_alerts

quick = settings(max_examples=12, deadline=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck), derandomize=True)


def played(rules, world, seed):
    entries = world.stream()
    random = Random(seed)
    for entry in entries:
        entry.facts = [dressed(random, fact) for fact in entry.facts]
    return run(rules, entries)


@pytest.mark.parametrize("operator", sorted(OPERATORS | PLAIN))
def test_every_alert_is_explained_and_nothing_else(operator: str) -> None:
    rang = 0

    @quick
    @given(st.integers(0, 1 << 30), worlds)
    def agrees(seed: int, world: World) -> None:
        nonlocal rang
        made = played([bare(one) for one in some_rules(seed, (operator,), 2)], replace(world, withdraws=False), seed)
        for rule in made.plan.rules:
            alerts = {(one.evidence[0].seq, one.opened) for one in made.standing(rule.name) if one.evidence}
            rang += len(alerts)
            assert made.matches(rule.name) == alerts, f"{rule.when}\n{rule.unless} {rule.only}"

    agrees()
    assert rang > 0  # the worlds are not empty


NAMES = sorted(OPERATORS | PLAIN)


@quick
@given(st.integers(0, 1 << 30), worlds)
def test_a_place_and_time_are_explained_as_the_whole_is(seed: int, world: World) -> None:
    """Asked near a place and up to a time, the answer is that part of everything; an alert's own place and time say that every clause held."""
    random = Random(seed)
    made = played(some_rules(seed, tuple(random.sample(NAMES, 3)), 3), replace(world, withdraws=False), seed)
    for rule in made.plan.rules:
        alert = pick(random, [one for one in made.standing(rule.name) if one.evidence and one.lon is not None and one.revision == 1])
        if alert is not None:
            told = made.ask(rule.name, at=alert.opened, lon=alert.lon, lat=alert.lat, within=1.0, span=1, with_late=True)
            assert told.looks[0].holds and told.verdict in ("rang", "joined"), (rule.when, told.summary)
            assert alert.id in {one.id for one in told.alerts}
        at, lon, lat = random.randint(world_start(made), made.clock), world.lon, world.lat
        told = made.ask(rule.name, at=at, lon=lon, lat=lat, within=300.0, span=10_000_000, with_late=True)
        anchors = made.matches(rule.name, at=at, lon=lon, lat=lat, within=300.0, span=10_000_000)
        assert told.matches == len(anchors) or told.matches > 0
        assert any(look.holds for look in told.looks) == bool(anchors), (rule.when, told.summary)
        assert anchors <= made.matches(rule.name), rule.when
        assert anchors or told.verdict != "rang" or told.alerts


@quick
@given(st.integers(0, 1 << 30), worlds)
def test_alerts_of_other_rules(seed: int, world: World) -> None:
    made = played([bare(one) for one in with_alerts(seed, ("match", "cluster", "single", "inside"))], replace(world, withdraws=False), seed)
    for rule in made.plan.rules[3:]:
        told = made.ask(rule.name, at=made.clock, span=10 * made.clock, with_late=True)
        assert (told.matches > 0) == bool(made.standing(rule.name)), (rule.when, told.summary)


def world_start(made) -> int:
    return min(entry.ingest for entry in made.entries)
