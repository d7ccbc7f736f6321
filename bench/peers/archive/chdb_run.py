"""chDB: the rows in a MergeTree of its own, sorted by tile, kind, source and time as our files are; made before the questions, in the time to be ready."""

from __future__ import annotations

import json
from typing import Any

import chdb
from chdb.session import Session

from bench.peers.archive import sql
from bench.peers.archive.driver import Job, main


class Engine:
    alone = True
    note = "MergeTree ORDER BY (tile, kind, source, event_time), loaded from the same file before"

    def __init__(self, job: Job) -> None:
        self.version = f"chDB {chdb.__version__}"
        self._db = Session(f"{job['folder']}/chdb")
        for setting in (f"max_threads = {job['threads']}", "max_memory_usage = 4000000000", "max_bytes_before_external_sort = 1000000000"):
            self._db.query(f"SET {setting}")
        self._db.query("CREATE DATABASE IF NOT EXISTS d ENGINE = Atomic")
        self._db.query(
            "CREATE TABLE d.events ENGINE = MergeTree ORDER BY (tile, kind, source, event_time) SETTINGS allow_nullable_key = 1 AS "
            f"SELECT *, bitShiftRight(assumeNotNull(cell), 4) AS tile FROM file('{job['file']}', Parquet) SETTINGS max_threads = {job['threads']}, max_insert_threads = 1"
        )
        instant = "fromUnixTimestamp64Micro(toInt64({us}), 'UTC')"
        micros = "toUnixTimestamp64Micro(assumeNotNull(event_time))"
        self._dialect = sql.Dialect(instant, micros, "intDiv({a}, {b})", "tile", "d.events")

    def _asked(self, statement: str) -> dict[str, list[Any]]:
        columns: dict[str, list[Any]] = json.loads(str(self._db.query(statement, "JSONColumns")))
        return columns

    def ask(self, how: str, q: dict[str, Any]) -> list[int]:
        if how in sql.ROWS:
            found = self._asked(sql.rows(self._dialect, how, q))["n"]
            return [len(found), sum(map(int, found))]
        counts = list(map(int, self._asked(sql.tiles(self._dialect) if how == "tiles" else sql.groups(self._dialect, how, q))["c"]))
        return counts[:1] if how == "tiles" else sql.answer_of_groups(counts)


if __name__ == "__main__":
    main(Engine)
