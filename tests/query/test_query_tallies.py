"""Tallies: parts of an archive add up to the whole, and quantiles of what was counted are those of the numbers themselves."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from query_world import MONDAY, SmallArchive, row

from tocsin.model.archive import Look
from tocsin.model.asking import Filter, Patience, Refused, Tally
from tocsin.model.time import DAY, MINUTE
from tocsin.query.ask import Questions
from tocsin.query.engine import Engine
from tocsin.query.places import Places
from tocsin.query.reports.feeds import Declared, feeds
from tocsin.query.reports.responses import responses
from tocsin.query.tallies import counted, groups, merged, quantiles

PATIENCE = Patience(60.0)


class ByParts:
    """Asks every file and the tail by itself, each in words that travelled."""

    patience = PATIENCE
    mixed = False

    @contextmanager
    def session(self, _: Patience) -> Iterator[ByParts]:
        yield self

    def tallies(self, look: Look, wanted: Filter, tally: Tally) -> list[pa.Table]:
        files, wanted, tally = pickle.loads(pickle.dumps((look.files, wanted, tally)))
        return [counted((file,), None, wanted, tally, PATIENCE) for file in files] + [counted((), look.tail, wanted, tally, PATIENCE)]


def calls(seed: int, count: int) -> list[dict[str, Any]]:
    """Of three stations and two feeds; some without an instant of arrival, some that arrive before they were called, some learnt before they happened."""
    draw = random.Random(seed)
    rows = []
    for seq in range(count):
        at = MONDAY + draw.randrange(3 * DAY)
        arrived = f"2026-01-{5 + draw.randrange(3):02}T{draw.randrange(24):02}:{draw.randrange(60):02}:{draw.randrange(60):02}Z"
        attrs = draw.choice((f'{{"station":"{draw.randrange(3)}","arrived":"{arrived}"}}', '{"station":"1"}', None))
        late = draw.choice((0, 1, -1, -999, 1_500, draw.randrange(90 * MINUTE)))
        rows.append(row(seq, event_time=at, ingest_time=at + late, feed=draw.choice(("calls", "air")), attrs=attrs))
    return rows


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> SmallArchive:
    made, rows = SmallArchive(tmp_path_factory.mktemp("archive")), calls(3, 900)
    made.add(rows[:400])
    made.add(rows[400:600], drop=("severity",))
    made.add(rows[600:800])
    made.keep(rows[800:])
    return made


@pytest.mark.parametrize("span", [Filter(), Filter(MONDAY + DAY, MONDAY + 2 * DAY), Filter(feeds=("air",), kinds=("call",))])
def test_reports_of_parts_are_those_of_the_whole(archive: SmallArchive, engine: Engine, span: Filter) -> None:
    alone = Questions(archive, Places(), engine=engine)
    parts = Questions(archive, Places(), engine=cast(Engine, ByParts()))
    declared = {"calls": Declared(5 * MINUTE), "never": Declared(MINUTE)}
    for ask in (
        lambda asked: feeds(asked, span, declared, PATIENCE, MONDAY + 4 * DAY),
        lambda asked: responses(asked, span, "event_time", "arrived", "station", "America/Los_Angeles", PATIENCE),
    ):
        one, two = ask(alone), ask(parts)
        assert len(one.table) and two.table.equals(one.table)
        assert (two.notes, two.facts, two.units) == (one.notes, one.facts, one.units)
    for asked in (alone, parts):
        with pytest.raises(Refused, match="there are arrived, station; instants among them: arrived"):
            responses(asked, span, "event_time", "turned_out", "", "UTC", PATIENCE)


def test_a_part_of_a_millisecond_before_is_early(archive: SmallArchive, engine: Engine) -> None:
    found = feeds(Questions(archive, Places(), engine=engine), Filter(), {}, PATIENCE, MONDAY + 4 * DAY)
    early = sum(one["ingest_time"] < one["event_time"] for one in calls(3, 900))
    assert sum(found.table["early"].to_pylist()) == early > 200


def test_what_is_wanted_the_largest_of_is_that_of_all_parts() -> None:
    tally = Tally((), "", ("feed",), ("last",))
    parts = [pa.table({"feed": feed, "last": last, "n": [1] * len(feed)}) for feed, last in ((["b", "a"], [5, 2]), (["a"], [9]))]
    assert merged(parts, tally).to_pylist() == [{"feed": "a", "last": 9, "n": 2}, {"feed": "b", "last": 5, "n": 1}]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=60), st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_quantiles_are_those_of_the_numbers(numbers: list[int], shares: list[float]) -> None:
    values, counts = np.unique(np.array(numbers, np.int64), return_counts=True)
    found = quantiles(values, counts, shares)
    assert found == pytest.approx(np.quantile(np.array(numbers, float), shares).tolist(), rel=1e-9, abs=1e-3)
    assert all(values[0] <= one <= values[-1] for one in found)


def test_stretches_of_equal_keys() -> None:
    made = pa.table({"a": [None, "x", "x", "x", "y"], "b": [1, 1, 1, 2, 2], "n": [1, 2, 3, 4, 5]})
    assert [(key, some["n"].to_pylist()) for key, some in groups(made, ("a", "b"))] == [
        ((None, 1), [1]), (("x", 1), [2, 3]), (("x", 2), [4]), (("y", 2), [5]),
    ]  # fmt: skip
    assert not list(groups(made.slice(0, 0), ("a",)))
