"""The pieces of a back-test that is made in parts: what one task reads, matches or tells, and how it is kept until all of them are done."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

import tocsin
from tocsin.archive.mirror.mirrored import Place, brought
from tocsin.archive.scan import Scan
from tocsin.correlate.engine import Engine
from tocsin.correlate.parts.needs import beside
from tocsin.correlate.past.cut.seen import Finds, PartEngine, PartPast
from tocsin.correlate.past.cut.tell import Teller
from tocsin.correlate.past.cut.ways import Cut, PartWanted, everywhere, matched, owned, waits
from tocsin.correlate.past.facts import PastFacts
from tocsin.correlate.setting import Setting
from tocsin.correlate.shards.assign import Share, Way
from tocsin.correlate.shards.matches import ARRIVED, Matches, decode
from tocsin.correlate.shards.regions import Regions
from tocsin.journal.codec import decode_alert, encode
from tocsin.kernel.fault import Fatal, TocsinError
from tocsin.model.alert import Alert
from tocsin.model.archive import ROW, Box, Look, StoredFile
from tocsin.model.city import City
from tocsin.model.plan import Plan
from tocsin.model.predicate import covers
from tocsin.spark.work import Work

from .backtest_run import ALERTS_MAX, Heard, Pass, Runner, Span, told_to

#: The pieces beside those of parts and trials: what is read, and the whole question in one task.
LOOK: Final = "look"
_NO_ROOT: Final = Path()
ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class Shared:
    """What every task knows. `shares`: how each plan is cut; `parts`: how many there are of each way; `before`: as `Runner.over`.
    `mirror`: where the pinned files are fetched from; None: they lie under their paths on every machine."""

    city: City
    plans: tuple[Plan, ...]
    span: Span
    shares: tuple[Share, ...]
    regions: Regions
    parts: int
    before: bool
    work: Work
    version: str = tocsin.__version__
    mirror: Place | None = None

    def runner(self) -> Runner:
        """Raises Fatal on a machine with another version of this program."""
        if self.version != tocsin.__version__:
            raise Fatal(f"this machine has Tocsin {tocsin.__version__}, the one that asked has {self.version}; install the same everywhere")
        return Runner(self.city, self.plans, self.span)

    def cuts(self) -> list[Cut]:
        """All parts."""
        found = []
        for way in (Way.PLACE, Way.SOURCE):
            reach = max((share.reach for share in self.shares if share.way == way), default=-1.0)
            found += [Cut(way, number, self.parts, self.regions, reach) for number in range(self.parts) if reach >= 0]
        return found


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work: a part, a trial by its number, or everything at once."""

    cut: Cut | None = None
    trial: int | None = None

    @property
    def name(self) -> str:
        if self.cut is not None:
            return f"part-{self.cut.name}"
        return ALL if self.trial is None else f"trial-{self.trial}"


def do(shared: Shared, task: Task) -> str:
    """Does a task unless it is done. Returns why it cannot be, in words; empty when it is done. Raises what may be gone the next time."""
    if shared.work.done(task.name) is not None:
        return ""
    try:
        if task.cut is not None:
            do_part(shared, task.cut, task.name)
        elif task.trial is None or shared.shares[task.trial].way == Way.WHOLE:
            do_whole(shared, task)
        else:
            do_trial(shared, task.trial, task.name)
    except TocsinError as fault:
        return str(fault)
    return ""


# ---- what is read
def put_look(work: Work, look: Look, regions: Regions, root: Path = _NO_ROOT) -> None:
    """Pins what is read, so that whoever goes on after a kill reads the same. `root`: left out of the paths."""
    files, damaged = ([asdict(one) | {"path": str(_below(one.path, root))} for one in some] for some in (look.files, look.damaged))
    head = {"files": files, "damaged": damaged, "reaches": look.reaches, "heard": look.heard, "cuts": regions.cuts}
    work.put(LOOK, {"look.json": json.dumps(head).encode(), "tail.arrow": as_bytes(look.tail)})


def look_of(work: Work, root: Path = _NO_ROOT) -> tuple[Look, Regions] | None:
    """What was pinned; None before. `root`: of paths that were kept without it."""
    folder = work.done(LOOK)
    if folder is None:
        return None
    head = json.loads((folder / "look.json").read_bytes())
    files, damaged = ([_stored(row, root) for row in head[name]] for name in ("files", "damaged"))
    return Look(files, read_table(folder / "tail.arrow"), head["reaches"], damaged, head["heard"]), Regions(tuple(head["cuts"]))


def _stored(row: dict[str, Any], root: Path) -> StoredFile:
    box = None if row["box"] is None else Box(*row["box"])
    return StoredFile(**row | {"path": root / row["path"], "feeds": tuple(row["feeds"]), "box": box})


def _below(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path


@contextmanager
def _pinned(shared: Shared) -> Iterator[Look]:
    """While the block lasts its files are on this machine."""
    known = look_of(shared.work)
    if known is None:
        raise Fatal(f"{shared.work.folder} does not say what is read; is it on storage that every machine reaches under this path?")
    if shared.mirror is None:
        yield known[0]
    else:
        with brought(shared.mirror, known[0]) as look:
            yield look


# ---- a part
def do_part(shared: Shared, cut: Cut, name: str) -> None:
    """Matches what lies in a part, for every plan that is cut this way. Raises Fatal."""
    with _pinned(shared) as look:
        _match(shared, shared.runner(), look, cut, name)


def _match(shared: Shared, runner: Runner, look: Look, cut: Cut, name: str) -> None:
    corrects, span = runner.settings[0].corrects, shared.span
    wanted = PartWanted(runner.sieve, cut, corrects)
    scan = Scan(look, wanted, span.order, runner.first, span.stop - 1, wanted.skips)
    runs = {number: _part_run(runner, number, cut) for number, share in enumerate(shared.shares) if share.way == cut.way}
    told = _Counted(any(waits(shared.plans[number]) for number in runs))
    for run, _ in runs.values():
        if shared.before:
            run.begin(runner.first)
    for batch in scan.batches():
        for run, finds in runs.values():
            run.take(batch)
            finds.gather(scan.fetch)
        told.take(batch, next(iter(runs.values()))[0].clocks, owned(cut, batch), everywhere(batch, corrects))
    for run, finds in runs.values():
        if run.clock:
            run.move(span.stop)
        finds.gather(scan.fetch)
    shared.work.put(name, {**told.files(runs), **_found(runs)})


def _part_run(runner: Runner, number: int, cut: Cut) -> tuple[PartPast, Finds]:
    setting, made = runner.settings[number], list[PartEngine]()

    def engine(plan: Plan, corrects: frozenset[str] | None) -> Engine:
        made.append(PartEngine(plan, cut, corrects=corrects))
        return made[-1]

    by_time = runner.span.by_time
    own = replace(setting, plan=matched(setting.plan, cut.way))
    run = PartPast(own, PastFacts(_nothing, runner.attrs), attrs=runner.attrs, by_time=by_time, engine=engine)
    return run, Finds(made[0], setting.corrects, by_time)


def _nothing(_seqs: Sequence[int], _columns: Sequence[str] | None) -> pa.Table:
    raise AssertionError("a part tells nothing, so it looks nothing up")


def _found(runs: dict[int, tuple[PartPast, Finds]]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for number, (_, finds) in runs.items():
        matches, facts = finds.result()
        files |= {f"{number}.matches": matches.encode(), f"{number}.facts": as_bytes(facts)}
    return files


class _Counted:
    """What a part knows of the events that are its own. `clocks`: whether anybody asks when anything was heard."""

    def __init__(self, clocks: bool) -> None:
        self._keep = clocks
        self._events, self._first, self._last, self._odd, self._imported = 0, 0, 0, 0, 0
        self._clocks: list[NDArray[np.int64]] = [np.empty(0, np.int64)]

    def take(self, batch: pa.RecordBatch, clocks: NDArray[np.int64], mine: NDArray[np.bool_], all_need: NDArray[np.bool_]) -> None:
        own = clocks[mine]
        if len(own):
            self._first = self._first or int(own[0])
            self._last, self._events = int(own[-1]), self._events + len(own)
            self._odd += int(all_need[mine].sum())
            self._imported += int((batch.column("seq").to_numpy()[mine] < 0).sum())
            if self._keep:
                self._clocks.append(np.unique(own))

    def files(self, runs: dict[int, tuple[PartPast, Finds]]) -> dict[str, Any]:
        """`events`: own ones; `first`, `last`: their clocks; `odd`: those that correct, or may be corrected; `imported`: those that were; `late`: by plan."""
        head = {
            "events": self._events,
            "first": self._first,
            "last": self._last,
            "odd": self._odd,
            "imported": self._imported,
            "late": {number: run.course.late for number, (run, _) in runs.items()},
            "overwritten": any(run.counters.get("overwritten", 0) for run, _ in runs.values()),
        }
        return {"part.json": json.dumps(head).encode(), "clocks.npy": partial(_save, np.concatenate(self._clocks))}


def _save(clocks: NDArray[np.int64], path: Path) -> None:
    with path.open("xb") as file:
        np.save(file, clocks)


# ---- a trial
class _Told:
    """What all parts of a way found for one plan."""

    def __init__(self, shared: Shared, number: int) -> None:
        cuts = [cut for cut in shared.cuts() if cut.way == shared.shares[number].way]
        folders = [shared.work.piece(Task(cut).name) for cut in cuts]
        self.heads = [json.loads((folder / "part.json").read_bytes()) for folder in folders]
        self.found: list[tuple[int, Matches]] = [
            (cut.number, decode((folder / f"{number}.matches").read_bytes())) for cut, folder in zip(cuts, folders, strict=True)
        ]
        self.clocks = [np.load(folder / "clocks.npy", mmap_mode="r") for folder in folders]
        tables = pa.concat_tables([read_table(folder / f"{number}.facts") for folder in folders])
        seqs = np.asarray(tables.column("seq").to_numpy(), np.int64)
        self.facts: pa.Table = tables.take(pa.array(np.unique(seqs, return_index=True)[1])).unify_dictionaries().combine_chunks()

    @property
    def begins(self) -> int:
        return min((head["first"] for head in self.heads if head["events"]), default=0)

    @property
    def last(self) -> int:
        return max((head["last"] for head in self.heads), default=0)

    @property
    def anchors(self) -> pa.Table:
        """Events that complete a match."""
        seqs = [matches.rows["anchor"][matches.rows["phase"] == ARRIVED] for _, matches in self.found]
        return self.facts.filter(pc.is_in(self.facts.column("seq"), pa.array(np.concatenate(seqs))))


class _Listened:
    """As `archive.scan.Wanted`: the events that a telling run takes beside those that complete a match."""

    def __init__(self, runner: Runner, plan: Plan, setting: Setting) -> None:
        self._sieve, self._corrects = runner.sieve, setting.corrects
        self._kinds = tuple(dict.fromkeys(of.kind for rule in plan.rules for of in beside(rule)))
        self._tail: pa.RecordBatch | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        return self._kinds

    def columns(self, feeds: Iterable[str]) -> tuple[str, ...]:
        return self._sieve.columns(feeds)

    def gate(self, table: pa.RecordBatch) -> NDArray[np.bool_] | None:
        known = self._sieve.gate(table)
        mask = None if known is None else known & self.listens(table)
        return mask if mask is not None and mask.any() else None

    def listens(self, table: pa.RecordBatch) -> NDArray[np.bool_]:
        """Rows that correct, may be corrected, or are of a kind that alerts listen to."""
        names = table.column("kind").cast(pa.string()).dictionary_encode()
        own = np.array([any(covers(kind, name) for kind in self._kinds) for name in names.dictionary.to_pylist()], np.bool_)
        mask = everywhere(table, self._corrects)
        return mask | own[names.indices.to_numpy(zero_copy_only=False)] if own.any() else mask

    def rows(self, table: pa.RecordBatch) -> NDArray[np.bool_] | None:
        return self._sieve.rows(table)

    def of(self, table: pa.Table) -> NDArray[np.bool_]:
        """Which rows of a table a scan gives."""
        if not len(table):
            return np.zeros(0, np.bool_)
        batch = table.unify_dictionaries().combine_chunks().to_batches()[0]
        gated, sifted = self.gate(batch), self.rows(batch)
        mask = np.zeros(len(table), np.bool_) if gated is None else gated
        return mask if sifted is None else mask & sifted


class _Everything:
    """As `archive.scan.Wanted`: a scan of files by `files`, with all of the tail."""

    def __init__(self, files: _Listened) -> None:
        self._files = files

    def columns(self, feeds: Iterable[str]) -> tuple[str, ...]:
        return self._files.columns(feeds)

    def gate(self, table: pa.RecordBatch) -> NDArray[np.bool_] | None:
        return np.ones(table.num_rows, np.bool_) if "seq" in table.schema.names else self._files.gate(table)

    def rows(self, table: pa.RecordBatch) -> NDArray[np.bool_] | None:
        return None if "cell" in table.schema.names else self._files.rows(table)


def do_trial(shared: Shared, number: int, name: str) -> None:
    """Tells what the parts found for one plan. Raises Fatal."""
    with _pinned(shared) as look:
        _tell(shared, shared.runner(), look, number, name)


def _tell(shared: Shared, runner: Runner, look: Look, number: int, name: str) -> None:
    span = shared.span
    told, setting = _Told(shared, number), runner.settings[number]
    listened = _Listened(runner, shared.plans[number], setting)
    files = bool(listened.kinds or any(head["odd"] for head in told.heads))
    tail = told.anchors
    if files:
        tail = pa.concat_tables([look.tail.filter(pa.array(listened.of(look.tail))), tail.filter(pa.array(~listened.of(tail)))])
    scan = Scan(
        Look(look.files if files else (), tail.cast(ROW), look.reaches), _Everything(listened), span.order, runner.first, span.stop - 1
    )
    facts = PastFacts(partial(_fetched, told.facts, scan), runner.attrs, span.by_time)
    run = Teller(
        setting,
        facts,
        told.found,
        told.clocks if waits(shared.plans[number]) else (),
        told.begins,
        attrs=runner.attrs,
        by_time=span.by_time,
        exercise=shared.city.exercise is not None,
    )
    if shared.before:
        run.begin(runner.first)
    for batch in scan.batches():
        run.take(batch)
        if len(run.told) > ALERTS_MAX:
            break
    else:
        ended = min(span.stop, told.last)
        if run.clock:
            run.move(max(ended, min(span.stop, told_to(look, span))) - 1)
        run.finish()
    head = {
        "stopped": len(run.told) > ALERTS_MAX,
        "withdrawn": run.course.withdrawn,
        "overwritten": bool(run.counters.get("overwritten", 0)),
    }
    shared.work.put(name, {"trial.json": json.dumps(head).encode(), "0.alerts": _as_lines(runner.heard(run))})


def _fetched(facts: pa.Table, scan: Scan, seqs: Sequence[int], columns: Sequence[str] | None) -> pa.Table:
    """Events by their numbers: what matches rest on is at hand, the rest is read from the archive."""
    names = list(ROW.names if columns is None else columns)
    own = facts.filter(pc.is_in(facts.column("seq"), pa.array(list(seqs), pa.int64()))).select(names)
    if len(own) == len(set(seqs)):
        return own
    known = set(own.column("seq").to_pylist()) if "seq" in names else set()
    return pa.concat_tables([own, scan.fetch([seq for seq in seqs if seq not in known], columns)])


# ---- in one piece
def do_whole(shared: Shared, task: Task) -> None:
    """One plan that cannot be cut, or everything at once. Raises Fatal."""
    with _pinned(shared) as look:
        found = shared.runner().over(look, shared.before, only=None if task.trial is None else (task.trial,))
    head = {
        "stopped": found.stopped,
        "withdrawn": found.withdrawn,
        "overwritten": found.overwritten,
        "late": found.late,
        "events": found.events,
        "ended": found.ended,
        "rows": found.rows,
        "files": found.files,
        "imported": found.imported,
        "notes": found.notes,
    }
    files = {f"{number}.alerts": _as_lines(alerts) for number, alerts in enumerate(found.trials)}
    shared.work.put(task.name, {"trial.json": json.dumps(head).encode(), **files})


def whole_pass(folder: Path, plans: int) -> Pass:
    """What `do_whole` kept of everything at once."""
    head = json.loads((folder / "trial.json").read_bytes())
    trials = [alerts_of(folder / f"{number}.alerts") for number in range(plans)]
    names = ("stopped", "withdrawn", "overwritten", "late", "events", "ended", "rows", "files", "imported", "notes")
    return Pass(trials, [], **{name: head[name] for name in names})


# ---- as bytes
def _as_lines(alerts: Sequence[tuple[Heard, Alert]]) -> bytes:
    return b"".join(orjson.dumps(asdict(told)) + b"\n" + encode(alert) + b"\n" for told, alert in alerts)


def alerts_of(path: Path) -> list[tuple[Heard, Alert]]:
    """The alerts of a trial."""
    lines = path.read_bytes().splitlines()
    return [(Heard(**orjson.loads(one)), decode_alert(two)) for one, two in zip(lines[::2], lines[1::2], strict=True)]


def as_bytes(table: pa.Table) -> bytes:
    """A table of schema ROW as an Arrow file."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, ROW, options=pa.ipc.IpcWriteOptions(compression="zstd", unify_dictionaries=True)) as writer:
        writer.write_table(table.cast(ROW).unify_dictionaries())
    return bytes(sink.getvalue())


def read_table(path: Path) -> pa.Table:
    """What `as_bytes` made."""
    with pa.ipc.open_file(str(path)) as reader:
        return reader.read_all()
