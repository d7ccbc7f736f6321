"""DuckDB as this stage uses it: in memory, without files of its own, within a bound of memory and of time, in UTC."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import duckdb
import pyarrow as pa

from tocsin.model.archive import Look
from tocsin.model.asking import Filter, Patience, Stopped, Tally, TooSlow

from .footers import Told
from .straight import Straight

#: How often somebody who has gone is noticed, seconds.
_LOOK: Final = 0.05
#: Read by the engine at start; nothing is installed, loaded or fetched, nothing spills to disk.
_FIXED: Final[dict[str, Any]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
    "temp_directory": "",
    "preserve_insertion_order": False,
}


def open_database(threads: int, memory: int) -> duckdb.DuckDBPyConnection:
    """An empty database in memory. `memory`: bytes."""
    database = duckdb.connect(":memory:", config={**_FIXED, "threads": threads, "memory_limit": f"{memory >> 20}MiB"})
    database.execute("SET TimeZone = 'UTC'")
    database.execute("SET parquet_metadata_cache = true")
    return database


class Mixed(Exception):
    """Not all files have the columns that files have now."""


@dataclass(slots=True)
class Session:
    """A connection of its own for one question. `straight`: the way past it for what is small. `mixed`: files of older versions are among those it reads, so
    columns are looked up in each. `told`: gives what the archive knows of a file's row groups."""

    connection: duckdb.DuckDBPyConnection
    patience: Patience
    straight: Straight
    mixed: bool = False
    told: Told | None = None

    def table(self, sql: str, values: Sequence[Any] = ()) -> pa.Table:
        """Runs one statement. Raises TooSlow (time or memory), Stopped (whoever asked has gone), Mixed."""
        over = threading.Event()
        watch = threading.Thread(target=self._watch, args=(over,), daemon=True, name="question")
        watch.start()
        try:
            return self.connection.sql(sql, params=list(values)).to_arrow_table()
        except (duckdb.BinderException, duckdb.InvalidInputException) as fault:
            if self.mixed:
                raise
            raise Mixed(str(fault)) from fault
        except duckdb.InterruptException:
            if self.patience.given_up.is_set():
                raise Stopped("whoever asked has gone") from None
            raise TooSlow(f"it ran longer than {self.patience.seconds:g} s; ask for less time, a smaller place or fewer kinds") from None
        except duckdb.OutOfMemoryException:
            raise TooSlow("it needs more memory than a question may have; ask for less time, a smaller place or fewer kinds") from None
        finally:
            over.set()
            watch.join()

    def _watch(self, over: threading.Event) -> None:
        left = self.patience.seconds
        while not over.wait(_LOOK):
            left -= _LOOK
            if left <= 0 or self.patience.given_up.is_set():
                self.connection.interrupt()


class Elsewhere(Protocol):
    """A question that another engine answers, as far as it is a sum."""

    def sums(self, look: Look, wanted: Filter, keys: Sequence[tuple[str, int]], basis: str, more: str, most: int) -> tuple[pa.Table, str]:
        """As `amounts.grouped`: its table, and the statement in words of that engine. `keys`: name and measure; `most`: groups."""

    def tallies(self, look: Look, wanted: Filter, tally: Tally) -> list[pa.Table]:
        """What parts of a look say, as `tallies.counted`; at least one."""


class Engine:
    """One database; questions of several threads at a time. `threads`: cores it may use; `memory`: bytes for all questions together."""

    def __init__(self, threads: int = 2, memory: int = 1 << 30) -> None:
        self._database = open_database(threads, memory)
        self._straight = Straight(threads)

    @contextmanager
    def session(self, patience: Patience) -> Iterator[Session]:
        connection = self._database.cursor()
        try:
            connection.execute("SET TimeZone = 'UTC'")
            yield Session(connection, patience, self._straight)
        finally:
            connection.close()

    def close(self) -> None:
        self._straight.close()
        self._database.close()
