"""Whole columns of found values to canonical columns, and a mask of the rows that need a closer look.

Nothing here decides what is wrong with a record: rows in the mask are decoded again the careful way (`Recipe.row`), which gives the
reason. So a column may refuse more than it must, but must never accept what the careful way refuses, nor make another value of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.model.time import EARLIEST, LATEST

from . import times
from .columns import Columns
from .mapping import LAT, LON, REQUIRED, STORED, Field, Recipe
from .unfit import Unfit

Mask = npt.NDArray[np.bool_]
#: The values found for a field: a list as JSON has them, or an Arrow column.
Found = Callable[[Field], "list[Any] | pa.Array"]

_MEMO_TYPES: Final = frozenset({str, type(None)})
_REFUSED: Final = object()
# Made once: making a scalar of a Python value has Arrow look for pandas every time.
_EMPTY, _NO_TEXT, _ZERO = pa.scalar(""), pa.scalar(None, pa.string()), pa.scalar(0, pa.int32())


def build(recipe: Recipe, count: int, found: Found, ids: Sequence[str | None] | None = None) -> tuple[Columns, Mask]:
    """Every column of `count` records and the mask. `ids` are given when the records carry none."""
    bad = np.zeros(count, np.bool_)
    made: Columns = []
    for known in recipe.columns:
        if known.fixed:
            made.append(None)
            continue
        column = _column(known, found(known), bad) if known.reads() else pa.array(ids, pa.string())
        if known.name in REQUIRED and column.null_count:
            bad |= column.is_null().to_numpy(zero_copy_only=False)
        made.append(column)
    _check_place(recipe, made, bad)
    return made, bad


def filled(known: Field, holes: Sequence[list[Any]]) -> list[Any]:
    """A template's texts from the values of its holes; where one does not fit, a value that the field refuses."""
    made = []
    for values in zip(*holes, strict=True):
        try:
            made.append(known.fill(list(values)))
        except Unfit:
            made.append({})  # type: ignore[arg-type]
    return made


def values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """An Arrow column as Python values; what Python cannot hold (a time after the year 9999) as a value that no field takes."""
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError, KeyError):
        return [values(column.slice(at, 1))[0] for at in range(len(column))] if len(column) > 1 else [{}]


def _column(known: Field, found: list[Any] | pa.Array, bad: Mask) -> pa.Array:
    column = None
    if known.table is None:
        column = _from_arrow(known, found) if isinstance(found, pa.Array) else _from_list(known, found)
        if column is not None:
            return column if known.default is None else column.fill_null(known.default)
    plain = values(found) if isinstance(found, pa.Array) else found
    return pa.array(_one_by_one(known, plain, bad), STORED[known.type])


def _from_list(known: Field, found: list[Any]) -> pa.Array | None:
    """The whole column at once; None when some value needs a closer look."""
    try:
        return _VECTORS[known.type](known, found)
    except (KeyError, pa.ArrowException, OverflowError, UnicodeError, TypeError):
        return None


def _from_arrow(known: Field, found: pa.Array) -> pa.Array | None:
    """The same for an Arrow column that has the type of the field already, or one that widens to it."""
    if found.null_count == len(found):
        return pa.nulls(len(found), STORED[known.type])
    plain = found.dictionary_decode() if pa.types.is_dictionary(found.type) else found
    accepts = _ARROW.get(known.type)
    if accepts is None or not accepts(plain.type):
        return None
    try:
        return _ARROW_CHECKS.get(known.type, _as_is)(known, plain)
    except pa.ArrowException:
        return None


def _text(_: Field, found: list[Any]) -> pa.Array:
    if "" in found:
        found = [None if value == "" else value for value in found]
    return pa.array(found, pa.string())


def _number(_: Field, found: list[Any]) -> pa.Array | None:
    # a path that is read for a text as well may hold true, which Arrow would take for 1
    return None if bool in set(map(type, found)) else pa.array(found, pa.float64())


def _integer(_: Field, found: list[Any]) -> pa.Array | None:
    return pa.array(found, pa.int64()) if set(map(type, found)) <= {int, type(None)} else None


def _boolean(_: Field, found: list[Any]) -> pa.Array | None:
    return pa.array(found, pa.bool_()) if set(map(type, found)) <= {bool, type(None)} else None


def _time(known: Field, found: list[Any]) -> pa.Array | None:
    column = times.column(found, known.formats, known.zone)
    return None if column is None else _in_range(known, column)


def _in_range(known: Field, column: pa.Array) -> pa.Array | None:
    if column.null_count == len(column):
        return column
    if known.type == "until":
        column = pc.min_element_wise(column, LATEST, skip_nulls=False)
    bounds = pc.min_max(column)
    return column if bounds["min"].as_py() >= EARLIEST and bounds["max"].as_py() <= LATEST else None


_VECTORS: Final[Mapping[str, Callable[[Field, list[Any]], pa.Array | None]]] = {
    "string": _text,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "time": _time,
    "until": _time,
}


def _as_is(known: Field, plain: pa.Array) -> pa.Array:
    return plain.cast(STORED[known.type])


def _arrow_text(_: Field, plain: pa.Array) -> pa.Array:
    texts = plain.cast(pa.string())
    lengths = pc.min(pc.binary_length(texts))
    return texts if lengths != _ZERO else pc.if_else(pc.equal(texts, _EMPTY), _NO_TEXT, texts)


def _arrow_kind(known: Field, plain: pa.Array) -> pa.Array | None:
    try:
        for kind in plain.unique().to_pylist():
            if kind is None or known.convert(kind) != kind:
                return None
    except Unfit:
        return None
    return plain.cast(pa.string())


def _arrow_number(_: Field, plain: pa.Array) -> pa.Array | None:
    numbers = plain.cast(pa.float64())
    return numbers if pc.all(pc.is_finite(numbers)).as_py() is not False else None


def _arrow_level(known: Field, plain: pa.Array) -> pa.Array | None:
    bounds = pc.min_max(plain)
    most = {"severity": 4, "action": 2}[known.type]
    return plain.cast(pa.int8()) if (bounds["min"].as_py() or 0) >= 0 and (bounds["max"].as_py() or 0) <= most else None


def _arrow_time(known: Field, plain: pa.Array) -> pa.Array | None:
    if pa.types.is_floating(plain.type):
        return _arrow_epoch(known, plain)
    if not plain.type.tz or known.zone is not None:
        return None
    return _in_range(known, plain.cast(pa.timestamp("us", plain.type.tz)).cast(pa.int64()))


def _arrow_epoch(known: Field, plain: pa.Array) -> pa.Array | None:
    numbers = _arrow_number(known, plain)
    column = None if numbers is None else times.epoch_column(numbers, known.formats)
    return None if column is None else _in_range(known, column)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_floating(kind))


_ARROW: Final[Mapping[str, Callable[[pa.DataType], bool]]] = {
    "string": _is_text, "kind": _is_text, "number": _is_number, "integer": pa.types.is_integer, "boolean": pa.types.is_boolean, "time": _is_time,
    "until": _is_time, "severity": pa.types.is_integer, "action": pa.types.is_integer,
}  # fmt: skip
_ARROW_CHECKS: Final[Mapping[str, Callable[[Field, pa.Array], pa.Array | None]]] = {
    "string": _arrow_text, "kind": _arrow_kind, "number": _arrow_number, "severity": _arrow_level, "action": _arrow_level, "time": _arrow_time,
    "until": _arrow_time,
}  # fmt: skip


def _one_by_one(known: Field, found: list[Any], bad: Mask) -> list[Any]:
    """Each value through `Field.finish`, equal texts once; marks in `bad` what is refused."""

    def attempt(value: Any) -> Any:
        try:
            return known.finish(value)
        except Unfit:
            return _REFUSED

    if set(map(type, found)) <= _MEMO_TYPES:
        memo = {value: attempt(value) for value in set(found)}
        made = list(map(memo.__getitem__, found))
        if _REFUSED not in memo.values():
            return made
    else:
        made = [attempt(value) for value in found]
    for row, value in enumerate(made):
        if value is _REFUSED:
            bad[row] = True
            made[row] = None
    return made


def _check_place(recipe: Recipe, made: Columns, bad: Mask) -> None:
    lon, lat = (_numbers(made[at], recipe.fields[at].default, len(bad)) for at in (LON, LAT))
    missing = np.isnan(lon)
    bad |= missing != np.isnan(lat)
    bad |= ~missing & ~((np.abs(lon) <= 180) & (np.abs(lat) <= 90))
    bad |= (lon == 0) & (lat == 0)


def _numbers(column: pa.Array | None, constant: float | None, count: int) -> npt.NDArray[np.float64]:
    if column is None:
        return np.full(count, np.nan if constant is None else constant)
    numbers: npt.NDArray[np.float64] = column.to_numpy(zero_copy_only=False)
    return numbers
