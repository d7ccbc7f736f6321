"""Every kernel that Python calls: there is a door for it, and every table can grow, be keyed again, and come back from a snapshot."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.correlate.columns import Columns
from tocsin.correlate.engine import Engine
from tocsin.correlate.kernels import layout
from tocsin.correlate.kernels.doors import LIBRARY, refill
from tocsin.model.plan import AlertSpec, Match, Per, Plan, RulePlan
from tocsin.model.predicate import Selector


@pytest.fixture
def engine() -> Engine:
    """With an event that raised an alert."""
    alert = AlertSpec("", per=Per(hold=1, place=100.0))
    made = Engine(Plan((RulePlan("any", "0", "", "", Match(Selector("kind")), alert),)))
    kind, source = made.kind_code("kind", None), made.source_code("feed", "source")
    columns = Columns(
        seq=np.array([1], np.int64),
        time=np.array([0], np.int64),
        kind=np.array([kind], np.int32),
        source=np.array([source], np.int32),
        lon=np.array([0.0]),
        lat=np.array([0.0]),
        value=np.array([0.0]),
        bits=np.zeros((1, made.words), np.uint64),
    )
    assert len(made.push(columns, 1).rows) == 1
    return made


def test_every_door_leads_to_machine_code() -> None:
    for name in LIBRARY.specs:
        assert LIBRARY.address(name) > 0


@pytest.mark.parametrize("table", range(layout.FULL_RECENT, layout.FULL_STANDING + 1))
def test_every_table_grows(engine: Engine, table: int) -> None:
    before = engine.snapshot()
    engine._memory.grow(table)
    again = Engine(engine.plan)
    again.restore(engine.snapshot())
    for name, kept in again.snapshot().items():
        if name in {"hot", "more", "groups", "verdicts", "runs", "facts", "pending", "meta"}:
            assert np.array_equal(kept, before[name]), name


@pytest.mark.parametrize("name", ["track_states", "watched", "latest"])
def test_tables_by_key_are_keyed_again(engine: Engine, name: str) -> None:
    table = engine._memory[name]
    made = np.zeros(4, table.dtype)
    made["key"] = [-1, 7, -1, 9]
    larger = np.zeros(16, table.dtype)
    larger["key"] = -1
    refill(made, larger)
    assert sorted(larger["key"][larger["key"] >= 0]) == [7, 9]
    engine._memory.rekey(name, 2 * len(table))
    assert len(engine._memory[name]) == 2 * len(table)
