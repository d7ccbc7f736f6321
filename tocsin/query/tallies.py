"""How often values occur: what parts of an archive say of it adds up exactly, so that another engine may be asked part by part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.model.archive import Look, StoredFile
from tocsin.model.asking import Filter, Patience, Tally

from .amounts import needed
from .engine import Elsewhere, Engine, Mixed, Session
from .rows import as_written, from_clause
from .straight import near_of
from .where import where_of


def tallied(session: Session | Elsewhere, look: Look, wanted: Filter, tally: Tally) -> tuple[pa.Table, str]:
    """The keys of `tally`, ascending, what is wanted the largest of, and `n`; and the statement."""
    if not isinstance(session, Session):
        parts = session.tallies(look, wanted, tally)
        return merged(parts, tally), _statement(tally, "events")
    return _of(session, look.files, look.tail, wanted, tally)


def counted(files: Sequence[StoredFile], tail: pa.Table | None, wanted: Filter, tally: Tally, patience: Patience) -> pa.Table:
    """Of these files and rows alone, in a process that has nothing of the archive but them. Raises TooSlow, Stopped."""
    engine = Engine(threads=1)
    try:
        for mixed in (False, True):
            with engine.session(patience) as session:
                session.mixed = mixed
                try:
                    return _of(session, files, tail, wanted, tally)[0]
                except Mixed:
                    continue
    finally:
        engine.close()
    raise AssertionError("a mixed session does not say that it is one")


def merged(parts: Sequence[pa.Table], tally: Tally) -> pa.Table:
    """What parts say, as if they had been one. At least one part."""
    whole = pa.concat_tables(parts).group_by(list(tally.keys)).aggregate([*((name, "max") for name in tally.most), ("n", "sum")])
    whole = whole.rename_columns([*tally.keys, *tally.most, "n"])
    return whole.sort_by([(name, "ascending") for name in tally.keys])


def groups(table: pa.Table, keys: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], pa.Table]]:
    """Stretches of equal keys of a table that is sorted by them."""
    if not len(table):
        return
    codes = [table[name].combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy() for name in keys]
    edges = (np.flatnonzero(np.any([np.diff(one) != 0 for one in codes], axis=0)) + 1).tolist()
    for begin, end in zip((0, *edges), (*edges, len(table)), strict=True):
        yield tuple(table[name][begin].as_py() for name in keys), table.slice(begin, end - begin)


def quantiles(values: NDArray[np.int64], counts: NDArray[np.int64], shares: Sequence[float]) -> list[float]:
    """Of values that occur so often, ascending; between two neighbours in proportion (type 7 of Hyndman and Fan, 1996)."""
    reached = np.cumsum(counts)
    found = []
    for share in shares:
        place = share * float(reached[-1] - 1)
        low, high = (values[np.searchsorted(reached, int(edge), side="right")] for edge in (np.floor(place), np.ceil(place)))
        found.append(float(low) + float(high - low) * (place - np.floor(place)))
    return found


def _of(session: Session, files: Sequence[StoredFile], tail: pa.Table | None, wanted: Filter, tally: Tally) -> tuple[pa.Table, str]:
    where = where_of(wanted)
    rows = from_clause(session, files, tail, sorted({*tally.columns, *needed(wanted)}), near=near_of(wanted))
    filtered = f"(SELECT {', '.join(tally.columns)} FROM {rows} WHERE {where.sql})"  # noqa: S608
    table = session.table(_statement(tally, filtered), where.values)
    return table, _statement(tally, as_written(filtered, rows, "events", where.values))


def _statement(tally: Tally, events: str) -> str:
    """`events`: what is selected from."""
    names = ", ".join(tally.keys)
    most = "".join(f"max({name}) AS {name}, " for name in tally.most)
    return f"SELECT {names}, {most}count(*) AS n FROM ({tally.sql.replace('{events}', events)}) GROUP BY ALL ORDER BY {names}"  # noqa: S608
