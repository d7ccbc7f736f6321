"""The correlation engine: a plan in, firings out, state in flat arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tocsin.model.plan import Plan
from tocsin.model.predicate import Expr

from .columns import Columns
from .firing import Firings


@dataclass(frozen=True, slots=True)
class Sizes:
    """Table sizes as powers of two: tests use tiny ones. Tables grow or report; nothing is lost silently."""

    ring: int = 17
    heads: int = 16
    sources: int = 14
    pending: int = 14


class Engine:
    """Runs a plan. Owns nothing but state; no I/O, no clock of its own."""

    def __init__(self, plan: Plan, sizes: Sizes = Sizes()) -> None:  # noqa: B008
        ...

    #: Distinct conditions besides `value >= number`, in bit order; the caller evaluates them per batch into `Columns.bits`.
    predicates: tuple[Expr, ...]
    words: int

    def kind_code(self, kind: str, dimension: str | None) -> int:
        """The code of (kind, dimension); a pair not seen before gets the next one."""
        raise NotImplementedError

    def push(self, columns: Columns, ingest: int) -> Firings:
        """Events of one journal entry, known together at `ingest` (city time µs); moves the clock to it first (deadlines fire)."""
        raise NotImplementedError

    def tick(self, clock: int) -> Firings:
        """Moves the journal clock; deadlines up to `clock - delay` fire."""
        raise NotImplementedError

    def snapshot(self) -> Mapping[str, Any]:
        """Everything needed to go on: numpy arrays and plain values (no objects)."""
        raise NotImplementedError

    def restore(self, state: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def counters(self) -> Mapping[str, int]:
        """Matches, entries stored, visited, overwritten inside a window (answers may be incomplete), state bytes ..."""
        raise NotImplementedError
