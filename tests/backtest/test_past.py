"""A history through `correlate/past` tells what the correlator tells of the same journal, alert by alert, however it is cut."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
import test_parts
from pastkit import lived, past, rows_of, same
from runkit import SMOKY, Journal, plan, rule, smoke, smoke_match
from shardkit import wide_storm, wide_worlds
from test_recovery import rules, storm

from tocsin.correlate.fingerprint import alerts_hash
from tocsin.correlate.past.sieve import Sieve
from tocsin.model.alerting import Resolve
from tocsin.model.guards import AlertsNear
from tocsin.model.links import Key
from tocsin.model.plan import (
    Absence,
    Accumulate,
    Alerts,
    AreaOutage,
    Around,
    Change,
    Cluster,
    Inside,
    Match,
    Per,
    Plan,
    Rate,
    Silence,
    Timer,
    ZoneEvent,
)
from tocsin.model.predicate import Compare, Selector
from tocsin.model.time import MINUTE, SECOND


def histories() -> Plan:
    """Every operator that keeps a history, alone and with exceptions, and rules that look at others' alerts."""
    call, scene = Selector("call.fire"), Selector("unit.onscene")
    linked = rule("kept", Cluster(SMOKY, 400.0, 10 * MINUTE, 2, same=("attrs.crew",)), per=Per(5 * MINUTE, None, same=("attrs.crew",)))
    return plan(
        smoke_match(Per(3 * MINUTE, 300.0)),
        rule("lasting", Match(SMOKY, lasting=20 * SECOND, max_gap=2 * MINUTE)),
        rule("rising", Change(Selector("fire.smoke"), 5 * MINUTE, by=30e-9)),
        rule("many", Rate(SMOKY, 5 * MINUTE, above=3.0)),
        rule("long", Accumulate(SMOKY, 20 * MINUTE, 2 * MINUTE, total=MINUTE)),
        rule("near-scene", Inside(SMOKY, Around(scene, 200.0, 5 * MINUTE))),
        rule("stays", ZoneEvent(Selector("fire.smoke"), "stays", None, MINUTE, 3 * MINUTE, 70.0)),
        rule("clock", Timer(call, 2 * MINUTE, Key("all"), scene, (MINUTE,))),
        rule("gone", Absence(call, scene, 500.0, 3 * MINUTE, same=("source",)), per=Per(10 * MINUTE, None)),
        rule("outage", Silence(Selector("fire"), 3 * MINUTE, "source", (), AreaOutage(0.5, 2, 600.0, 10 * MINUTE))),
        rule("both", Alerts(("smoke", "many"), "all", 500.0, 10 * MINUTE)),
        replace(rule("alone", Match(call)), unless=(AlertsNear(("smoke",), "any", 5 * MINUTE, 300.0),)),
        replace(rule("closes", Match(call)), alert=replace(rule("x", Match(call)).alert, resolve=Resolve(after=4 * MINUTE))),
        linked,
        replace(rule("after-smoke", Match(Selector("alert.smoke"))), reads=("smoke",)),
    )


def crews(journal: Journal) -> Journal:
    """The same events with an attribute, in a feed that declares it."""
    made, draw = Journal(), random.Random(5)
    for entry in journal.entries:
        if entry.batch is None:
            made.tick(0)
            made.entries[-1] = replace(made.entries[-1], ingest=entry.ingest)
            continue
        rows = []
        for row in entry.batch.to_pylist():
            times = {name: round(row[name].timestamp() * 1e6) for name in ("event_time",)}
            rows.append(row | times | {"ingest_time": None, "attrs": {"crew": draw.choice((None, "A", "B"))}})
        made.add(0, rows, {"crew": "string"})
        made.entries[-1] = replace(made.entries[-1], ingest=entry.ingest)
    return made


@pytest.mark.parametrize("seed", range(10))
async def test_every_operator_of_the_kernels_together_and_cut_anyhow(seed: int) -> None:
    draw, journal = random.Random(seed), wide_storm(seed, 40, corrections=0.0)
    rules_ = wide_worlds(draw)
    stream = await lived(rules_, journal, corrects=frozenset())
    run = past(rules_, rows_of(journal), journal, seed, corrects=frozenset())
    alerts = same(stream, run)
    assert alerts_hash(alerts) == alerts_hash(stream.alerts)


async def test_events_known_at_different_times_are_pushed_together() -> None:
    journal = Journal()
    for second in range(300):
        journal.add(second, [smoke(f"S-{second % 7}", second, second % 5 * 90, 160 if second % 3 else 100)])
    for rules_, most in ((plan(smoke_match()), 30), (plan(rule("near", Cluster(SMOKY, 200.0, MINUTE, 2))), 30), (rules(), 120)):
        stream = await lived(rules_, journal, corrects=frozenset())
        run = past(rules_, rows_of(journal), journal, 3, corrects=frozenset())
        same(stream, run, revisions=False)
        assert run.course.pushes <= most, "300 entries in far fewer pushes"


@pytest.mark.parametrize("seed", range(10))
async def test_corrections_in_any_order_and_late_facts(seed: int) -> None:
    draw, journal = random.Random(seed), wide_storm(seed, 40)
    rules_ = wide_worlds(draw)
    corrects = (None, frozenset({"calls"}))[seed % 2]
    stream = await lived(rules_, journal, corrects=corrects)
    run = past(rules_, rows_of(journal), journal, seed, corrects=corrects)
    same(stream, run)
    assert run.course.withdrawn


@pytest.mark.parametrize("seed", range(4))
async def test_all_of_them(seed: int) -> None:
    journal = storm(seed, 60)
    stream = await lived(rules(), journal)
    assert len(same(stream, past(rules(), rows_of(journal), journal, seed))) > 5


@pytest.mark.parametrize("seed", range(6))
async def test_parts_of_alerts(seed: int) -> None:
    journal = test_parts.plain_storm(seed) if seed % 2 else storm(seed, 50)
    stream = await lived(test_parts.rules(), journal)
    assert same(stream, past(test_parts.rules(), rows_of(journal), journal, seed))


@pytest.mark.parametrize("seed", range(6))
async def test_histories_exceptions_and_rules_that_look_at_alerts(seed: int) -> None:
    journal = crews(test_parts.plain_storm(seed) if seed % 2 else storm(seed, 50))
    corrects = (None, frozenset[str]())[seed % 2]
    stream = await lived(histories(), journal, corrects=corrects)
    run = past(histories(), rows_of(journal), journal, seed, corrects=corrects, attrs={"sensors": {"crew": "string"}})
    assert {alert.rule for alert in same(stream, run)} >= {"smoke", "many", "both"}


@pytest.mark.parametrize("name", [one.name for one in (*histories().rules, *test_parts.rules().rules)])
async def test_what_the_sieve_leaves_out_changes_nothing(name: str) -> None:
    journal = crews(storm(11, 60)) if name != "smoke" else test_parts.plain_storm(3)
    whole = histories() if name in {one.name for one in histories().rules} else test_parts.rules()
    rules_ = replace(whole, rules=tuple(one for one in whole.rules if one.name in _needed(name, whole)))
    corrects = frozenset[str]()
    journal = _uncorrected(journal)
    table, sieve = rows_of(journal), Sieve(rules_, corrects)
    stream = await lived(rules_, journal, corrects=corrects)
    kept = _sifted(table, sieve)
    run = past(rules_, kept, journal, 2, sieve.columns(["sensors"]), corrects=corrects, attrs={"sensors": {"crew": "string"}})
    run._facts._fetch = _fetch(table)  # evidence is read whole
    assert alerts_hash([alert for _, alert in run.alerts()]) == alerts_hash(stream.alerts)


def _fetch(table: Any) -> Any:
    from pastkit import fetching

    return fetching(table)


def _needed(name: str, whole: Plan) -> frozenset[str]:
    from tocsin.app.ruletests import needed

    return needed(name, whole.rules)


def _uncorrected(journal: Journal) -> Journal:
    for place, entry in enumerate(journal.entries):
        if entry.batch is not None:
            zeros = entry.batch.column("action").to_pylist()
            at = entry.batch.schema.get_field_index("action")
            import pyarrow as pa

            column = pa.array([0] * len(zeros), entry.batch.schema.field("action").type)
            journal.entries[place] = replace(entry, batch=entry.batch.set_column(at, entry.batch.schema.field("action"), column))
    return journal


def _sifted(table: Any, sieve: Sieve) -> Any:
    import numpy as np
    import pyarrow as pa
    from pastkit import one_batch

    batch = one_batch(table)
    mask = sieve.gate(batch)
    mask = np.zeros(len(table), np.bool_) if mask is None else mask
    finer = sieve.rows(batch)
    return pa.Table.from_batches([batch]).filter(pa.array(mask if finer is None else mask & finer))


def test_the_sieve_drops_what_no_rule_can_notice() -> None:
    journal = storm(4, 200)
    table = rows_of(journal)
    kept = _sifted(table, Sieve(plan(smoke_match()), frozenset()))
    values = [(row["kind"], row["value"]) for row in kept.to_pylist() if row["action"] == 0]
    assert values and set(values) == {("fire.smoke", 160.0)}
    assert len(kept) < len(table) / 2
    everything = Sieve(plan(rule("all", Match(Selector("fire", where=Compare("source", "==", "S-1"))))), None)
    assert len(_sifted(table, everything)) == len(table), "of feeds that may correct every event is kept"
