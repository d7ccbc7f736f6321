"""The records of a message to `Decoded`: what passes becomes a row, what does not becomes a reject with its own bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from tocsin.kernel.fault import Skippable

from . import columns, mapping
from .contract import Decoded, Reject
from .mapping import Recipe
from .repair import effort
from .typed import TypedReader

#: A message of more records is refused as a whole, so that garbage cannot become millions of rejects at once.
MOST: Final = 200_000


def bounded(count: int) -> None:
    """Raises Skippable when a message has more than `MOST` records."""
    if count > MOST:
        raise Skippable(f"{count} records in one message; at most {MOST} are read, send several messages")


Numbers = npt.NDArray[np.int64]


class Records(Protocol):
    """A message cut into records, each still as it came. Numbers count from 0."""

    def __len__(self) -> int: ...

    def load(self, number: int, /) -> Any:
        """The record as plain Python values, new each time. Raises Skippable."""

    def raw(self, number: int, /) -> bytes:
        """The bytes of just this record, or the beginning of them."""

    def size(self, number: int, /) -> int:
        """How many bytes it had when `raw` is only the beginning, else 0."""

    def where(self, number: int, /) -> str:
        """Where it stands, for people: `line 3`."""


def decode(recipe: Recipe, records: Records) -> Decoded:
    """The careful way, record by record. Raises Skippable when there are too many."""
    bounded(len(records))
    rows, index, rejects = _carefully(recipe, records, range(len(records)))
    return _decoded(recipe, columns.from_rows(recipe, rows), index, rejects, len(records))


def decode_typed(recipe: Recipe, reader: TypedReader, records: Records, read: Sequence[Any]) -> Decoded:
    """The fast way. `read[i]`: record i as `reader.type`, or None when it could not be read as that."""
    count = len(read)
    bounded(count)
    at = np.arange(count)
    if None in read:
        at = np.flatnonzero([row is not None for row in read])
        read = [row for row in read if row is not None]
    ids = [_digest(recipe, records, int(number)) for number in at] if reader.makes_ids else None
    made, bad = reader.columns(read, ids)
    return decode_columns(recipe, records, made, at[~bad], at, count)


def decode_columns(recipe: Recipe, records: Records, made: columns.Columns, fine: Numbers, at: Numbers, count: int) -> Decoded:
    """Columns of the records `at`, of which those in `fine` count; all others of the `count` records go the careful way."""
    if len(fine) == count:
        return _decoded(recipe, made, range(count), (), count)
    doubtful = np.setdiff1d(np.arange(count), fine)
    rows, index, rejects = _carefully(recipe, records, (int(number) for number in doubtful))
    chosen = np.flatnonzero(np.isin(at, fine))
    kept: columns.Columns = [None if column is None else column.take(chosen) for column in made]
    merged = columns.interleave(kept, fine.tolist(), columns.from_rows(recipe, rows), index)
    return _decoded(recipe, merged, sorted([*fine.tolist(), *index]), rejects, count)


def _digest(recipe: Recipe, records: Records, number: int) -> str | None:
    try:
        record = records.load(number)
        recipe.drop_personal(record)
        return mapping.digest(record)
    except (Skippable, RecursionError):
        return None


def _carefully(recipe: Recipe, records: Records, which: Iterable[int]) -> tuple[list[list[Any]], list[int], list[Reject]]:
    rows: list[list[Any]] = []
    index: list[int] = []
    rejects: list[Reject] = []
    with effort():
        for number in which:
            try:
                rows.append(recipe.row(records.load(number)))
                index.append(number)
            except (Skippable, RecursionError) as fault:
                rejects.append(_reject(records, number, fault))
    return rows, index, rejects


def _reject(records: Records, number: int, fault: Exception) -> Reject:
    inside, reason = (fault.where, str(fault)) if isinstance(fault, Skippable) else ("", "nested too deeply")
    where = ", ".join(part for part in (records.where(number), inside) if part)
    return Reject(number, records.raw(number), reason, where, records.size(number))


def _decoded(recipe: Recipe, made: columns.Columns, index: Sequence[int], rejects: Sequence[Reject], count: int) -> Decoded:
    events = columns.batch(recipe, made, len(index))
    return Decoded(events, range(count) if len(index) == count else tuple(index), tuple(rejects))
