"""Batches to columns: codes, canonical units, clamped times, what is repaired, and which predicates are asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runkit import LAT, LON, T0, batch, plan, rule, smoke

from tocsin.correlate.codebook import CodeBook, selectors
from tocsin.correlate.units_columns import UNKNOWN_DIMENSION
from tocsin.model.ids import event_seq
from tocsin.model.plan import Absence, Active, Match, Plan
from tocsin.model.predicate import Compare, Expr, Selector
from tocsin.model.time import SECOND


class Codes:
    """Hands out codes as the engine does."""

    def __init__(self, predicates: tuple[Expr, ...] = ()) -> None:
        self.predicates = predicates
        self.words = max(1, -(-len(predicates) // 64))
        self.kinds: dict[tuple[str, str | None], int] = {}
        self.sources: dict[tuple[str, str | None], int] = {}

    def kind_code(self, kind: str, dimension: str | None) -> int:
        return self.kinds.setdefault((kind, dimension), len(self.kinds))

    def source_code(self, feed: str, source: str | None) -> int:
        return self.sources.setdefault((feed, source), len(self.sources))

    def hears(self, _kind: str) -> bool:
        return True


def book(*, predicates: tuple[Expr, ...] = (), rules: Plan | None = None, skews: dict[str, int] | None = None) -> tuple[CodeBook, Codes]:
    codes = Codes(predicates)
    return CodeBook(codes, rules or plan(), skews), codes


names = st.one_of(st.none(), st.sampled_from(["a", "b", "c"]))
units = st.sampled_from([None, "ug/m3", "mg/m3", "Cel", "{magnitude}", "furlong/fortnight"])
rows = st.fixed_dictionaries(
    {
        "id": st.just("x"),
        "feed": st.sampled_from(["one", "two"]),
        "kind": st.sampled_from(["fire.smoke", "water.level", "call"]),
        "source": names,
        "value": st.one_of(st.none(), st.just(float("nan")), st.floats(-50, 500)),
        "unit": units,
        "lon": st.one_of(st.none(), st.just(float("nan")), st.floats(-400, 400)),
        "lat": st.one_of(st.none(), st.floats(-200, 200)),
        "event_time": st.integers(T0 - 60 * SECOND, T0 + 90 * SECOND),
        "valid_until": st.one_of(st.none(), st.none(), st.integers(T0, T0 + SECOND)),
    }
)
CONVERT = {
    None: (None, 1.0, 0.0),
    "ug/m3": ("mass concentration", 1e-9, 0.0),
    "mg/m3": ("mass concentration", 1e-6, 0.0),
    "Cel": ("temperature", 1.0, 273.15),
}


@settings(max_examples=100, deadline=None)
@given(st.lists(rows, min_size=0, max_size=12), st.integers(0, 5))
def test_every_row_is_encoded_as_it_would_be_alone(events: list[dict[str, Any]], cut: int) -> None:
    cut = min(cut, len(events))
    encoder, codes = book(skews={"two": 60 * SECOND})
    columns = encoder.columns(batch(events).slice(cut), T0, 7)
    kinds, sources = {code: key for key, code in codes.kinds.items()}, {code: key for key, code in codes.sources.items()}
    for i, row in enumerate(events[cut:]):
        dimension, factor, offset = CONVERT.get(row["unit"], (None, float("nan"), 0.0))
        if row["unit"] == "{magnitude}":
            dimension, factor = kinds[columns.kind[i]][1], 1.0
            assert dimension not in (None, UNKNOWN_DIMENSION)
        if row["unit"] == "furlong/fortnight":
            dimension = UNKNOWN_DIMENSION
        assert kinds[columns.kind[i]] == (row["kind"], dimension)
        assert sources[columns.source[i]] == (row["feed"], row["source"])
        assert (
            (columns.valid_until is None)
            if not any(row["valid_until"] for row in events[cut:])
            else columns.valid_until[i] == (row["valid_until"] or -1)
        )
        value = float("nan") if row["value"] is None else row["value"] * factor + offset
        assert columns.value[i] == (value if np.isfinite(value) else -np.inf)
        on_globe = None not in (row["lon"], row["lat"]) and abs(row["lon"]) <= 180 and abs(row["lat"]) <= 90
        assert (
            (columns.lon[i], columns.lat[i]) == (row["lon"], row["lat"])
            if on_globe
            else np.isnan(columns.lon[i]) and np.isnan(columns.lat[i])
        )
        assert columns.time[i] == min(row["event_time"], T0 + (60 if row["feed"] == "two" else 30) * SECOND)
        assert columns.seq[i] == event_seq(7, i)
    assert len(columns.seq) == len(events) - cut


def test_what_is_repaired_is_counted() -> None:
    encoder, _ = book()
    encoder.columns(
        batch(
            [
                smoke("early", 31),
                smoke("edge", 30),
                smoke("off", 0, lat=95.0),
                smoke("nowhere", 0, lon=None),
                smoke("odd", 0, unit="wibble"),
                smoke("odd", 0, unit="wibble"),
            ]
        ),
        T0,
        1,
    )
    repairs = encoder.repairs
    assert repairs.clamped_times == {"sensors": 1}
    assert (repairs.clamped_times.total(), repairs.bad_coordinates, repairs.unknown_units) == (1, 1, 2)


def test_a_long_dictionary_of_which_little_is_used() -> None:
    full = batch([smoke(f"S-{i}", 0) for i in range(500)])
    encoder, codes = book()
    columns = encoder.columns(full.slice(490, 3), T0, 1)
    assert codes.sources == {("sensors", "S-490"): 0, ("sensors", "S-491"): 1, ("sensors", "S-492"): 2}
    assert columns.source.tolist() == [0, 1, 2]


def test_predicates_become_bits_across_words_and_only_for_kinds_that_ask() -> None:
    predicates = tuple(Compare("source", "==", f"S-{i}") for i in range(70))
    asked = [rule(f"r{i}", Match(Selector("fire" if i < 69 else "water", where=predicate))) for i, predicate in enumerate(predicates)]
    encoder, _ = book(predicates=predicates, rules=plan(*asked))
    bits = encoder.columns(batch([smoke(name, 0) for name in ("S-0", "S-63", "S-64", "S-69", "other")]), T0, 1).bits
    assert bits.shape == (5, 2)
    assert bits.tolist() == [[1, 0], [1 << 63, 0], [0, 1], [0, 0], [0, 0]]
    assert encoder.columns(batch([smoke("S-69", 0, kind="water.level")]), T0, 1).bits.tolist() == [[0, 1 << 5]]


def test_selectors_of_a_rule_include_its_exceptions() -> None:
    permit = Selector("ops.burn_permit")
    found = selectors(rule("r", Absence(Selector("a"), Selector("b"), 1.0, 1), unless=(Active(permit, 1.0, 1),)))
    assert [selector.kind for selector in found] == ["a", "b", "ops.burn_permit"]


def test_codes_are_asked_again_after_a_restore() -> None:
    encoder, codes = book()
    encoder.columns(batch([smoke("a", 0)]), T0, 1)
    codes.sources.clear()
    codes.sources["sensors", "other"] = 0
    encoder.reset()
    assert encoder.columns(batch([smoke("a", 0)]), T0, 1).source.tolist() == [1]


def test_more_rows_than_a_seq_can_number_are_refused() -> None:
    row = batch([smoke("a", 0)])
    many = pa.Table.from_batches([row] * 2).to_batches()[0]
    huge = many.take(pa.array(np.zeros((1 << 20) + 1, np.int32)))
    with pytest.raises(ValueError, match="journal message 3 has 1048577 events"):
        book()[0].columns(huge, T0, 3)


def test_coordinates_on_the_edge_of_the_globe_stay() -> None:
    columns = book()[0].columns(batch([smoke("a", 0, lon=180.0, lat=-90.0), smoke("b", 0, lon=LON, lat=LAT)]), T0, 1)
    assert columns.lon.tolist() == [180.0, LON]
    assert columns.lat.tolist() == [-90.0, LAT]
