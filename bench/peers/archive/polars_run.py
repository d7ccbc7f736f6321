"""Polars, lazily on one Parquet file sorted by event time; its own expressions."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ["POLARS_MAX_THREADS"] = str(json.loads(Path(sys.argv[1]).read_text())["threads"])
import polars as pl

from bench.peers.archive import sql
from bench.peers.archive.driver import Job, main

WIDTH = {"hour": 3_600_000_000, "day": 86_400_000_000}


class Engine:
    alone = True
    note = "scan_parquet of one file sorted by event time"

    def __init__(self, job: Job) -> None:
        self.version = f"Polars {pl.__version__}"
        self._events = pl.scan_parquet(job["file"])

    def ask(self, how: str, q: dict[str, Any]) -> list[int]:
        if how in sql.ROWS:
            found = self._events.filter(self._where(how, q)).collect()
            return [len(found), int(found["n"].sum())]
        if how == "tiles":
            calls = self._events.filter(pl.col("kind").str.starts_with("call."))
            top = calls.group_by((pl.col("cell") // 16).alias("t")).agg(pl.len().alias("c")).sort("c", descending=True).limit(20).collect()
            return [int(top["c"][0])]
        return sql.answer_of_groups(self._groups(how, q).collect()["c"].to_list())

    def _groups(self, how: str, q: dict[str, Any]) -> pl.LazyFrame:
        bucket = (pl.col("event_time").dt.epoch("us") // WIDTH[q.get("step", "hour")]).alias("b")
        value = pl.col("value")
        amounts = [
            pl.len().alias("c"),
            value.count().alias("v"),
            value.sum().alias("total"),
            value.min().alias("low"),
            value.max().alias("high"),
        ]
        return self._events.filter(self._where(how, q)).group_by(bucket, q.get("split", "source")).agg(amounts)

    def _where(self, how: str, q: dict[str, Any]) -> pl.Expr:
        parts = [pl.lit(value=True)]
        start, stop = (q["at"] - sql.HALF, q["at"] + sql.HALF + 1) if how == "around" else (q["start"], q["stop"])
        if start is not None:
            parts.append(pl.col("event_time") >= pl.lit(start, pl.Int64).cast(pl.Datetime("us", "UTC")))
        if stop is not None:
            parts.append(pl.col("event_time") < pl.lit(stop, pl.Int64).cast(pl.Datetime("us", "UTC")))
        if "box" in q:
            west, south, east, north = q["box"]
            parts += [pl.col("lon").is_between(west, east), pl.col("lat").is_between(south, north)]
        if how == "around":
            half_lat = ((pl.col("lat") - q["lat"]).radians() / 2).sin() ** 2
            half_lon = ((pl.col("lon") - q["lon"]).radians() / 2).sin() ** 2
            chord = half_lat + pl.lit(q["lat"]).radians().cos() * pl.col("lat").radians().cos() * half_lon
            parts.append(2 * sql.RADIUS * chord.sqrt().arcsin() <= sql.METRES)
        if how == "calls":
            parts += [pl.col("kind").str.starts_with("call."), pl.col("feed") == "calls"]
        if how == "by_hour":
            parts.append(pl.col("kind").str.starts_with("air."))
        if how == "history":
            parts += [pl.col("feed") == q["feed"], pl.col("source") == q["source"]]
        return pl.all_horizontal(parts)


if __name__ == "__main__":
    main(Engine)
