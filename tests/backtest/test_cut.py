"""A history matched in parts tells what one run over it tells, alert by alert and field by field."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from cutkit import told_in_parts
from pastkit import past, plain, rows_of
from runkit import plan
from shardkit import FOUR, TWO, wide_rules, wide_storm

from tocsin.correlate.past.cut.ways import way_of
from tocsin.correlate.past.run import Past
from tocsin.correlate.shards.assign import Way
from tocsin.model.plan import Plan


def said(run: Past) -> list[object]:
    """Everything but how often it was said: amendments within one second are told together or not."""
    return sorted(((told.raised, told.retracted, plain(alert, revisions=False)) for told, alert in run.alerts()), key=str)


def rules_of(way: Way, draw: random.Random) -> Plan:
    """Some of the rules that go one way, in any order, some of them never thinned."""
    rules = [one for one in wide_rules().rules if way_of(plan(one)).way == way]
    draw.shuffle(rules)
    chosen = rules[: draw.randint(1, len(rules))]
    return plan(*(replace(one, alert=replace(one.alert, per=None)) if draw.random() < 0.2 else one for one in chosen))


@pytest.mark.parametrize("corrects", [None, frozenset({"calls"}), frozenset()], ids=["all", "some", "none"])
@pytest.mark.parametrize("way", [Way.PLACE, Way.SOURCE])
@pytest.mark.parametrize("seed", range(2))
def test_parts_tell_what_one_run_tells(way: Way, corrects: frozenset[str] | None, seed: int) -> None:
    journal = wide_storm(seed, 40, corrections=0.15 if corrects is None or corrects else 0.0)
    rules, table = rules_of(way, random.Random(seed)), rows_of(journal)
    alone = past(rules, table, journal, seed, corrects=corrects)
    for regions in (TWO, FOUR):
        run = told_in_parts(rules, table, journal, regions, seed, corrects=corrects)
        assert said(run) == said(alone)
