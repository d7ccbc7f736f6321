"""The flat table against a dict."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.feeds.idtable import IdTable

#: Few distinct keys that share their low bits, so that probing collides all the time.
KEYS = st.integers(1, 40).map(lambda n: (n % 3 + 1) | n << 32)
CALLS = st.lists(st.dictionaries(KEYS, st.integers(1, 2**32 - 1), max_size=12), max_size=12)


@settings(deadline=None)
@given(CALLS)
def test_table_answers_like_a_dict(calls):
    table, oracle = IdTable(slots=4), {}
    for call in calls:
        table.put(np.array(list(call), np.uint64), np.array(list(call.values()), np.uint32))
        oracle.update(call)
        asked = np.array([*oracle, 99 << 40], np.uint64)
        assert table.find(asked).tolist() == [*oracle.values(), 0]
        assert table.count == len(oracle)


def test_a_million_keys_stay_known_and_small():
    table = IdTable()
    keys = np.random.default_rng(1).permutation(np.arange(1, 1_000_001, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    for start in range(0, 1_000_000, 10_000):
        table.put(keys[start : start + 10_000], np.full(10_000, 7, np.uint32))
    assert table.count == 1_000_000
    assert (table.find(keys) == 7).all()
    assert not table.find(keys + np.uint64(1)).any() or (table.find(keys + np.uint64(1)) != 0).sum() < 5
    assert table._keys.nbytes + table._values.nbytes <= 26_000_000
