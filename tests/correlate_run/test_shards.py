"""The same journal tells the same alerts, revision by revision, however the matching is shared out."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from runkit import told
from shardkit import FOUR, ONE, TWO, told_by, wide_rules, wide_storm, wide_worlds, words

CORRECTING = [None, frozenset({"calls"}), frozenset()]


@pytest.mark.parametrize("corrects", CORRECTING, ids=["all", "some", "none"])
@limits(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1 << 30))
async def test_shards_tell_what_one_process_tells(corrects: frozenset[str] | None, seed: int) -> None:
    journal, rules = wide_storm(seed), wide_worlds(random.Random(seed))
    alone = words(await told(rules, journal, corrects=corrects))
    for regions in (ONE, TWO, FOUR):
        assert words(await told_by(regions, rules, journal, corrects=corrects)) == alone


async def test_the_storms_raise_every_rule_and_retract() -> None:
    """What the test above rests on: without alerts it would prove nothing."""
    raised: Counter[str] = Counter()
    for seed in range(10):
        for alert in (await told(wide_rules(), wide_storm(seed, 40, corrections=0.4), corrects=None)).alerts:
            raised[f"{alert.rule} {alert.status}"] += 1
    assert {f"{rule.name} raised" for rule in wide_rules().rules} <= set(raised)
    assert {"gone retracted", "crowd retracted", "chain retracted", "near amended", "crowd amended"} <= set(raised)


@limits(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1 << 30))
async def test_shards_that_start_again_say_the_same(seed: int) -> None:
    journal, rules = wide_storm(seed, 30), wide_rules()
    alone = words(await told(rules, journal, corrects=None))
    assert words(await told_by(FOUR, rules, journal, crash=0.3, corrects=None)) == alone
