"""Whose history is kept apart, and whom a rate counts, against the brute-force oracle: by feed, fields, cell and zone; by a field that differs."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from correlate_worlds import World, worlds
from hypothesis import given, settings
from hypothesis import strategies as st
from test_series_parity import KEYS, SIZES, play, quick, some_key, some_rules

from tocsin.correlate.engine import Sizes


@pytest.mark.parametrize("by", KEYS)
@pytest.mark.parametrize("operator", ["change", "timer", "rate", "accumulate"])
def test_histories_kept_apart(operator: str, by: str) -> None:
    """By feed, by fields, by cell, by zone: in worlds that are crowded, so that a key has a history to speak of."""
    fired = 0

    @settings(quick, max_examples=40 if operator == "change" else 15)
    @given(st.integers(0, 1 << 30), worlds, st.sampled_from(SIZES))
    def parity(seed: int, world: World, sizes: Sizes) -> None:
        nonlocal fired
        random = Random(seed)
        rules = [replace(one, when=replace(one.when, key=some_key(random, by))) for one in some_rules(seed, (operator,), 2)]
        fired += play(rules, crowded(world), sizes, seed)

    parity()
    assert fired > 20


@pytest.mark.parametrize("field", ["source", "attrs.x", "attrs.to"])
def test_rates_of_what_differs(field: str) -> None:
    """`distinct`: the field that tells apart what is counted; an event that lacks it counts for nothing."""
    fired = 0

    @settings(quick, max_examples=20)
    @given(st.integers(0, 1 << 30), worlds, st.sampled_from(SIZES))
    def parity(seed: int, world: World, sizes: Sizes) -> None:
        nonlocal fired
        random = Random(seed)
        rules = [replace(one, when=replace(one.when, measure="sources", distinct=field)) for one in some_rules(seed, ("rate",), 2)]
        rules = [replace(one, when=replace(one.when, key=some_key(random, random.choice(("", *KEYS))))) for one in rules]
        fired += play(rules, crowded(world), sizes, seed)

    parity()
    assert fired > 20


def crowded(world: World) -> World:
    return replace(world, entries=20, crowd=max(world.crowd, 8), sources=min(world.sources, 3), places=min(world.places, 2))
