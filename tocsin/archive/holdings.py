"""The archive to those who read: one consistent look at the files and the hot tail, under a lease."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from tocsin.model.archive import ROLLUP, ROW, Look, StoredFile, Want
from tocsin.model.ids import event_seq

from . import hot
from .catalog import Catalog, Filed
from .leases import Leases
from .rollup import joined, roll, wanted_rollups
from .rows import encoded, wanted


class Archive:
    """`model.archive.Holdings` over a folder. For any number of threads and processes; while there is no archive, it is empty."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._leases = Leases(folder / "leases")
        self._catalog: Catalog | None = None

    @contextlib.contextmanager
    def look(self, want: Want) -> Iterator[Look]:
        """Events of the day and month tiers and the hot tail. Raises Fatal for an archive of a newer version."""
        with self._moment(want, ("day", "month")) as (files, damaged, tail, reached):
            rows = encoded(wanted(hot.rows_of(tail), want)) if tail else ROW.empty_table()
            yield Look([one.file for one in files], rows, _last_seq(reached), [one.file for one in damaged], reached.clock)

    @contextlib.contextmanager
    def rollup(self, want: Want, step: str) -> Iterator[Look]:
        """`step`: `hourly` or `daily`. Buckets are chosen by their start; a box chooses files, not rows."""
        with self._moment(want, (step,)) as (files, damaged, tail, reached):
            parts = [roll(one.table(), step) for one in tail]
            rows = wanted_rollups(joined(parts, step), want) if parts else ROLLUP.empty_table()
            yield Look([one.file for one in files], rows, _last_seq(reached), [one.file for one in damaged], reached.clock)

    @contextlib.contextmanager
    def _moment(self, want: Want, tiers: Iterable[str]) -> Iterator[tuple[list[Filed], list[Filed], list[hot.Batch], hot.Reached]]:
        catalog = self._opened()
        if catalog is None:
            yield [], [], [], hot.Reached(-1)
            return
        with self._leases.take() as lease:
            with catalog.moment() as connection:
                lease.at(catalog.get("generation"))
                found = catalog.find(want, tiers)
                tail = hot.batches(connection, want)
                reached = hot.Reached(catalog.get(hot.POSITION), catalog.get(hot.HEARD))
            yield [one for one in found if not one.damaged], [one for one in found if one.damaged], tail, reached

    def outline(self, file: StoredFile) -> bytes | None:
        """What its row groups hold, as bytes (`model/outline.py`); None where that is not known. While a look is open that has it."""
        catalog = self._opened()
        return None if catalog is None else catalog.outline(file)

    def _opened(self) -> Catalog | None:
        if self._catalog is None:
            with contextlib.suppress(FileNotFoundError):
                self._catalog = Catalog(self.folder, write=False)
        return self._catalog

    def close(self) -> None:
        if self._catalog is not None:
            self._catalog.close()


def _last_seq(reached: hot.Reached) -> int:
    """The highest `seq` there can be up to it; 0 of no archive."""
    return max(0, event_seq(reached.position + 1, 0) - 1)
