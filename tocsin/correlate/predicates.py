"""Conditions over a whole batch at once: an expression tree in, one boolean per event out.

Three-valued inside (true, false, not known), so that a null field passes nothing, not even under `not`; only a negated
`exists` passes on nulls. Columns that are dictionaries are decided once per distinct value and spread by their codes.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tocsin.model.predicate import And, Compare, Expr, Not
from tocsin.model.time import from_iso

Mask = NDArray[np.bool_]
Constant = float | str | bool | tuple[float | str, ...] | None

#: Fields of an event that a condition may name, besides `value` (canonical, see `View`) and `attrs.<name>`.
FIELDS: Final = ("severity", "source", "feed", "kind", "text", "id", "unit")
_ATTRS: Final = "attrs."
_NUMERIC: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARROW: Final = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


@dataclass(frozen=True, slots=True)
class Truth:
    """Per event: certainly true, certainly false; neither where a null makes it unknown."""

    yes: Mask
    no: Mask


@dataclass(frozen=True, slots=True)
class Leaf:
    """A column ready to compare: numbers as numpy, text as Arrow; `codes` when `data` holds a dictionary's distinct values."""

    data: Any
    numeric: bool
    valid: Mask | None = None
    codes: NDArray[np.intp] | None = None


class View:
    """One batch as conditions see it. `values`: canonical values, -inf where there is none; None when no unit was looked at."""

    def __init__(self, batch: pa.RecordBatch, values: NDArray[np.float64] | None = None) -> None:
        self.batch = batch
        self.rows = batch.num_rows
        self._values = values
        self._leaves: dict[str, Leaf | None] = {}
        self._truths: dict[Expr, Truth] = {}

    def leaf(self, field: str) -> Leaf | None:
        """The column of a field, None when this batch has no such field (then it is null everywhere)."""
        if field not in self._leaves:
            self._leaves[field] = self._find(field)
        return self._leaves[field]

    def truth(self, expr: Expr) -> Truth:
        """Decides a tree; equal subtrees of one batch are decided once."""
        known = self._truths.get(expr)
        if known is None:
            known = self._truths[expr] = self._decide(expr)
        return known

    def _find(self, field: str) -> Leaf | None:
        if field == "value" and self._values is not None:
            return Leaf(self._values, True, self._values != -np.inf)
        if field == "value" or field in FIELDS:
            return _leaf(self.batch.column(field))
        if field.startswith(_ATTRS) and "attrs" in self.batch.schema.names:
            return _attribute(self.batch.column("attrs"), field.removeprefix(_ATTRS))
        return None

    def _decide(self, expr: Expr) -> Truth:
        if isinstance(expr, Compare):
            return self._compare(expr)
        if isinstance(expr, Not):
            inner = self.truth(expr.term)
            return Truth(inner.no, inner.yes)
        terms = [self.truth(term) for term in expr.terms]
        conjunction = isinstance(expr, And)
        yes = _fold([term.yes for term in terms], self.rows, conjunction)
        no = _fold([term.no for term in terms], self.rows, not conjunction)
        return Truth(yes, no)

    def _compare(self, compare: Compare) -> Truth:
        leaf = self.leaf(compare.field)
        if compare.op == "exists":
            there = np.zeros(self.rows, np.bool_) if leaf is None else np.ones(self.rows, np.bool_) if leaf.valid is None else leaf.valid
            return Truth(there, ~there)
        hit = None if leaf is None else _hits(leaf, compare.op, compare.constant)
        if leaf is None or hit is None:
            nothing = np.zeros(self.rows, np.bool_)
            return Truth(nothing, nothing)
        if leaf.valid is None:
            return Truth(hit, ~hit)
        return Truth(hit & leaf.valid, ~hit & leaf.valid)


def evaluate(expr: Expr, batch: pa.RecordBatch | View) -> Mask:
    """One boolean per event of the batch; null fields and fields the feed does not have pass nothing.

    A constant of another type than the column (text against a number) passes nothing either: another feed's attribute of
    the same name must not stop the engine. Comparisons of `value` need a `View` with canonical values.
    """
    view = batch if isinstance(batch, View) else View(batch)
    return view.truth(expr).yes


def _fold(masks: list[Mask], rows: int, all_of: bool) -> Mask:
    if not masks:
        return np.full(rows, all_of)
    total = masks[0]
    for mask in masks[1:]:
        total = total & mask if all_of else total | mask
    return total


def _leaf(column: pa.Array) -> Leaf:
    valid = None if column.null_count == 0 else column.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_dictionary(column.type):
        codes = column.indices if valid is None else column.indices.fill_null(0)
        return Leaf(column.dictionary, False, valid, codes.to_numpy(zero_copy_only=False).astype(np.intp))
    if pa.types.is_string(column.type):
        return Leaf(column, False, valid)
    if pa.types.is_boolean(column.type):
        return Leaf((column if valid is None else column.fill_null(False)).to_numpy(zero_copy_only=False), True, valid)
    numbers = column.view(pa.int64()) if pa.types.is_timestamp(column.type) else column
    data = (numbers if valid is None else numbers.fill_null(0)).to_numpy(zero_copy_only=False)
    if data.dtype.kind == "f":
        finite = ~np.isnan(data)  # NaN is not a value: it would pass every `!=`
        valid = finite if valid is None else valid & finite
    return Leaf(data, True, valid)


def _attribute(attrs: pa.StructArray, name: str) -> Leaf | None:
    if attrs.type.get_field_index(name) < 0:
        return None
    return _leaf(pc.struct_field(attrs, [name]))


def _hits(leaf: Leaf, op: str, constant: Constant) -> Mask | None:
    """Which values pass, nulls aside; None when the comparison makes no sense for this column."""
    if op in ("in", "not in"):
        if not isinstance(constant, tuple):
            return None
        hit = _among(leaf, constant)
        return None if hit is None else ~hit if op == "not in" else hit
    if leaf.numeric:
        number = _number(leaf.data, constant)
        return None if number is None else np.asarray(_NUMERIC[op](leaf.data, number), np.bool_)
    if not isinstance(constant, str):
        return None
    return _spread(leaf, _ARROW[op](leaf.data, _scalar(constant)))


def _among(leaf: Leaf, constants: tuple[float | str, ...]) -> Mask | None:
    if leaf.numeric:
        numbers = [number for constant in constants if (number := _number(leaf.data, constant)) is not None]
        return np.isin(leaf.data, numbers) if numbers else None
    texts = tuple(constant for constant in constants if isinstance(constant, str))
    return _spread(leaf, pc.is_in(leaf.data, value_set=_texts(texts))) if texts else None


def _spread(leaf: Leaf, decided: pa.Array) -> Mask:
    """Decisions per distinct value (or per event) -> per event."""
    mask = (decided.fill_null(False) if decided.null_count else decided).to_numpy(zero_copy_only=False)
    if leaf.codes is None:
        return np.asarray(mask, np.bool_)
    return np.zeros(len(leaf.codes), np.bool_) if len(mask) == 0 else np.asarray(mask[leaf.codes], np.bool_)


def _number(data: NDArray[Any], constant: Constant) -> float | int | bool | None:
    if isinstance(constant, str) and data.dtype == np.int64:
        try:
            return from_iso(constant)  # a `time` attribute is compared with an instant as written
        except ValueError:
            return None
    if isinstance(constant, str | tuple) or constant is None or isinstance(constant, bool) != (data.dtype == np.bool_):
        return None
    return constant


@lru_cache(maxsize=65_536)
def _scalar(text: str) -> pa.Scalar:
    return pa.scalar(text)  # building one costs more than comparing a thousand rows with it


@lru_cache(maxsize=4096)
def _texts(texts: tuple[str, ...]) -> pa.Array:
    return pa.array(texts, pa.string())
