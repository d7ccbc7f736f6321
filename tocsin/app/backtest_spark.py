"""A back-test on several machines: its pieces are handed out as tasks, kept in a work folder as they are done, and put together here."""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

import tocsin
from tocsin.archive.mirror.mirrored import Place
from tocsin.correlate.past.cut.ways import way_of
from tocsin.correlate.shards.assign import Share, Way
from tocsin.correlate.shards.regions import Regions, around
from tocsin.kernel.fault import Fatal, Misconfigured, Problem
from tocsin.model.archive import Holdings, Look
from tocsin.spark.session import HERE, session, spread
from tocsin.spark.work import Work

from .backtest_bucket import BucketWork
from .backtest_parts import ALL, Shared, Task, alerts_of, do, look_of, put_look, whole_pass
from .backtest_run import Pass, Progress, Runner
from .mirroring import address_of

#: Does tasks; a word for each, empty when it was done.
Execute = Callable[[Callable[[Task], str], Sequence[Task]], list[str]]
_LOOK_AGAIN: Final = 0.2  # seconds between two looks at what is done
_BY_TIME: Final = "in the order of time each run numbers its events anew, and parts would number them differently"
_SAMPLED: Final = 32  # files whose statistics say where the parts are cut


@dataclass(frozen=True, slots=True)
class Spread:
    """How a pass is made in parts. `root`: where work folders lie; `parts`: of each way; `identity`: what the question depends on beside its
    plans and its span. `master`: in words, for the result. `mirror`: where tasks fetch what they read, None: it lies under the same paths everywhere.
    `work`: the work folder of a question, where it is no folder below `root`."""

    root: Path
    parts: int
    identity: str
    execute: Execute
    master: str
    mirror: Place | None = None
    work: Callable[[dict[str, Any]], Work] | None = None

    def __call__(self, runner: Runner, holdings: Holdings, told: Callable[[Progress], None]) -> Pass:
        """As `Runner.run`. Raises Fatal."""
        began = time.monotonic()
        work = Work.of(self.root, self.question(runner)) if self.work is None else self.work(self.question(runner))
        lock = work.alone()
        try:
            with holdings.look(runner.want()) as fresh:
                again = _pinned(work, fresh, self.parts, self.files)
                found = self._made(runner, work, holdings, told)
            found.incidents = runner.incidents(holdings)
            found.more["spark"] |= {"again": again}
            work.clear()
        finally:
            os.close(lock)
        found.seconds = time.monotonic() - began
        return found

    @property
    def files(self) -> Path:
        """What is left out of the paths of what is read, because each machine has its own."""
        return Path() if self.mirror is None else self.mirror.files

    def question(self, runner: Runner) -> dict[str, Any]:
        """What names the work folder."""
        span = runner.span
        plans = [[f"{rule.name} {rule.version}" for rule in plan.rules] for plan in runner.plans]
        times = [span.start, span.stop, span.order, span.warm]
        return {"tocsin": tocsin.__version__, "city": self.identity, "plans": plans, "span": times, "parts": self.parts}

    def _made(self, runner: Runner, work: Work, holdings: Holdings, told: Callable[[Progress], None]) -> Pass:
        known = look_of(work, self.files)
        assert known is not None
        look, regions = known
        shares = tuple(Share(Way.WHOLE, _BY_TIME) if runner.span.by_time else way_of(plan) for plan in runner.plans)
        shared = Shared(
            runner.city, tuple(runner.plans), runner.span, shares, regions, self.parts, runner.before(holdings), work, mirror=self.mirror
        )
        parts = [Task(cut) for cut in shared.cuts()]
        trials = [Task(trial=number) for number in range(len(shares))]
        self._do(shared, parts, told, len(trials))
        self._do(shared, trials, told, len(parts))
        found = _together(runner, shared, look)
        if found.stopped:  # one machine stops where the first plan has too many alerts, and so does this
            self._do(shared, [Task()], told, 0)
            found = whole_pass(work.piece(ALL), len(shares))
        found.notes += runner.notes(holdings, look, found)
        why = [{"trial": number, "why": share.why} for number, share in enumerate(shares) if share.way == Way.WHOLE]
        found.more["spark"] = {"master": self.master, "parts": len(parts), "trials": len(trials), "whole": why}
        return found

    def _do(self, shared: Shared, tasks: Sequence[Task], told: Callable[[Progress], None], others: int) -> None:
        """Every task that is not done yet. Raises Fatal."""
        left = [task for task in tasks if shared.work.done(task.name) is None]
        if left:
            with _watched(shared, others + len(tasks), told):
                words = self.execute(partial(do, shared), left)
            if any(words):
                raise Fatal(next(word for word in words if word))


def here(run: Callable[[Task], str], tasks: Sequence[Task]) -> list[str]:
    """One after the other, in this process."""
    return [run(task) for task in tasks]


def _pinned(work: Work, fresh: Look, parts: int, root: Path) -> bool:
    """Whether an earlier process has pinned what is read, and all of it is still there; else it is pinned now."""
    known = look_of(work, root)
    if known is not None:
        there = {(one.path, one.sha256) for one in fresh.files}
        if all((one.path, one.sha256) in there for one in known[0].files):
            return True
        work.clear()
    put_look(work, fresh, _cuts(fresh, parts), root)
    return False


def _together(runner: Runner, shared: Shared, look: Look) -> Pass:
    """The answers of all trials, and what the parts counted."""
    folders = [shared.work.piece(Task(trial=number).name) for number in range(len(shared.plans))]
    heads = [json.loads((folder / "trial.json").read_bytes()) for folder in folders]
    found = Pass([alerts_of(folder / "0.alerts") for folder in folders], [])
    found.stopped = any(head["stopped"] for head in heads)
    cuts = shared.cuts()
    first = shared.shares[0].way
    counted = [json.loads((shared.work.piece(Task(cut).name) / "part.json").read_bytes()) for cut in cuts if cut.way == cuts[0].way]
    mine = [json.loads((shared.work.piece(Task(cut).name) / "part.json").read_bytes()) for cut in cuts if cut.way == first]
    found.withdrawn = heads[0]["withdrawn"]
    found.late = heads[0]["late"] if first == Way.WHOLE else sum(one["late"]["0"] for one in mine)
    if counted:
        last = max(one["last"] for one in counted)
        found.events, found.ended = sum(one["events"] for one in counted), min(runner.span.stop, last)
        found.imported = sum(one["imported"] for one in counted)
    else:
        found.events, found.ended = heads[0]["events"], max(head["ended"] for head in heads)
        found.imported = heads[0]["imported"]
    found.rows, found.files = look.rows, len(look.files)
    found.overwritten = any(one["overwritten"] for one in (*heads, *counted, *mine))
    return found


@contextmanager
def _watched(shared: Shared, of: int, told: Callable[[Progress], None]) -> Iterator[None]:
    """Says what is done while tasks are at work."""
    over = threading.Event()
    names = [Task(cut).name for cut in shared.cuts()] + [Task(trial=number).name for number in range(len(shared.plans))]

    def watch() -> None:
        while not over.wait(_LOOK_AGAIN):
            told(Progress(min(1.0, shared.work.count(names) / max(1, of)), shared.span.start, 0, 0))

    thread = threading.Thread(target=watch, name="watch-work", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _cuts(look: Look, parts: int) -> Regions:
    """Meridians between which about as many events lie, by the statistics of some files."""
    step = max(1, len(look.files) // _SAMPLED)
    seen: list[tuple[float, int]] = []
    for file in look.files[::step]:
        metadata = pq.read_metadata(file.path)
        at = metadata.schema.names.index("lon") if "lon" in metadata.schema.names else -1
        for number in range(metadata.num_row_groups if at >= 0 else 0):
            group = metadata.row_group(number)
            stats = group.column(at).statistics
            if stats is not None and stats.has_min_max:
                seen.append(((stats.min + stats.max) / 2, group.num_rows))
    if len(look.tail):
        places = look.tail.column("lon").drop_null().to_numpy()
        seen += [(float(lon), 1) for lon in places[np.isfinite(places)]]
    seen.sort()
    ends = np.cumsum([rows for _, rows in seen])
    cuts = {seen[int(np.searchsorted(ends, ends[-1] * k / parts))][0] for k in range(1, parts)} if seen else set()
    fine = sorted(cut for cut in cuts if -180.0 < cut < 180.0)
    if len(fine) == parts - 1:
        return Regions(tuple(fine))
    middle = seen[len(seen) // 2][0] if seen else 0.0
    return around(middle, 0.0, parts)


# ---- the command
@contextmanager
def on_spark(arguments: argparse.Namespace, identity: str, data: Path, mirror: Place | None = None) -> Iterator[Spread]:
    """From the command line. `mirror`: where the archive is read. Raises Misconfigured, Fatal that says what is missing."""
    if arguments.parts is not None and not 1 <= arguments.parts <= 10_000:
        raise Misconfigured([Problem("--parts", 0, f"found {arguments.parts}; valid is 1 to 10000")])
    root = Path(arguments.work or data / "work")
    work = None
    if arguments.work is not None and arguments.work.startswith("s3:"):
        work = partial(BucketWork.within, Place(address_of(arguments.work, None, "--work"), *(() if mirror is None else (mirror.folder,))))
    master = arguments.master or HERE
    with session(master, arguments.spark_conf) as made:
        parts = arguments.parts or 2 * int(made.sparkContext.defaultParallelism)
        yield Spread(root.resolve(), parts, identity, partial(spread, made), master, mirror, work)
