"""What the explainer finds to hold is what the engine raised: on random rules and streams, for every operator."""

from __future__ import annotations

from random import Random

import pytest
from correlate_worlds import OPERATORS as PLAIN
from correlate_worlds import World, worlds
from explain_kit import bare, run
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from test_series_parity import OPERATORS, dressed, some_rules

quick = settings(max_examples=25, deadline=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck), derandomize=True)


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
        made = played([bare(one) for one in some_rules(seed, (operator,), 2)], World(**{**world.__dict__, "withdraws": False}), seed)
        for rule in made.plan.rules:
            alerts = {(one.evidence[0].seq, one.opened) for one in made.standing(rule.name) if one.evidence}
            rang += len(alerts)
            assert made.matches(rule.name) == alerts, f"{rule.when}\n{rule.unless} {rule.only}"

    agrees()
    assert rang > 0  # the worlds are not empty
