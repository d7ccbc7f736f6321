"""DuckDB alone, on one Parquet file sorted by event time."""

from __future__ import annotations

from typing import Any

import duckdb

from bench.peers.archive import sql
from bench.peers.archive.driver import Job, main


class Engine:
    alone = True
    note = "read_parquet of one file sorted by event time"

    def __init__(self, job: Job) -> None:
        self.version = f"DuckDB {duckdb.__version__}"
        self._db = duckdb.connect(config={"threads": job["threads"], "memory_limit": "4GB"})
        self._db.execute("SET TimeZone = 'UTC'")
        self._db.execute("SET parquet_metadata_cache = true")
        self._dialect = sql.Dialect(
            "make_timestamptz({us})", "epoch_us(event_time)", "{a} // {b}", "cell >> 4", f"read_parquet('{job['file']}')"
        )

    def ask(self, how: str, q: dict[str, Any]) -> list[int]:
        if how in sql.ROWS:
            found = self._db.sql(sql.rows(self._dialect, how, q)).to_arrow_table()
            return [len(found), sum(found["n"].to_pylist())]
        if how == "tiles":
            return [int(self._db.sql(sql.tiles(self._dialect)).to_arrow_table()["c"][0].as_py())]
        return sql.answer_of_groups(self._db.sql(sql.groups(self._dialect, how, q)).to_arrow_table()["c"].to_pylist())


if __name__ == "__main__":
    main(Engine)
