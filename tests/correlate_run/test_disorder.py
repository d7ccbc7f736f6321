"""Samples out of order, and kinds under prefixes, against the plain way."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.correlate.horizon import under
from tocsin.correlate.reconcile.disorder import Newest, Prefixes
from tocsin.model.predicate import covers

SAMPLES = st.lists(st.lists(st.tuples(st.integers(-2, 3), st.integers(1, 9)), min_size=1, max_size=12), max_size=6)
NAMES = st.text("ab.", max_size=5)


@settings(deadline=None)
@given(SAMPLES)
def test_each_sample_is_held_against_the_newest_of_its_series(batches: list[list[tuple[int, int]]]) -> None:
    newest, known = Newest(), dict[int, int]()
    for batch in batches:
        wanted = []
        for series, time in batch:
            before = known.get(series, time)
            wanted.append(before if time < before else 0)
            known[series] = max(before, time)
        series, times = (np.array(column, np.int64) for column in zip(*batch, strict=True))
        assert newest.take(series, times).tolist() == wanted


@settings(deadline=None)
@given(st.frozensets(NAMES, max_size=4), NAMES)
def test_a_kind_is_under_a_prefix_that_covers_it(prefixes: frozenset[str], kind: str) -> None:
    covering = [prefix for prefix in prefixes if covers(prefix, kind)]
    assert under(prefixes, kind) == bool(covering)
    number = Prefixes(prefixes).number(kind)
    assert (sorted(prefixes)[number] if number >= 0 else None) == min(covering, default=None)
