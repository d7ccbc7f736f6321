"""Every kernel that Python calls: there is a door for it, and every table can grow, be keyed again, and come back from a snapshot."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tocsin.correlate import kernels
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


def read_only(column: Any) -> Any:
    column.setflags(write=False)
    return column


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize(
    "form",
    [
        read_only,
        lambda column: np.repeat(column, 2, axis=0)[::2],
        lambda column: column.astype(column.dtype.newbyteorder(">")),
        lambda column: pickle.loads(pickle.dumps(column)),
        lambda column: column.astype(np.longlong) if column.dtype == "i8" else column,
        lambda column: column.astype("f4") if column.dtype == "f8" else column.astype("i2") if column.dtype == "i4" else column,
    ],
)
def test_columns_say_the_same_in_whatever_form_they_come(engine: Engine, form: Callable[[Any], Any], ends: bool) -> None:
    n = 50
    columns = Columns(
        np.arange(2, n + 2),
        np.arange(n) * 7,
        np.zeros(n, "i4"),
        np.zeros(n, "i4"),
        np.arange(n) / 8,
        np.arange(n) / 4,
        np.ones(n),
        np.zeros((n, engine.words), "u8"),
        np.arange(n) + 1000 if ends else None,
    )
    again = Engine(engine.plan)
    again.restore(engine.snapshot())
    formed = Columns(*(column if column is None else form(column) for column in columns[:9]))
    one, other = engine.push(columns, 1000), again.push(formed, 1000)
    assert len(one.rows) == n
    assert (one.rows.tobytes(), one.told.tobytes()) == (other.rows.tobytes(), other.told.tobytes())


def test_kernels_ask_a_table_for_its_size_and_go_through_it_themselves() -> None:
    """A `memory.view` has no length that `len` and slices could go by."""
    for path in Path(kernels.__file__).parent.glob("*.py"):
        if path.name != "layout.py":
            assert not re.search(r"\blen\(|\w\[[^\[\]]*:[^\[\]]*\]", path.read_text()), path.name
