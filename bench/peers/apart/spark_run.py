"""Spark structured streaming, local[1]: stream-stream joins over 3 x 3 cells, a keyed state in Python for thresholds; a batch is a Parquet file.

    INTERPRETER -m bench.peers.apart.spark_run FOLDER

One query with everything; a micro-batch takes one file. Counting distinct sources is done per micro-batch: all pairs of an anchor come in
the micro-batch of the anchor. A last file with one event far in the future moves the watermark, so that pending absences are decided.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f

from bench.peers.apart.folder import Folder
from bench.peers.apart.sql import CX, CY, LEVELS, NEAR, pair_rows, widest

PAIRS = "rule int, mine int, low double, other int, least double, r double, w bigint, k int, cell int, strict int"
FOUND = "rule int, seq bigint, src int, k int"
BUCKETS = 8  # sources are kept in so many keys: one key a source would cost a call into Python for every event
SENTINEL = 7_200_000_000  # µs after the last event


def write_files(folder: Folder) -> Path:
    """One file a batch, and one with the event that ends it all."""
    path = folder.path / "events"
    path.mkdir()
    s = folder.stream
    columns = {"t": s.time, "src": s.source.astype(np.int32), "kind": s.kind.astype(np.int32), "v": s.value, "lon": s.lon, "lat": s.lat}
    seq = np.arange(len(s), dtype=np.int64)
    for number, (start, stop) in enumerate(folder.cuts()):
        _write(path, number, {"seq": seq[start:stop], **{name: column[start:stop] for name, column in columns.items()}})
    end = {"seq": seq[-1:] + 1, **{name: column[-1:] for name, column in columns.items()}}
    _write(path, len(folder.cuts()), end | {"t": s.time[-1:] + SENTINEL, "kind": np.array([-1], np.int32)})
    return path


def _write(path: Path, number: int, columns: dict[str, np.ndarray]) -> None:
    table = pa.table(columns).append_column("ts", pa.array(columns["t"]).cast(pa.timestamp("us", tz="UTC")))
    name = path / f"{number:06d}.parquet"
    pq.write_table(table, name)
    os.utime(name, (1_700_000_000 + number, 1_700_000_000 + number))  # the file source takes the oldest first


def session() -> SparkSession:
    return (
        SparkSession.builder.master("local[1]")
        .config("spark.sql.shuffle.partitions", 1)
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.memory", "4g")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.extraJavaOptions", "-Xss32m")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.streaming.numRecentProgressUpdates", 100_000)
        .getOrCreate()
    )


class Query:
    """One data frame with everything that is found: (rule, seq, src, k); k is how many distinct sources it takes."""

    def __init__(self, spark: SparkSession, folder: Folder, path: Path) -> None:
        self.spark, self.rules = spark, folder.rules
        schema = "seq bigint, t bigint, src int, kind int, v double, lon double, lat double, ts timestamp"
        read = spark.readStream.schema(schema).option("maxFilesPerTrigger", 1).option("latestFirst", "false")
        self.events = read.parquet(str(path))
        # filters are pushed below the watermark, so the event that ends it all has to pass them
        low = "WHEN -1 THEN -1e300D " + " ".join(
            f"WHEN {kind} THEN {value!r}D" for kind, value in enumerate(folder.floor.tolist()) if value < 1e300
        )
        seen = self.events.withWatermark("ts", "0 seconds").where(f"v >= CASE kind {low} END")
        self.seen = seen.withColumn("c", f.expr("cos(radians(lat))"))
        for cell in LEVELS:
            for axis, text in (("x", CX), ("y", CY)):
                exact = text.format(reach=1.01 * cell).replace("E0", "D")
                self.seen = self.seen.withColumn(f"{axis}{cell}", f.expr(exact).cast("int"))

    def found(self) -> DataFrame:
        """Few joins, because planning them again for every micro-batch costs more than running them."""
        parts = [self._match()] if self.rules["match"] else []
        pairs = self._pairs("cluster", 0) + self._pairs("sequence", 1)
        if pairs:
            near = f"w.ts BETWEEN a.ts - interval {widest(pairs)} seconds AND a.ts AND w.t>=a.t-a.w AND w.seq+a.strict<=a.seq"
            parts.append(self._joined(pairs, near, "inner").selectExpr("a.rule", "a.seq", "w.src", "a.k"))
        alone = self._pairs("absence", 0)
        if alone:
            near = f"w.ts BETWEEN a.ts AND a.ts + interval {widest(alone)} seconds AND w.t>a.t AND w.t<=a.t+a.w"
            parts.append(self._joined(alone, near, "leftOuter").where("w.seq IS NULL").selectExpr("a.rule", "a.seq", "0 AS src", "1 AS k"))
        return reduce(DataFrame.unionAll, parts)

    def _pairs(self, name: str, strict: int) -> list[tuple]:
        """Rules as rows of PAIRS. `strict`: the anchor does not count for itself; only a cluster counts sources."""
        rows = self.rules[name]
        pairs = zip(pair_rows(name, rows), (int(row[-1]) for row in rows), strict=True)
        return [(*pair[:-1], max(pair[-1], 1), cell, strict) for pair, cell in pairs]

    def _joined(self, rows: list[tuple], near: str, how: str) -> DataFrame:
        """Anchors (events with each rule they are asked of) joined with the events of the other kind in the 3 x 3 cells around, on both levels."""
        rules = f.broadcast(self.spark.createDataFrame(rows, PAIRS))
        anchors = self.seen.join(rules, (self.seen.kind == rules.mine) & (self.seen.v >= rules.low))
        x, y = (f"CASE cell WHEN 500 THEN {axis}500 ELSE {axis}2000 END" for axis in "xy")
        anchors = anchors.withColumn("x", f.expr(x)).withColumn("y", f.expr(y)).alias("a")
        cells = (f"struct({c} AS cell, x{c}+{i} AS x, y{c}+{j} AS y)" for c in LEVELS for i in (-1, 0, 1) for j in (-1, 0, 1))
        around = self.seen.withColumn("o", f.explode(f.expr(f"array({', '.join(cells)})"))).alias("w")
        return anchors.join(
            around,
            f.expr(
                f"a.other=w.kind AND a.cell=w.o.cell AND a.x=w.o.x AND a.y=w.o.y AND w.v>=a.least AND {NEAR.format(r='a.r').replace('E0', 'D')} AND {near}"
            ),
            how,
        )

    def _match(self) -> DataFrame:
        per_kind: dict[int, list[tuple]] = {}
        for rule, kind, high, low, n in self.rules["match"]:
            per_kind.setdefault(kind, []).append((rule, high, low, n))

        def step(key: Any, frames: Iterator[pd.DataFrame], state: Any) -> Iterator[pd.DataFrame]:
            runs = pickle.loads(state.get[0]) if state.exists else {}
            found = []
            events = pd.concat(list(frames)).sort_values("seq")
            for seq, src, kind, v in zip(*(events[name].tolist() for name in ("seq", "src", "kind", "v")), strict=True):
                for rule, high, low, n in per_kind.get(kind, ()):
                    on, run = runs.get((rule, src), (False, 0))
                    run = run + 1 if (v <= low if on else v >= high) else 0
                    if run >= n:
                        on, run = not on, 0
                        if on:
                            found.append((rule, seq, 0, 1))
                    if on or run or (rule, src) in runs:
                        runs[rule, src] = (on, run)
            state.update((pickle.dumps(runs),))
            yield pd.DataFrame(found, columns=["rule", "seq", "src", "k"])

        kinds = self.events.where(f.col("kind").isin(list(per_kind))).selectExpr("seq", "src", "kind", "v", f"src % {BUCKETS} AS bucket")
        return kinds.groupBy("bucket").applyInPandasWithState(step, FOUND, "runs binary", "append", "NoTimeout")


def main() -> None:
    folder = Folder(Path(sys.argv[1]))
    path = write_files(folder)
    os.environ["PYSPARK_PYTHON"] = sys.executable  # its Python workers run in this environment too
    spark = session()
    spark.sparkContext.setLogLevel("ERROR")
    answers: set[tuple[int, int]] = set()

    def sink(batch: DataFrame, number: int) -> None:
        groups = batch.groupBy("rule", "seq").agg(f.countDistinct("src").alias("n"), f.max("k").alias("k")).where("n >= k")
        answers.update((row.rule, row.seq) for row in groups.select("rule", "seq").collect())

    writer = Query(spark, folder, path).found().writeStream.foreachBatch(sink).option("checkpointLocation", str(folder.path / "checkpoint"))
    folder.ready()
    query = writer.trigger(availableNow=True).start()
    query.awaitTermination()
    folder.done()
    progress = [p for p in query.recentProgress if p.numInputRows]
    seconds = [p.durationMs["triggerExecution"] / 1e3 for p in progress][1:]  # the first holds planning and the first use of everything
    folder.answer(answers, seconds, version=f"Spark {spark.version}")
    spark.stop()


if __name__ == "__main__":
    main()
