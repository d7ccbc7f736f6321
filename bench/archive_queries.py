"""Questions to the archive, cold and warm, beside other engines on the same rows: `python -m bench.archive_queries --quick`.

Builds a made-up city's archive (`bench/archive_data.py`) with the product's own import and compaction, or takes one that is there (`--archive`), and
asks the questions of `archive.md`: Q1 what is around an incident (day tier, month tier), Q2 a 3 km box for a day by source and hour, Q3 a 1 km box of
calls over everything, Q4 a week by hour and kind, Q5 the busiest tiles of calls, Q6 one sensor's history. Times are wall and processor milliseconds of
this process, p50 and p95 over random draws. Cold: the files are put out of the page cache (posix_fadvise) and the engine is new; not every machine
forgets. Peers read one Parquet file of all rows in the order they were learnt, and must count the same rows.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench import archive_data as data
from tocsin.archive.compact import compact
from tocsin.archive.holdings import Archive
from tocsin.archive.importing import Importer
from tocsin.archive.rows import PLAIN, cell_column
from tocsin.model.archive import Box, Want
from tocsin.model.asking import Around, Cells, Filter, History, Patience, Search, Series
from tocsin.model.time import DAY, HOUR, MINUTE
from tocsin.query.around import circle_box
from tocsin.query.ask import Questions
from tocsin.query.engine import Engine
from tocsin.query.places import Places
from tocsin.query.rows import Limits

PATIENCE = Patience(600.0)
LIMITS = Limits(rows=1 << 62)


@dataclass(frozen=True)
class Question:
    """`draw`: the arguments of one asking; `ask`: rows of ours; `peer`: the same as SQL over `events`, for the engines that speak it."""

    name: str
    draw: Callable[[np.random.Generator], dict[str, Any]]
    ask: Callable[[Questions, dict[str, Any]], int]
    peer: Callable[[dict[str, Any]], str] | None = None


def plain(made: pa.Table) -> pa.Table:
    """A made day as rows of the archive."""
    columns = {name: made[name] for name in made.column_names}
    columns["cell"] = cell_column(made["lon"], made["lat"])
    columns["seq"] = pa.array(np.zeros(len(made), np.int64))
    return pa.table([columns[f.name].cast(f.type) if f.name in columns else pa.nulls(len(made), f.type) for f in PLAIN], schema=PLAIN)


def build(folder: Path, days: int, share: float) -> Path:
    """An archive of so many days, and `one.parquet` of all rows beside it. Returns the archive's folder."""
    city = data.city()
    importer = Importer(folder / "archive", {})
    writer = None
    for number in range(days):
        rows = plain(data.day(city, number, share=share))
        source = folder / f"day-{number}"
        source.write_text(str(number))  # the importer knows a file by its content
        taken = importer.begin("bench", source)
        importer.add(taken, rows)
        importer.finish(taken)
        source.unlink()
        writer = writer or pq.ParquetWriter(folder / "one.parquet", PLAIN, compression="zstd")
        writer.write_table(rows, row_group_size=122_880)
        print(f"\r{number + 1}/{days} days", end="", file=sys.stderr)
    if writer is not None:
        writer.close()
    compact(importer.catalog, data.FIRST + days * DAY)
    importer.close()
    print(file=sys.stderr)
    return folder / "archive"


def near(rng: np.random.Generator) -> tuple[float, float]:
    """A place where the city has sensors."""
    lon, lat = data.city().place[rng.integers(0, 1000)] + rng.normal(0, 0.002, 2)
    return float(lon), float(lat)


def context(first: int, last: int) -> Callable[[np.random.Generator], dict[str, Any]]:
    def draw(rng: np.random.Generator) -> dict[str, Any]:
        lon, lat = near(rng)
        return {"lon": lon, "lat": lat, "at": data.FIRST + int(rng.integers(first * DAY + HOUR, last * DAY - HOUR))}

    return draw


def boxed(metres: float, days: int) -> Callable[[np.random.Generator], dict[str, Any]]:
    def draw(rng: np.random.Generator) -> dict[str, Any]:
        return {"box": circle_box(*near(rng), metres / 2), "start": data.FIRST + int(rng.integers(0, max(1, days - 1))) * DAY}

    return draw


def around(asked: Questions, q: dict[str, Any]) -> int:
    return len(asked.around(Around(q["lon"], q["lat"], q["at"], 500.0, 30 * MINUTE, 30 * MINUTE, limit=100_000), PATIENCE).table)


def around_peer(q: dict[str, Any]) -> str:
    box = circle_box(q["lon"], q["lat"], 500.0)
    half = f"pow(sin(radians(lat - {q['lat']}) / 2), 2)"
    chord = f"{half} + cos(radians({q['lat']})) * cos(radians(lat)) * pow(sin(radians(lon - ({q['lon']})) / 2), 2)"
    return f"{inside(box)} AND {between(q['at'] - 30 * MINUTE, q['at'] + 30 * MINUTE + 1)} AND 2 * 6371008.8 * asin(sqrt({chord})) <= 500"


def by_hour(asked: Questions, q: dict[str, Any]) -> int:
    wanted = Filter(q["start"], q["start"] + DAY, q["box"], kinds=("air",))
    return sum(asked.series(Series(wanted, "hour", "source"), PATIENCE).table["rows"].to_pylist())


def calls(asked: Questions, q: dict[str, Any]) -> int:
    return len(asked.search(Search(Filter(box=q["box"], kinds=("call",), feeds=("calls",)), 1_000_000), PATIENCE).table)


def week(asked: Questions, q: dict[str, Any]) -> int:
    return sum(asked.series(Series(Filter(q["start"], q["start"] + 7 * DAY), "hour", "kind"), PATIENCE).table["rows"].to_pylist())


def cells(asked: Questions, q: dict[str, Any]) -> int:
    return int(asked.cells(Cells(Filter(kinds=("call",)), 14, 1), PATIENCE).table["rows"][0].as_py())


def sensor(asked: Questions, q: dict[str, Any]) -> int:
    feed = data.NETWORKS[q["n"] % 8]
    return len(asked.history(History(feed, f"{feed}-{q['n']}", limit=1_000_000), PATIENCE).table)


def questions(days: int, old: int) -> list[Question]:
    """`days`: of data; those up to `old` lie in the month tier."""
    made = [
        Question("Q1 day tier: 500 m, 30 min", context(max(0, old), days), around, around_peer),
        Question(
            "Q2 3 km, a day, air, by source and hour", boxed(3000.0, days), by_hour,
            lambda q: f"{inside(q['box'])} AND kind LIKE 'air.%' AND {between(q['start'], q['start'] + DAY)}",
        ),
        Question("Q3 1 km, calls, all time", boxed(1000.0, days), calls, lambda q: f"{inside(q['box'])} AND kind LIKE 'call.%' AND feed = 'calls'"),
        Question("Q4 a week by hour and kind", boxed(1.0, days), week, lambda q: between(q["start"], q["start"] + 7 * DAY)),
        Question("Q5 busiest tile of calls, all time", lambda rng: {}, cells),
        Question("Q6 one sensor, all time", lambda rng: {"n": int(rng.integers(0, 1000))}, sensor, lambda q: f"source = '{data.NETWORKS[q['n'] % 8]}-{q['n']}'"),
    ]  # fmt: skip
    if old > 0:
        made.insert(1, Question("Q1 month tier: 500 m, 30 min", context(0, old), around, around_peer))
    return made


def inside(box: Box) -> str:
    return f"lon BETWEEN {box.west} AND {box.east} AND lat BETWEEN {box.south} AND {box.north}"


def between(start: int, stop: int) -> str:
    return f"event_time >= make_timestamptz({start}) AND event_time < make_timestamptz({stop})"


def timed(ask: Callable[[], int]) -> tuple[float, float, int]:
    """Wall and processor milliseconds, and what it gave."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = ask()
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3, found


def summary(times: list[tuple[float, float, int]]) -> dict[str, float]:
    wall, cpu, rows = zip(*times, strict=True)
    return {
        "p50_ms": round(float(np.percentile(wall, 50)), 1), "p95_ms": round(float(np.percentile(wall, 95)), 1),
        "cpu_p50_ms": round(float(np.percentile(cpu, 50)), 1), "rows": round(float(np.mean(rows))),
    }  # fmt: skip


@contextmanager
def asked_of(archive: Path, places: Path) -> Iterator[Questions]:
    made = Questions(Archive(archive), Places(places), engine=Engine(threads=2), limits=LIMITS)
    try:
        yield made
    finally:
        made.close()


def evict(folder: Path) -> None:
    """Out of the page cache, as far as the system goes along."""
    for path in folder.rglob("*.parquet"):
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def ours(
    archive: Path, places: Path, asked: list[Question], draws: int
) -> tuple[dict[str, Any], dict[str, list[tuple[dict[str, Any], int]]]]:
    """Figures, and what each draw gave."""
    figures: dict[str, Any] = {}
    given: dict[str, list[tuple[dict[str, Any], int]]] = {}
    for question in asked:
        rng = np.random.default_rng(5)
        drawn = [question.draw(rng) for _ in range(draws)]
        with asked_of(archive, places) as made:
            question.ask(made, drawn[0])  # warm
            warm = [timed(partial(question.ask, made, one)) for one in drawn]
        cold = []
        for one in drawn[: max(3, draws // 4)]:
            evict(archive)
            with asked_of(archive, places) as made:
                cold.append(timed(partial(question.ask, made, one)))
        figures[question.name] = {"warm": summary(warm), "cold": summary(cold)}
        given[question.name] = [(one, found) for one, (_, _, found) in zip(drawn, warm, strict=True)]
        print(f"{question.name}: {figures[question.name]}", file=sys.stderr)
    return figures, given


def peer(name: str, file: Path, asked: list[Question], given: dict[str, list[tuple[dict[str, Any], int]]]) -> dict[str, Any]:
    """The same draws on one Parquet file; an answer that differs is a fault and is said."""
    run = PEERS[name](file)
    figures: dict[str, Any] = {}
    for question in asked:
        if question.peer is None:
            continue
        some = given[question.name][:6]
        run(question.peer(some[0][0]))
        times = [timed(partial(run, question.peer(one))) for one, _ in some]
        agree = [found for _, _, found in times] == [found for _, found in some]
        figures[question.name] = summary(times) | {"same_rows": agree}
    return figures


def duckdb_alone(file: Path) -> Callable[[str], int]:
    import duckdb

    database = duckdb.connect(config={"threads": 2})
    database.execute("SET TimeZone = 'UTC'")
    return lambda where: int(
        database.sql(f"SELECT count(*), count(value), count(id) FROM read_parquet('{file}') WHERE {where}").fetchall()[0][0]
    )


def chdb_alone(file: Path) -> Callable[[str], int]:
    import chdb

    def run(where: str) -> int:
        said = where.replace("make_timestamptz(", "fromUnixTimestamp64Micro(")
        return int(str(chdb.query(f"SELECT count() FROM file('{file}', Parquet) WHERE {said}", "CSV")))

    return run


def polars_alone(file: Path) -> Callable[[str], int]:
    import polars as pl

    def run(where: str) -> int:
        said = where.replace("make_timestamptz(", "CAST_US(")
        frame = pl.scan_parquet(file).with_columns(us=pl.col("event_time").dt.epoch("us"))
        said = said.replace("event_time", "us").replace("CAST_US(", "(")
        return int(pl.SQLContext(events=frame).execute(f"SELECT count(*) AS n FROM events WHERE {said}").collect()["n"][0])

    return run


PEERS: dict[str, Callable[[Path], Callable[[str], int]]] = {
    "duckdb, one file": duckdb_alone,
    "polars, one file": polars_alone,
    "chdb, one file": chdb_alone,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--archive", type=Path, help="an archive of this made-up city that is there, with --days")
    parser.add_argument("--days", type=int, default=80)
    parser.add_argument("--share", type=float, default=0.1, help="of the city's 3 M events a day")
    parser.add_argument("--draws", type=int, default=12)
    parser.add_argument("--quick", action="store_true", help="70 days of a tenth of the city, 8 draws")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.days, arguments.share, arguments.draws = 70, 0.05, 8
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as temporary:
        folder = Path(temporary)
        archive = arguments.archive or build(folder, arguments.days, arguments.share)
        print(json.dumps(measured(archive, folder, arguments), indent=None if arguments.json else 2))


def measured(archive: Path, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    with Archive(archive).look(Want()) as look:
        rows, size = look.rows, sum(file.size for file in look.files)
        months = [file.stop for file in look.files if file.tier == "month"]
        tiers = {tier: sum(file.tier == tier for file in look.files) for tier in ("day", "month")}
    old = (max(months) - data.FIRST) // DAY if months else 0
    asked = questions(arguments.days, int(old))
    places = folder / "places.db"
    with asked_of(archive, places) as made, made.engine.session(PATIENCE) as session, made.holdings.look(Want()) as look:
        learnt = timed(lambda: made.places.learn(session, look.files))
    figures, given = ours(archive, places, asked, arguments.draws)
    peers: dict[str, Any] = {}
    for name in PEERS if (folder / "one.parquet").exists() else ():
        try:
            peers[name] = peer(name, folder / "one.parquet", asked, given)
        except ImportError as fault:
            peers[name] = f"not here: {fault}"
    context = next(one for name, one in figures.items() if name.startswith("Q1 day"))
    return {
        "rows": rows, "bytes_per_row": round(size / rows, 2), "files": tiers, "places_learnt_s": round(learnt[0] / 1e3, 2),
        "free_gb": round(shutil.disk_usage(folder).free / 1e9), "tocsin": figures, "peers": peers,
        "summary": {"incident_p95_ms": context["warm"]["p95_ms"]},
    }  # fmt: skip


if __name__ == "__main__":
    main()
