"""Polars as a micro-batch engine: the window is a frame, every batch a lazy join over 3 x 3 cells. One thread."""

from __future__ import annotations

import numpy as np
import polars as pl

from bench.peers import Answer
from bench.peers.tables import LEVELS, floors, match_columns, rule_rows, span, spatial_columns
from bench.stream import METRES_PER_DEGREE, Stream
from tocsin.model.plan import Plan

OFFSETS = pl.LazyFrame({"dx": [-1, -1, -1, 0, 0, 0, 1, 1, 1], "dy": [-1, 0, 1] * 3}, schema={"dx": pl.Int32, "dy": pl.Int32})
PAIR = {
    "rule": pl.Int32,
    "ka": pl.Int32,
    "la": pl.Float64,
    "kb": pl.Int32,
    "lb": pl.Float64,
    "r": pl.Float64,
    "span": pl.Int64,
    "cell": pl.Float64,
}
SCHEMAS = {
    "match": {"rule": pl.Int32, "kind": pl.Int32, "hi": pl.Float64, "lo": pl.Float64, "n": pl.Int32},
    "cluster": {
        "rule": pl.Int32,
        "kind": pl.Int32,
        "low": pl.Float64,
        "r": pl.Float64,
        "span": pl.Int64,
        "k": pl.Int32,
        "cell": pl.Float64,
    },
    "sequence": PAIR,
    "absence": PAIR,
}
HS = {"rule": pl.Int32, "src": pl.Int32, "cls": pl.Int32, "len": pl.Int64, "last": pl.Int32}


def near() -> pl.Expr:
    dx = (pl.col("lon_w") - pl.col("lon")) * (pl.col("c_w") + pl.col("c")) * (0.5 * METRES_PER_DEGREE)
    dy = (pl.col("lat_w") - pl.col("lat")) * METRES_PER_DEGREE
    return dx * dx + dy * dy <= pl.col("r") * pl.col("r")


class Pola:
    name = "polars"

    def __init__(self, plan: Plan) -> None:
        self.answers: Answer = set()
        rows = rule_rows(plan)
        self.floor, self.span = floors(rows), span(rows)
        self.kinds = np.array(sorted({row[1] for row in rows["match"]}))
        self.rules = {name: pl.DataFrame(part, schema=SCHEMAS[name], orient="row") for name, part in rows.items() if part}
        self.window: pl.DataFrame | None = None
        self.pending: pl.DataFrame | None = None
        self.hs = pl.DataFrame(schema=HS)

    def _take(self, found: pl.DataFrame) -> None:
        self.answers.update(zip(found["rule"].to_list(), found["seq"].to_list(), strict=True))

    def push(self, stream: Stream, start: int, stop: int) -> None:
        if len(self.kinds):
            self._match(stream, start, stop)
        columns = spatial_columns(stream, start, stop, self.floor)
        if len(columns["seq"]):
            batch = pl.DataFrame(columns)
            old = int(stream.time[start]) - 2 * self.span
            self.window = batch if self.window is None else pl.concat([self.window.filter(pl.col("t") >= old), batch])
            self._arrivals(batch)
            if "absence" in self.rules:
                fresh = batch.join(self.rules["absence"], left_on="kind", right_on="ka").filter(pl.col("v") >= pl.col("la"))
                fresh = fresh.with_columns(due=pl.col("t") + pl.col("span"))
                self.pending = fresh if self.pending is None else pl.concat([self.pending, fresh])
        if self.pending is not None:
            self._due(int(stream.time[stop - 1]))

    def _neighbours(self, events: pl.LazyFrame, cell: float, kind: str) -> pl.LazyFrame:
        """Events joined with the window's entries of kind `kind` in the 3 x 3 cells around them."""
        x, y = f"x{cell:.0f}", f"y{cell:.0f}"
        around = events.join(OFFSETS, how="cross").with_columns(nx=pl.col(x) + pl.col("dx"), ny=pl.col(y) + pl.col("dy"))
        return around.join(self.window.lazy(), left_on=[kind, "nx", "ny"], right_on=["kind", x, y], suffix="_w")

    def _arrivals(self, batch: pl.DataFrame) -> None:
        for cell in LEVELS:
            if "cluster" in self.rules:
                rules = self.rules["cluster"].filter(pl.col("cell") == cell)
                if len(rules):
                    events = batch.lazy().join(rules.lazy(), on="kind").filter(pl.col("v") >= pl.col("low"))
                    pairs = self._neighbours(events, cell, "kind").filter(
                        (pl.col("seq_w") <= pl.col("seq"))
                        & (pl.col("v_w") >= pl.col("low"))
                        & (pl.col("t_w") >= pl.col("t") - pl.col("span"))
                        & near()
                    )
                    found = pairs.group_by("rule", "seq").agg(pl.col("src_w").n_unique(), pl.col("k").first())
                    self._take(found.filter(pl.col("src_w") >= pl.col("k")).collect())
            if "sequence" in self.rules:
                rules = self.rules["sequence"].filter(pl.col("cell") == cell)
                if len(rules):
                    events = batch.lazy().join(rules.lazy(), left_on="kind", right_on="kb").filter(pl.col("v") >= pl.col("lb"))
                    pairs = self._neighbours(events, cell, "ka").filter(
                        (pl.col("seq_w") < pl.col("seq"))
                        & (pl.col("v_w") >= pl.col("la"))
                        & (pl.col("t_w") >= pl.col("t") - pl.col("span"))
                        & near()
                    )
                    self._take(pairs.select("rule", "seq").unique().collect())

    def _due(self, now: int) -> None:
        due = self.pending.filter(pl.col("due") < now)
        if not len(due):
            return
        self.pending = self.pending.filter(pl.col("due") >= now)
        for cell in LEVELS:
            part = due.filter(pl.col("cell") == cell)
            if len(part):
                hit = self._neighbours(part.lazy(), cell, "kb").filter(
                    (pl.col("v_w") >= pl.col("lb")) & (pl.col("t_w") > pl.col("t")) & (pl.col("t_w") <= pl.col("due")) & near()
                )
                hit = hit.select("rule", "seq").unique().collect()
                self._take(part.join(hit, on=["rule", "seq"], how="anti"))

    def _match(self, stream: Stream, start: int, stop: int) -> None:
        """Runs of equal class per (rule, source), carried over batches: a run of n on-samples turns on unless it is on."""
        columns = match_columns(stream, start, stop, self.kinds)
        if not len(columns["seq"]):
            return
        key = ["rule", "src"]
        value = pl.col("v")
        cls = pl.when(value >= pl.col("hi")).then(1).when(value <= pl.col("lo")).then(2).otherwise(0).cast(pl.Int32)
        runs = (
            pl.DataFrame(columns).lazy().join(self.rules["match"].lazy(), on="kind").with_columns(cls=cls)
            .join(self.hs.lazy(), on=key, how="left", suffix="_s").sort("seq")
            .with_columns(before=pl.col("cls").shift(1).over(key).fill_null(pl.col("cls_s")))
            .with_columns(grp=pl.col("cls").ne_missing(pl.col("before")).cast(pl.Int32).cum_sum().over(key))
            .with_columns(len=pl.int_range(1, pl.len() + 1).over([*key, "grp"]) + pl.when(pl.col("grp") == 0).then(pl.col("len")).otherwise(0))
            .with_columns(turn=pl.when((pl.col("cls") > 0) & (pl.col("len") == pl.col("n"))).then(pl.col("cls")))
            .with_columns(now=pl.col("turn").forward_fill().over(key).fill_null(pl.col("last")).fill_null(2))
            .with_columns(was=pl.col("now").shift(1).over(key).fill_null(pl.col("last")).fill_null(2))
            .collect()
        )  # fmt: skip
        self._take(runs.filter((pl.col("turn") == 1) & (pl.col("was") == 2)))
        fresh = runs.group_by(key).agg(pl.col("cls").last(), pl.col("len").last(), pl.col("now").last().alias("last")).cast(HS)
        kept = self.hs.join(fresh, on=key, how="anti")
        self.hs = pl.concat([kept, fresh.filter((pl.col("cls") != 0) | (pl.col("last") != 2))])

    def finish(self) -> None:
        if self.pending is not None:
            self._due(1 << 62)
