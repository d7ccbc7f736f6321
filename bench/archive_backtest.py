"""Back-tests over a made-up city's archive: a rule that looks at one kind, one that all readings have to be held against, one that takes in every reading.

`python -m bench.archive_backtest --days 2` prints a table; `--json` one object last. Figures are CPU seconds of this process (both threads), wall seconds,
and rows of the archive per second of each, the pass alone: neither making the data nor compiling the kernels counts.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from bench import archive_data
from bench.fresh import in_fresh
from tocsin.app.backtest_order import has_imported
from tocsin.archive.catalog import Catalog, enter
from tocsin.archive.classes import row_classes
from tocsin.archive.filing import Shelf, file_classes
from tocsin.archive.holdings import Archive
from tocsin.archive.rows import cell_column
from tocsin.archive.scan import Scan
from tocsin.correlate.engine import Engine
from tocsin.correlate.past.facts import PastFacts
from tocsin.correlate.past.run import Past
from tocsin.correlate.past.sieve import Sieve
from tocsin.correlate.setting import Setting
from tocsin.model.archive import ROW, Want
from tocsin.model.ids import ROW_BITS, event_seq
from tocsin.model.plan import AlertSpec, Cluster, Match, Per, Plan, RulePlan, Silence, Step
from tocsin.model.plan import Sequence as Steps
from tocsin.model.predicate import Selector
from tocsin.model.severity import Severity
from tocsin.model.time import HOUR, MINUTE

if TYPE_CHECKING:
    from bench.archive import Context

YEAR: Final = 365 * 3_000_000
#: The plans whose figures stand in the summary.
PRUNED: Final = "one kind, cluster"
FULL: Final = "all readings against a threshold that few pass"


def rule(name: str, when: Any, per: Per | None = None) -> RulePlan:
    spec = AlertSpec("{count} {place}", Severity.SEVERE, "immediate", "likely", per=per)
    return RulePlan(name, f"v-{name}", name, "why", when, spec)


def plans() -> dict[str, Plan]:
    """By what they ask of the archive."""
    origin = (archive_data.LON0, archive_data.LAT0)
    fires = Cluster(Selector("call.fire.structure"), 1_000.0, HOUR, 3)
    chain = Steps(Selector("alarm.fire"), (Step(Selector("call.fire.structure"), 500.0, 30 * MINUTE),))
    high, rare = (
        [rule(f"high-{name}", Match(Selector(name, value)), Per(HOUR, 1_000.0)) for name in archive_data.NETWORKS] for value in (45.0, 58.0)
    )
    crowd = Cluster(Selector("smoke.level"), 500.0, 10 * MINUTE, 40)
    return {
        PRUNED: Plan((rule("fires", fires, Per(HOUR, 1_000.0)),), origin),
        "two kinds, sequence": Plan((rule("chain", chain, Per(HOUR, 1_000.0)),), origin),
        FULL: Plan(tuple(rare), origin),
        "all readings against a threshold that one in 250 passes": Plan(tuple(high), origin),
        "every reading of a network in a cluster": Plan((rule("crowd", crowd, Per(HOUR, 2_000.0)),), origin),
        "every call of a desk, silence by feed": Plan((rule("quiet", Silence(Selector("call"), HOUR, "feed")),), origin),
    }


def build(folder: Path, days: int, share: float = 1.0) -> int:
    """Day files of the archive as the keeper files them. Returns the rows."""
    made, catalog, rows, entry = archive_data.city(), Catalog(folder, write=True), 0, 1
    for number in range(days):
        table = _rows(archive_data.day(made, number, share=share), entry)
        entry = int(table.column("seq")[-1].as_py() >> ROW_BITS) + 2
        shelf = Shelf(folder)
        file_classes(shelf, table, row_classes(table, {}))
        files = shelf.publish()
        with catalog.change() as connection:
            enter(connection, folder, files)
        rows += len(table)
    catalog.close()
    return rows


def _rows(day: pa.Table, entry: int) -> pa.Table:
    """The day's events as rows of the archive, some to a journal entry; an entry has one moment and one feed."""
    learnt = day.column("ingest_time").cast(pa.int64()).to_numpy()
    feeds = day.column("feed").combine_chunks().indices.to_numpy()
    order = np.lexsort((np.arange(len(day)), feeds, learnt))
    day = day.take(pa.array(order))
    learnt, feeds = learnt[order], feeds[order]
    begins = np.concatenate([[True], (np.diff(learnt) != 0) | (np.diff(feeds) != 0)])
    number = np.cumsum(begins) - 1
    within = np.arange(len(day)) - np.flatnonzero(begins)[number]
    seq = np.array(event_seq(entry, 0)) + (number.astype(np.int64) << ROW_BITS) + within
    columns = {name: day.column(name) for name in day.schema.names} | {"seq": pa.array(seq)}
    columns["cell"] = cell_column(day.column("lon"), day.column("lat"))
    return pa.table([columns.get(field.name, pa.nulls(len(day), field.type)) for field in ROW], schema=ROW)


def measured(folder: Path, plan: Plan) -> dict[str, Any]:
    """One pass over everything: in the order it was learnt, or where it was imported in the order it happened. Raises SystemExit when nothing was matched."""
    archive = Archive(folder)
    sieve = Sieve(plan, frozenset())
    cpu, wall = time.process_time(), time.perf_counter()
    with archive.look(Want(kinds=sieve.kinds)) as look, archive.look(Want()) as everything:
        by_time = has_imported(archive, 0, 1 << 62, sieve.kinds)
        scan = Scan(look, sieve, "time" if by_time else "journal")
        run = Past(Setting(plan, corrects=frozenset()), PastFacts(scan.fetch, {}, by_time), by_time=by_time)
        for batch in scan.batches():
            run.take(batch)
        run.finish()
        alerts = sum(1 for _ in run.alerts())
        rows, read = everything.rows, look.rows
    archive.close()
    if not run.course.events:
        raise SystemExit("the back-test was handed no event")
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {
        "rows": rows,
        "read_rows": read,
        "kept_rows": scan.course.kept,
        "pushes": run.course.pushes,
        "ticks": run.course.ticks,
        "alerts": alerts,
        "cpu_s": round(cpu, 3),
        "wall_s": round(wall, 3),
        "rows_per_cpu_s": round(rows / cpu),
        "read_rows_per_cpu_s": round(read / cpu),
        "year_wall_s": round(wall / rows * YEAR, 1),
    }


def run(folder: Path, runs: int = 3) -> dict[str, Any]:
    """The best of some runs of each plan."""
    Engine.warm_up()
    results: dict[str, Any] = {}
    for name, plan in plans().items():
        results[name] = min((measured(folder, plan) for _ in range(runs)), key=lambda one: one["cpu_s"])
    results["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return results


def measure(context: Context) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Lines of the table and keys of the summary, for `bench.archive`: every plan over its archive, in a process of its own."""
    results, peak = in_fresh(run, context.folder, 1 if context.rows > 50_000_000 else 2)
    told = [{"part": "back-test", "plan": name, **one} for name, one in results.items() if isinstance(one, dict)]
    full = results[FULL]
    return told, {
        "backtest_events_per_s_core": full["read_rows_per_cpu_s"],
        "backtest_pruned_rows_per_s_core": results[PRUNED]["rows_per_cpu_s"],
        "backtest_year_at_3m_a_day_wall_s": results[PRUNED]["year_wall_s"],
        "backtest_rss_mb": peak,
    }


def lines(results: dict[str, Any]) -> Iterator[str]:
    yield f"{'':56} {'read':>11} {'kept':>11} {'alerts':>7} {'cpu s':>8} {'wall s':>8} {'rows/cpu s':>12} {'read/cpu s':>12} {'a year, s':>10}"
    for name, one in results.items():
        if isinstance(one, dict):
            yield (
                f"{name:56} {one['read_rows']:11,} {one['kept_rows']:11,} {one['alerts']:7,} {one['cpu_s']:8.2f} {one['wall_s']:8.2f}"
                f" {one['rows_per_cpu_s']:12,} {one['read_rows_per_cpu_s']:12,} {one['year_wall_s']:10,.0f}"
            )
    yield f"largest resident size: {results['rss_mb']} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description="Back-tests over a made-up city's archive.")
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--share", type=float, default=1.0, help="share of the city's sensors, vehicles and calls")
    parser.add_argument("--folder", type=Path, default=None, help="an archive made before, or where to keep it")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as scratch:
        folder = given.folder or Path(scratch)
        if not (folder / "catalog.db").is_file():
            folder.mkdir(parents=True, exist_ok=True)
            build(folder, given.days, given.share)
        results = run(folder, given.runs)
    print(json.dumps(results) if given.json else "\n".join(lines(results)))


if __name__ == "__main__":
    main()
