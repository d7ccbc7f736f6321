"""The flat table against a dict."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.feeds import idtable, scan_doors
from tocsin.feeds.idtable import IdTable

#: Few distinct keys that share their low bits, so that probing collides all the time.
KEYS = st.integers(1, 40).map(lambda n: (n % 3 + 1) | n << 32)
CALLS = st.lists(st.dictionaries(KEYS, st.integers(1, 2**32 - 1), max_size=12), max_size=12)


@pytest.fixture(
    params=[(16_384, 16, 1 << 16), (1, 1, 1 << 16), (3, 2, 1 << 16), (3, 2, 4)],
    ids=["at once", "slowly", "a little faster", "into memory made beside it"],
    autouse=True,
)
def _pace(request, monkeypatch):
    """How fast a table that grows is moved: with the small ones most calls find it half moved. And from which size on a thread makes the larger one."""
    monkeypatch.setattr(idtable, "_SMALL", request.param[2])
    monkeypatch.setattr(idtable, "_LEAST", request.param[0])
    monkeypatch.setattr(idtable, "_STEP", request.param[1])


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def _search(request, monkeypatch):
    """Both ways of finding slots."""
    if request.param == "compiled":
        scan_doors.LIBRARY.load()
    else:
        monkeypatch.setattr(idtable, "_seek", idtable._seek_slowly)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CALLS)
def test_table_answers_like_a_dict(calls):
    table, oracle = IdTable(slots=4), {}
    for call in calls:
        table.put(np.array(list(call), np.uint64), np.array(list(call.values()), np.uint32))
        oracle.update(call)
        asked = np.array([*oracle, 99 << 40], np.uint64)
        assert table.find(asked).tolist() == [*oracle.values(), 0]
        assert table.count == len(oracle)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(KEYS, min_size=1, max_size=12), max_size=12))
def test_of_equal_keys_in_one_call_the_first_counts(calls):
    table, oracle = IdTable(slots=4), {}
    for number, keys in enumerate(calls):
        values = np.arange(1, len(keys) + 1, dtype=np.uint32) + 100 * number
        slots, known = table.look(np.array(keys, np.uint64))
        assert known.tolist() == [oracle.get(key, 0) for key in keys]
        slots, twice = table.enter(np.array(keys, np.uint64), slots, np.where(known == 0, values, known))
        assert twice == (len(set(keys)) < len(keys))
        oracle |= {key: int(value) for key, value in reversed(list(zip(keys, values, strict=True))) if key not in oracle}
        assert table.find(np.array(keys, np.uint64)).tolist() == [oracle[key] for key in keys]
        table.write(slots, table.find(np.array(keys, np.uint64)))
        assert table.count == len(oracle)
        assert table.find(np.array(list(oracle), np.uint64)).tolist() == list(oracle.values())


def test_an_empty_table_in_used_memory_knows_nothing():
    used, keys = IdTable(slots=64), np.arange(1, 30, dtype=np.uint64)
    used.put(keys, np.full(29, 7, np.uint32))
    table = IdTable.instead(used)
    assert table.array.size == used.array.size
    assert table.count == 0
    assert not table.find(keys).any()
    table.put(keys, np.full(29, 9, np.uint32))
    assert table.count == 29


def test_a_million_keys_stay_known_and_small():
    table = IdTable()
    keys = np.random.default_rng(1).permutation(np.arange(1, 1_000_001, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    for start in range(0, 1_000_000, 10_000):
        table.put(keys[start : start + 10_000], np.full(10_000, 7, np.uint32))
    assert table.count == 1_000_000
    assert (table.find(keys) == 7).all()
    assert not table.find(keys + np.uint64(1)).any() or (table.find(keys + np.uint64(1)) != 0).sum() < 5
    assert table._keys.nbytes + table._values.nbytes <= 26_000_000


def test_a_table_that_fills_up_has_its_larger_one_in_time(monkeypatch):
    monkeypatch.setattr(idtable, "_SMALL", 64)
    table, made = IdTable(slots=64), []
    monkeypatch.setattr(idtable, "_Larger", lambda slots, kind=idtable._Larger: made.append(slots) or kind(slots))
    for first in range(1, 200, 5):
        table.put(np.arange(first, first + 5, dtype=np.uint64), np.ones(5, np.uint32))
    assert made == [256, 512, 1024]  # four times 64, then twice; the last is not needed yet
    assert table.array.size == 512
    assert table.count == 200
