"""Spark SQL, `local[threads]`, on one Parquet file sorted by event time."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession

from bench.peers.archive import sql
from bench.peers.archive.driver import Job, main


class Engine:
    alone = False

    def __init__(self, job: Job) -> None:
        self._spark = (
            SparkSession.builder.master(f"local[{job['threads']}]")
            .config("spark.sql.shuffle.partitions", job["threads"])
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.driver.memory", "3g")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.local.dir", job["folder"])
            .getOrCreate()
        )
        self._spark.sparkContext.setLogLevel("ERROR")
        self._spark.read.parquet(job["file"]).createOrReplaceTempView("events")
        self.version = f"Spark {self._spark.version}"
        self.note = f"local[{job['threads']}], one file sorted by event time"
        self._dialect = sql.Dialect("timestamp_micros({us})", "unix_micros(event_time)", "{a} div {b}", "shiftright(cell, 4)", "events")

    def ask(self, how: str, q: dict[str, Any]) -> list[int]:
        if how in sql.ROWS:
            found = [row.n for row in self._spark.sql(sql.rows(self._dialect, how, q)).collect()]
            return [len(found), sum(found)]
        counts = [
            row.c for row in self._spark.sql(sql.tiles(self._dialect) if how == "tiles" else sql.groups(self._dialect, how, q)).collect()
        ]
        return counts[:1] if how == "tiles" else sql.answer_of_groups(counts)


if __name__ == "__main__":
    main(Engine)
