"""A history through `correlate/past` tells what the correlator tells of the same journal, alert by alert, however it is cut."""

from __future__ import annotations

import random

import pytest
from pastkit import lived, past, rows_of, same
from shardkit import wide_rules, wide_storm, wide_worlds
from test_recovery import rules, storm

from tocsin.correlate.fingerprint import alerts_hash


@pytest.mark.parametrize("seed", range(12))
async def test_every_operator_of_the_kernels_together_and_cut_anyhow(seed: int) -> None:
    draw, journal = random.Random(seed), wide_storm(seed, 40, corrections=0.0)
    plan = wide_worlds(draw)
    stream = await lived(plan, journal, corrects=frozenset())
    run = past(plan, rows_of(journal), journal, seed, corrects=frozenset())
    alerts = same(stream, run)
    assert alerts_hash(alerts) == alerts_hash(stream.alerts)


@pytest.mark.parametrize("seed", range(12))
async def test_corrections_in_any_order_and_late_facts(seed: int) -> None:
    draw, journal = random.Random(seed), wide_storm(seed, 40)
    plan = wide_worlds(draw)
    corrects = (None, frozenset({"calls"}))[seed % 2]
    stream = await lived(plan, journal, corrects=corrects)
    run = past(plan, rows_of(journal), journal, seed, corrects=corrects)
    same(stream, run)
    assert run.course.withdrawn


@pytest.mark.parametrize("seed", range(4))
async def test_all_of_them(seed: int) -> None:
    journal = storm(seed, 60)
    stream = await lived(rules(), journal)
    run = past(rules(), rows_of(journal), journal, seed)
    assert len(same(stream, run)) > 5
