"""Tables that grow in place: what is in them stays where it is, new records are zeros, and one that outgrows its space keeps what it has."""

import numpy as np
import pytest
from correlate_harness import TINY, plan, rule

from tocsin.correlate.engine import Engine
from tocsin.correlate.room import Room
from tocsin.model.plan import Match
from tocsin.model.predicate import Selector

WORD = np.dtype(np.int64)


def test_growing_keeps_the_address_and_adds_zeros() -> None:
    room = Room(80)
    small = room.table(10, WORD)
    small[:] = 7
    large = room.table(100_000, WORD)
    assert large.ctypes.data == small.ctypes.data
    assert large.ctypes.data % 64 == 0
    assert large[:10].tolist() == [7] * 10
    assert not large[10:].any()


def test_a_room_lives_as_long_as_its_tables() -> None:
    table = Room(80).table(10, WORD)
    table[:] = 3
    assert table.sum() == 30


def test_no_address_space_is_said() -> None:
    with pytest.raises(MemoryError, match="address space"):
        Room(1 << 59)


def test_a_table_larger_than_its_space_moves_with_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.correlate.room._LEAST", 4096)
    memory = Engine(plan(rule(Match(Selector("a")))), TINY)._memory
    memory["pending"]["seq"] = np.arange(len(memory["pending"]))
    before = memory["pending"].copy()
    memory._lengthen(("pending",), 100_000)
    assert len(memory["pending"]) == 100_000
    assert (memory["pending"][: len(before)] == before).all()
    assert not memory["pending"][len(before) :]["seq"].any()
