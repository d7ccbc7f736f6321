"""Which events of a history the rules can notice at all, and which columns of them: everything else need not be read.

What is left out changes nothing, by construction: events of kinds that no rule looks at, and of the others those whose value is below
every threshold, where the tables of the kernels and the histories say so themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.correlate.codebook import selectors
from tocsin.correlate.engine import Engine, Sizes
from tocsin.correlate.horizon import Horizon
from tocsin.correlate.parts.beside import parts_of
from tocsin.correlate.units_columns import canonical_values, dimension
from tocsin.model.plan import Inside, Plan, Sector, WarnedArea, Within
from tocsin.model.predicate import And, Compare, Expr, Not, Or, Selector, covers

#: Columns that every event needs.
ALWAYS: Final = ("seq", "event_time", "ingest_time", "feed", "kind", "source", "lon", "lat", "value", "unit", "action", "valid_until")
#: What is asked first of an event.
GATE: Final = ("kind", "feed", "action")
_SMALL: Final = Sizes(ring=3, heads=3, sources=2, pending=2)
_ATTRS: Final = "attrs."


class Sieve:
    """Of one plan. `corrects`: as `Correlator`'s; of those feeds every event is kept, because any may be corrected.

    `kinds`: dotted prefixes of what is looked at. `columns`: of ROW, in its order. `attrs`: names of attributes that are looked at.
    """

    def __init__(self, plan: Plan, corrects: frozenset[str] | None) -> None:
        self._engine = Engine(replace(plan, lateness=Horizon(plan).longest), _SMALL, corrects)
        self._corrects = corrects
        self._wholly = tuple(dict.fromkeys(part.of.kind for rule in plan.rules for _, part in parts_of(rule)))
        self.kinds = tuple(dict.fromkeys(of.kind for rule in plan.rules for of in selectors(rule) if not of.kind.startswith("alert.")))
        asked = asked_fields(plan)
        self.attrs = tuple(sorted(name.removeprefix(_ATTRS) for name in asked if name.startswith(_ATTRS)))
        self._always = (
            *ALWAYS,
            *(name for name in ("id", "text", "severity", "area") if name in asked),
            *(["attrs"] if self.attrs else []),
        )
        self._lowest: dict[tuple[str, str | None], float] = {}

    def columns(self, feeds: Iterable[str]) -> tuple[str, ...]:
        """What has to be read of a file with events of these feeds."""
        corrected = self._corrects is None or not self._corrects.isdisjoint(feeds)
        return tuple(dict.fromkeys((*self._always, *(("id", "refers_to") if corrected else ()))))

    def asks(self, kind: str) -> bool:
        """Whether any rule looks at a kind."""
        return any(covers(prefix, kind) for prefix in self.kinds)

    def gate(self, table: pa.RecordBatch) -> NDArray[np.bool_] | None:
        """Rows that may be kept, from the columns of GATE alone; None for none of them."""
        names, codes = _coded(table.column("kind"))
        wanted = np.array([self.asks(name) for name in names], np.bool_)
        feeds, of = _coded(table.column("feed"))
        kept = np.array([self._corrects is None or name in self._corrects for name in feeds], np.bool_)
        if not wanted.any() and not kept.any():
            return None
        mask = wanted[codes] if wanted.any() else np.zeros(len(codes), np.bool_)
        if kept.any():
            mask = mask | kept[of]
        return mask if mask.any() else None

    def rows(self, table: pa.RecordBatch) -> NDArray[np.bool_] | None:
        """Rows that any rule can notice; None for all."""
        kinds, kind_codes = _coded(table.column("kind"))
        units, unit_codes = _coded(table.column("unit"))
        pairs = kind_codes * len(units) + unit_codes
        present = np.flatnonzero(np.bincount(pairs, minlength=1))
        low = np.full(int(pairs.max(initial=0)) + 1, math.inf)
        low[present] = [self.lowest(kinds[pair // len(units)], units[pair % len(units)]) for pair in present.tolist()]
        if (low[present] == -math.inf).all():
            return None
        mask: NDArray[np.bool_] = canonical_values(table.column("value"), unit_codes, units) >= low[pairs]
        actions = table.column("action").to_numpy(zero_copy_only=False)
        if actions.any():
            mask |= actions != 0
        feeds, of = _coded(table.column("feed"))
        kept = np.array([self._corrects is None or name in self._corrects for name in feeds], np.bool_)
        return mask | kept[of] if kept.any() else mask

    def lowest(self, kind: str, unit: str | None) -> float:
        """The lowest value (in the canonical unit) at which an event matters; inf: never."""
        key = kind, unit
        known = self._lowest.get(key)
        if known is None:
            whole = any(covers(prefix, kind) for prefix in self._wholly)
            known = -math.inf if whole else self._engine.matters_from(self._engine.kind_code(kind, dimension(unit)))
            self._lowest[key] = known
        return known


def asked_fields(plan: Plan) -> frozenset[str]:
    """Fields of events that conditions, links and keys of the rules name, and `area` where areas are looked at."""
    found: set[str] = set()
    for rule in plan.rules:
        found.update(_named((rule.when, rule.unless, rule.only, rule.alert)))
    return frozenset(found)


def _named(node: Any) -> Iterator[str]:
    if isinstance(node, Selector):
        if node.where is not None:
            yield from _compared(node.where)
    elif isinstance(node, tuple):
        for item in node:
            yield from [item] if isinstance(item, str) and (item in {"id", "text"} or item.startswith(_ATTRS)) else _named(item)
    elif is_dataclass(node):
        if isinstance(node, Inside | WarnedArea | Within | Sector):
            yield "area"
        for one in fields(node):
            value = getattr(node, one.name)
            if isinstance(value, str) and (value in {"id", "text"} or value.startswith(_ATTRS)) and one.name not in {"text", "words"}:
                yield value
            else:
                yield from _named(value)


def _compared(expr: Expr) -> Iterator[str]:
    if isinstance(expr, Compare):
        yield expr.field
    elif isinstance(expr, Not):
        yield from _compared(expr.term)
    else:
        assert isinstance(expr, And | Or)
        for term in expr.terms:
            yield from _compared(term)


def _coded(column: pa.Array) -> tuple[list[Any], NDArray[np.intp]]:
    """Distinct values (None last when there are nulls, or nothing) and per row the index into them."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    names: list[Any] = column.dictionary.to_pylist()
    indices = column.indices
    if indices.null_count or not names:
        indices = indices.cast(pa.int32()).fill_null(len(names))
        names.append(None)
    return names, indices.to_numpy(zero_copy_only=False).astype(np.intp)
