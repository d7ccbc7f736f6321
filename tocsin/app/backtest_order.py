"""In which order a back-test takes events: as the journal had them, or as they happened, which is the only order that imported ones have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tocsin.correlate.codebook import selectors
from tocsin.kernel.fault import Fatal
from tocsin.model.archive import Holdings, StoredFile, Want
from tocsin.model.plan import Plan
from tocsin.model.predicate import covers

JOURNAL: Final = "journal"
TIME: Final = "time"
_COLUMNS: Final = ["seq", "event_time", "kind"]


def order_of(holdings: Holdings, plans: Iterable[Plan], start: int, stop: int) -> str:
    """`time` where imported events of a kind that the rules look at happened in [start, stop) (µs), else `journal`. Raises Fatal when a file cannot be read."""
    kinds = tuple({of.kind for plan in plans for rule in plan.rules for of in selectors(rule) if not of.kind.startswith("alert.")})
    return TIME if has_imported(holdings, start, stop, kinds) else JOURNAL


def has_imported(holdings: Holdings, start: int, stop: int, kinds: tuple[str, ...]) -> bool:
    """Whether there is any. `kinds`: dotted prefixes. Raises Fatal when a file cannot be read."""
    with holdings.look(Want(start=start, stop=stop, kinds=kinds, last=-1)) as look:
        return any(_holds(file, start, stop, kinds) for file in look.files)


def _holds(file: StoredFile, start: int, stop: int, kinds: tuple[str, ...]) -> bool:
    try:
        with pq.ParquetFile(file.path) as found:
            return any(_any(found.read_row_group(group, _COLUMNS), start, stop, kinds) for group in range(found.num_row_groups))
    except (OSError, pa.ArrowException) as fault:
        raise Fatal(f"{file.path} is damaged ({fault}); 'tocsin archive verify' says what can be had again") from None


def _any(table: pa.Table, start: int, stop: int, kinds: tuple[str, ...]) -> bool:
    time = table.column("event_time").cast(pa.int64())
    inside = pc.and_(pc.less(table.column("seq"), 0), pc.and_(pc.greater_equal(time, start), pc.less(time, stop)))
    names = pc.unique(table.filter(inside).column("kind").cast(pa.string())).to_pylist()
    return any(covers(prefix, name) for prefix in kinds for name in names)
