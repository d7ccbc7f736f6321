"""DuckDB as a micro-batch engine: the window is a table, every batch is an insert and a few joins. One thread."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from bench.peers import Answer
from bench.peers.tables import LEVELS, floors, match_columns, rule_rows, span, spatial_columns
from bench.stream import METRES_PER_DEGREE, Stream
from tocsin.model.plan import Plan

NEAR = f"""power((w.lon-a.lon)*(w.c+a.c)*{0.5 * METRES_PER_DEGREE},2)+power((w.lat-a.lat)*{METRES_PER_DEGREE},2) <= r.r*r.r"""

CLUSTER = """
SELECT r.rule, a.seq FROM (SELECT b.*, b.x{L}+dx nx, b.y{L}+dy ny FROM batch b, o) a
JOIN cluster r ON r.kind=a.kind AND r.cell={L} AND a.v>=r.low
JOIN w ON w.kind=a.kind AND w.x{L}=a.nx AND w.y{L}=a.ny
WHERE w.seq<=a.seq AND w.v>=r.low AND w.t>=a.t-r.t AND {near}
GROUP BY r.rule, a.seq HAVING count(DISTINCT w.src)>=any_value(r.k)"""

SEQUENCE = """
SELECT DISTINCT r.rule, a.seq FROM (SELECT b.*, b.x{L}+dx nx, b.y{L}+dy ny FROM batch b, o) a
JOIN sequence r ON r.kb=a.kind AND r.cell={L} AND a.v>=r.lb
JOIN w ON w.kind=r.ka AND w.x{L}=a.nx AND w.y{L}=a.ny
WHERE w.seq<a.seq AND w.v>=r.la AND w.t>=a.t-r.t AND {near}"""

ABSENCE = """
SELECT DISTINCT p.rule, p.seq FROM due p ANTI JOIN (
  SELECT DISTINCT a.rule, a.seq FROM (SELECT d.*, d.x{L}+dx nx, d.y{L}+dy ny FROM due d, o WHERE d.cell={L}) a
  JOIN absence r ON r.rule=a.rule
  JOIN w ON w.kind=r.kb AND w.x{L}=a.nx AND w.y{L}=a.ny
  WHERE w.v>=r.lb AND w.t>a.t AND w.t<=a.t+r.t AND {near}) hit USING (rule, seq) WHERE p.cell={L}"""

#: Runs of equal class per (rule, source), carried over batches in `hs`: a run of n on-samples turns on unless it is on.
MATCH = """
CREATE OR REPLACE TEMP TABLE runs AS
WITH c AS (
  SELECT m.rule, e.src, e.seq, m.n, CASE WHEN e.v>=m.hi THEN 1 WHEN e.v<=m.lo THEN 2 ELSE 0 END cls
  FROM mbatch e JOIN match m USING (kind)),
l AS (SELECT c.*, s.cls scls, s.len slen, s.last slast,
        lag(c.cls) OVER p pcls FROM c LEFT JOIN hs s USING (rule, src) WINDOW p AS (PARTITION BY rule, src ORDER BY seq)),
g AS (SELECT *, sum(CASE WHEN cls IS DISTINCT FROM coalesce(pcls, scls) THEN 1 ELSE 0 END) OVER (PARTITION BY rule, src ORDER BY seq) grp FROM l),
n AS (SELECT *, row_number() OVER (PARTITION BY rule, src, grp ORDER BY seq) + CASE WHEN grp=0 THEN slen ELSE 0 END len FROM g),
t AS (SELECT *, CASE WHEN cls>0 AND len=n THEN cls END turn FROM n)
SELECT *, coalesce(last_value(turn IGNORE NULLS) OVER q, slast, 2) AS last,
  coalesce(last_value(turn IGNORE NULLS) OVER (PARTITION BY rule, src ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), slast, 2) AS before
FROM t WINDOW q AS (PARTITION BY rule, src ORDER BY seq)"""


class Duck:
    name = "duckdb"

    def __init__(self, plan: Plan) -> None:
        self.answers: Answer = set()
        self.rows = rule_rows(plan)
        self.floor = floors(self.rows)
        self.span = span(self.rows)
        self.kinds = np.array(sorted({row[1] for row in self.rows["match"]}))
        self.db = duckdb.connect(config={"threads": 1})
        self._tables()
        self.count = 0

    def _tables(self) -> None:
        run = self.db.execute
        cells = ", ".join(f"x{c:.0f} INT, y{c:.0f} INT" for c in LEVELS)
        run(f"CREATE TABLE w(seq BIGINT, t BIGINT, src INT, kind INT, v DOUBLE, lon DOUBLE, lat DOUBLE, c DOUBLE, {cells})")
        run("CREATE TABLE o AS SELECT * FROM (VALUES(-1),(0),(1)) a(dx),(VALUES(-1),(0),(1)) b(dy)")
        run("CREATE TABLE hs(rule INT, src INT, cls INT, len BIGINT, last INT)")
        run("CREATE TABLE match(rule INT, kind INT, hi DOUBLE, lo DOUBLE, n INT)")
        run("CREATE TABLE cluster(rule INT, kind INT, low DOUBLE, r DOUBLE, t BIGINT, k INT, cell INT)")
        for name in ("sequence", "absence"):
            run(f"CREATE TABLE {name}(rule INT, ka INT, la DOUBLE, kb INT, lb DOUBLE, r DOUBLE, t BIGINT, cell INT)")
        run(f"CREATE TABLE pending(rule INT, cell INT, due BIGINT, seq BIGINT, t BIGINT, lon DOUBLE, lat DOUBLE, c DOUBLE, {cells})")
        for name, rows in self.rows.items():
            if rows:
                run(f"INSERT INTO {name} SELECT * FROM (VALUES {', '.join(str(row) for row in rows)})")

    def _take(self, sql: str) -> None:
        self.answers.update(self.db.execute(sql).fetchall())

    def push(self, stream: Stream, start: int, stop: int) -> None:
        self.count += 1
        if len(self.kinds):
            self._match(stream, start, stop)
        columns = spatial_columns(stream, start, stop, self.floor)
        if len(columns["seq"]):
            batch = pa.table(columns)
            self.db.register("batch", batch)
            self.db.execute("INSERT INTO w SELECT * FROM batch")
            for cell in sorted({int(row[-1]) for name in ("cluster", "sequence") for row in self.rows[name]}):
                if any(int(row[-1]) == cell for row in self.rows["cluster"]):
                    self._take(CLUSTER.format(L=cell, near=NEAR))
                if any(int(row[-1]) == cell for row in self.rows["sequence"]):
                    self._take(SEQUENCE.format(L=cell, near=NEAR))
            if self.rows["absence"]:
                cells = ", ".join(f"x{c:.0f}, y{c:.0f}" for c in LEVELS)
                self.db.execute(
                    f"INSERT INTO pending SELECT rule, cell, b.t+r.t, seq, b.t, lon, lat, c, {cells} FROM batch b JOIN absence r ON r.ka=b.kind AND b.v>=r.la"
                )
        if self.rows["absence"]:
            self._due(int(stream.time[stop - 1]))
        if self.count % max(1, 20_000 // (stop - start)) == 0:
            self.db.execute("DELETE FROM w WHERE t<?", [int(stream.time[start]) - 2 * self.span])

    def _due(self, now: int) -> None:
        self.db.execute("CREATE OR REPLACE TEMP TABLE due AS SELECT * FROM pending WHERE due<?", [now])
        if self.db.execute("SELECT count(*) FROM due").fetchall()[0][0]:
            for cell in sorted({int(row[-1]) for row in self.rows["absence"]}):
                self._take(ABSENCE.format(L=cell, near=NEAR))
            self.db.execute("DELETE FROM pending WHERE due<?", [now])

    def _match(self, stream: Stream, start: int, stop: int) -> None:
        columns = match_columns(stream, start, stop, self.kinds)
        if not len(columns["seq"]):
            return
        self.db.register("mbatch", pa.table(columns))
        self.db.execute(MATCH)
        self._take("SELECT rule, seq FROM runs WHERE turn=1 AND before=2")
        self.db.execute(
            "CREATE OR REPLACE TEMP TABLE fresh AS SELECT rule, src, last(cls ORDER BY seq) cls, last(len ORDER BY seq) len, "
            "last(last ORDER BY seq) last FROM runs GROUP BY rule, src"
        )
        self.db.execute("DELETE FROM hs USING fresh f WHERE hs.rule=f.rule AND hs.src=f.src")
        self.db.execute("INSERT INTO hs SELECT * FROM fresh WHERE cls<>0 OR last<>2")

    def finish(self) -> None:
        if self.rows["absence"]:
            self._due(1 << 62)
