"""Flink SQL on a local mini cluster, parallelism 1: interval joins over 3 x 3 cells on two grid levels, OVER windows for thresholds.

    INTERPRETER -m bench.peers.apart.flink_run FOLDER

Events come from a CSV file (the file source that needs no further jar), answers leave through the print connector. Parsing the CSV is in
the time measured, writing it is not. Flink works record by record, so there are no batches and no time per batch.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

from pyflink.table import EnvironmentSettings, TableEnvironment

from bench.peers.apart.folder import ROWS, Folder
from bench.peers.apart.sql import CX, CY, LEVELS, NEAR, pair_rows, widest

CONFIG = {
    "parallelism.default": "1",
    "taskmanager.numberOfTaskSlots": "1",
    "table.exec.source.idle-timeout": "0",
    "table.exec.mini-batch.enabled": "true",  # what Flink's guide advises for aggregations after joins
    "table.exec.mini-batch.allow-latency": "100 ms",
    "table.exec.mini-batch.size": "5000",
    "taskmanager.memory.managed.size": "256m",
}

EVENTS = """CREATE TABLE ev(seq BIGINT, t BIGINT, src INT, kind INT, v DOUBLE, lon DOUBLE, lat DOUBLE,
  ts AS TO_TIMESTAMP_LTZ(t / 1000, 3), WATERMARK FOR ts AS ts - INTERVAL '0.001' SECOND)
  WITH ('connector'='filesystem', 'path'='file://{path}', 'format'='csv')"""


def arrays(rows: list[tuple], kind_at: int) -> str:
    """Rules by kind as a CASE over arrays of rows: the way to join a stream with constants that keeps its time attribute."""
    by_kind: dict[int, list[tuple]] = {}
    for row in rows:
        by_kind.setdefault(row[kind_at], []).append(row)
    cases = []
    for kind, some in sorted(by_kind.items()):
        texts = (
            ", ".join(f"{value!r}E0" if isinstance(value, float) and "e" not in repr(value) else repr(value) for value in row)
            for row in some
        )
        cases.append(f"WHEN {kind} THEN ARRAY[{', '.join(f'ROW({text})' for text in texts)}]")
    return f"CASE kind {' '.join(cases)} END"


def match_sql(rows: list[tuple]) -> str:
    """A turn is the n-th sample in a row of one class; an alert is a turn on whose last turn was not on."""
    lags = ", ".join(f"LAG(cls, {i}) OVER p AS l{i}" for i in (1, 2, 3))
    runs = " OR ".join(
        f"(n={n} AND {' AND '.join([*(f'l{i}=cls' for i in range(1, n)), f'l{n} IS DISTINCT FROM cls'])})" for n in (1, 2, 3)
    )
    over = "(PARTITION BY rule, src ORDER BY ts)"
    return f"""SELECT rule, seq FROM (SELECT rule, seq, cls, LAG(cls, 1) OVER {over} AS was FROM (
      SELECT rule, src, seq, n, cls, ts, {lags} FROM (
        SELECT r.rule, src, seq, r.n, ts, CASE WHEN v>=r.hi THEN 1 WHEN v<=r.lo THEN 2 ELSE 0 END AS cls
        FROM ev CROSS JOIN UNNEST({arrays(rows, 1)}) AS r(rule, kind2, hi, lo, n)) WINDOW p AS {over})
      WHERE cls>0 AND ({runs})) WHERE cls=1 AND (was IS NULL OR was=2)"""


def views(env: TableEnvironment, floor: list[float]) -> None:
    """`seen`: events any spatial rule looks at, with their cells; `n500`, `n2000`: the same, once for each of the nine cells around."""
    low = " ".join(f"WHEN {kind} THEN {value!r}" for kind, value in enumerate(floor) if value < 1e300)
    low = re.sub(r"THEN (-?[\d.]+)(?= |$)", r"THEN \1E0", low)
    cells = ", ".join(f"CAST({CX.format(reach=1.01 * c)} AS INT) AS x{c}, CAST({CY.format(reach=1.01 * c)} AS INT) AS y{c}" for c in LEVELS)
    env.execute_sql(
        f"CREATE VIEW seen AS SELECT seq, t, src, kind, v, lon, lat, COS(RADIANS(lat)) AS c, ts, {cells} FROM ev WHERE v >= CASE kind {low} END"
    )
    nine = ", ".join(f"ROW({i}, {j})" for i in (-1, 0, 1) for j in (-1, 0, 1))
    for c in LEVELS:
        env.execute_sql(
            f"CREATE VIEW n{c} AS SELECT seq, t, src, kind, v, lon, lat, c, ts, x{c}+dx AS x, y{c}+dy AS y "
            f"FROM seen CROSS JOIN UNNEST(ARRAY[{nine}]) AS o(dx, dy)"
        )


def joined(rows: list[tuple], cell: int, how: str, interval: str, exact: str) -> str:
    """Anchors (events with each rule they are asked of) joined with the events of the other kind around them."""
    anchors = f"""(SELECT seq, t, ts, v, lon, lat, c, x{cell} AS x, y{cell} AS y, r.rule, r.other, r.least, r.r, r.w, r.k
      FROM seen CROSS JOIN UNNEST({arrays(rows, 1)}) AS r(rule, mine, low, other, least, r, w, k) WHERE v >= r.low)"""
    return f"""{anchors} a {how} n{cell} w ON a.other=w.kind AND a.x=w.x AND a.y=w.y AND w.ts BETWEEN {interval}
      AND w.v>=a.least AND {exact} AND {NEAR.format(r="a.r")}"""


def spatial_sql(rules: ROWS) -> list[str]:
    queries = []
    for cell in LEVELS:
        for name in ("cluster", "sequence", "absence"):
            rows = pair_rows(name, [row for row in rules[name] if int(row[-1]) == cell])
            if not rows:
                continue
            wide = f"INTERVAL '{widest(rows) // 60}:{widest(rows) % 60:02d}' MINUTE TO SECOND"
            before, after = f"a.ts - {wide} AND a.ts", f"a.ts AND a.ts + {wide}"
            if name == "cluster":
                pairs = joined(rows, cell, "JOIN", before, "w.seq<=a.seq AND w.t>=a.t-a.w")
                queries.append(f"SELECT a.rule, a.seq FROM {pairs} GROUP BY a.rule, a.seq HAVING COUNT(DISTINCT w.src) >= MAX(a.k)")
            elif name == "sequence":
                queries.append(f"SELECT DISTINCT a.rule, a.seq FROM {joined(rows, cell, 'JOIN', before, 'w.seq<a.seq AND w.t>=a.t-a.w')}")
            else:
                pairs = joined(rows, cell, "LEFT JOIN", after, "w.t>a.t AND w.t<=a.t+a.w")
                queries.append(f"SELECT a.rule, a.seq FROM {pairs} WHERE w.seq IS NULL")
    return queries


def printed(path: Path) -> set[tuple[int, int]]:
    """The rows that stand at the end of what the print connector wrote."""
    standing: dict[tuple[int, int], int] = {}
    for sign, rule, seq in re.findall(r"^answer> ([+-])[IUD]\[(\d+), (\d+)\]$", path.read_text(errors="replace"), re.MULTILINE):
        key = int(rule), int(seq)
        standing[key] = standing.get(key, 0) + (1 if sign == "+" else -1)
    return {key for key, count in standing.items() if count > 0}


def write_csv(folder: Folder) -> Path:
    s, path = folder.stream, folder.path / "events.csv"
    rows = zip(*(c.tolist() for c in (s.time, s.source, s.kind, s.value, s.lon, s.lat)), strict=True)
    with path.open("w") as file:
        file.writelines(f"{seq},{','.join(map(repr, row))}\n" for seq, row in enumerate(rows))
    return path


def main() -> None:
    folder = Folder(Path(sys.argv[1]))
    path = write_csv(folder)
    env = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    for key, value in CONFIG.items():
        env.get_config().set(key, value)
    env.execute_sql(EVENTS.format(path=path))
    env.execute_sql("CREATE TABLE answers(rule INT, seq BIGINT) WITH ('connector'='print', 'print-identifier'='answer')")
    queries = [match_sql(folder.rules["match"])] if folder.rules["match"] else []
    spatial = spatial_sql(folder.rules)
    if spatial:
        views(env, folder.floor.tolist())
    folder.ready()
    env.execute_sql("INSERT INTO answers " + " UNION ALL ".join(queries + spatial)).wait()
    folder.done()
    folder.answer(printed(folder.printed), version="Flink " + metadata.version("apache-flink"))


if __name__ == "__main__":
    main()
