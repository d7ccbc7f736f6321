"""Asks a statement of a sandbox: starts it, plans what it would read, hands it that, and ends it when time is up or nobody waits."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import orjson
import pyarrow as pa
import pyarrow.parquet

from tocsin.model.archive import ID_FORM, ROLLUP, ROW, Box, Holdings, Look, Want
from tocsin.model.asking import Answer, Patience, Plan, Refused, Statement, Stopped, TooMuch, TooSlow
from tocsin.model.rowids import ID_SQL
from tocsin.model.time import DAY, HOUR, MINUTE
from tocsin.query.rows import NO_TIME, Limits, quoted

from .bounds import TABLES
from .frames import ASKED, DONE, FAILED, FILES, NEEDS, Broken, receive, send

log = logging.getLogger(__name__)

CHILD: Final = Path(__file__).with_name("child.py")
#: A clock read while planning is older than the one read while running.
_SLACK: Final = 5 * MINUTE
_LOOK: Final = 0.05
#: Rows beyond which it is said that nothing narrowed a statement down.
_MANY: Final = 10_000_000
_STEPS: Final = {"hourly": HOUR, "daily": DAY}


@dataclass(frozen=True, slots=True)
class Cage:
    """What one statement may use. `memory`, `bytes` (of the answer): bytes."""

    memory: int = 1 << 30
    threads: int = 2
    bytes: int = 256 << 20


class _Ending:
    """Ends the sandbox when time is up or whoever asked has gone."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float, patience: Patience) -> None:
        self.process, self.seconds, self.patience = process, seconds, patience
        self.slow = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="sandbox")
        self._thread.start()

    def _watch(self) -> None:
        left = self.seconds
        while not self._over.wait(_LOOK):
            left -= _LOOK
            self.slow = left <= 0
            if self.slow or self.patience.given_up.is_set():
                self.process.kill()
                return

    def over(self) -> None:
        self._over.set()
        self._thread.join()


def run(holdings: Holdings, asked: Statement, patience: Patience, limits: Limits, cage: Cage | None = None) -> Answer:
    """The rows of the statement. Raises Refused, TooMuch, TooSlow, Stopped."""
    cage = cage or Cage()
    if "\x00" in asked.sql or not asked.sql.strip():
        raise Refused("found no statement; valid is one SELECT from events, hourly or daily")
    with _sandbox() as process, ExitStack() as looks:
        ending = _Ending(process, asked.seconds, patience)
        try:
            return _conversation(process, looks, holdings, asked, limits, cage)
        except (Broken, BrokenPipeError, pa.ArrowInvalid):
            if patience.given_up.is_set():
                raise Stopped("whoever asked has gone") from None
            if ending.slow:
                raise TooSlow(f"it ran longer than {asked.seconds:g} s; narrow it down by event_time, kind, feed or place") from None
            ended = process.wait(timeout=5)
            log.warning("the sandbox ended with %d", ended)
            words = "it needs more memory or processor time than a statement may have, and was ended; group it further or ask for less"
            raise TooSlow(words) from None
        finally:
            ending.over()


@contextmanager
def _sandbox() -> Iterator[subprocess.Popen[bytes]]:
    """A fresh process that has nothing of this one: no environment, no open files, no working directory of its own."""
    command = [sys.executable, "-I", "-B", str(CHILD)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, cwd="/")
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                _shut(pipe)


def _shut(pipe: Any) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        return


def _conversation(
    process: subprocess.Popen[bytes], looks: ExitStack, holdings: Holdings, asked: Statement, limits: Limits, cage: Cage
) -> Answer:
    to, back = cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)
    limitation = {"limit": asked.limit, "seconds": asked.seconds, "memory": cage.memory, "threads": cage.threads, "bytes": cage.bytes}
    send(to, ASKED, orjson.dumps({"sql": asked.sql, **limitation}))
    needs = orjson.loads(_next(back, NEEDS)[1])
    opened = {name: looks.enter_context(_look(holdings, name, needs[name])) for name in TABLES if name in needs}
    plan, words = plan_of(opened, needs)
    if plan.rows > limits.rows and not asked.confirmed:
        raise TooMuch(plan, f"this would read {words}, or confirm it")
    notes = (f"this read {words}",) if plan.whole and plan.rows > _MANY else ()
    views = {name: {"paths": [str(file.path) for file in look.files], "sql": view_sql(name, look)} for name, look in opened.items()}
    send(to, FILES, orjson.dumps({"views": views}))
    for look in opened.values():
        send(to, FILES, _stream(look.tail))
    rows = io.BytesIO()
    while True:
        kind, body = _next(back)
        if kind == DONE:
            break
        rows.write(body)
    rows.seek(0)
    reaches = max((look.reaches for look in opened.values()), default=0)
    cut = orjson.loads(body)["cut"]
    if cut:
        notes = (*notes, f"only the first {asked.limit:,} rows, or less where they are large")
    table = pa.ipc.open_stream(rows).read_all()
    names = numbered(table.column_names)
    if names != table.column_names:
        notes = (*notes, "columns of one name are numbered; name them with AS to tell them apart")
    return Answer(table.rename_columns(names), plan, reaches, asked.sql, notes=notes, cut=cut)


def numbered(names: Sequence[str]) -> list[str]:
    """`a, a, b, a` -> `a, a_1, b, a_2`, as the engine does where it must: no format but Arrow has two columns of one name."""
    made: list[str] = []
    taken = set(names)
    for name in names:
        free, number = name, 0
        while free in made or (number and free in taken):
            number += 1
            free = f"{name}_{number}"
        made.append(free)
    return made


def _next(pipe: BinaryIO, wanted: bytes | None = None) -> tuple[bytes, bytes]:
    kind, body = receive(pipe)
    if kind == FAILED:
        told = orjson.loads(body)
        if told["kind"] == "memory":
            raise TooSlow("it needs more memory than a statement may have; group it further or ask for less")
        raise Refused(told["words"])
    if wanted is not None and kind != wanted:
        raise Broken(f"found a frame {kind!r}")
    return kind, body


def _look(holdings: Holdings, table: str, bounds: dict[str, Any]) -> AbstractContextManager[Look]:
    want = want_of(table, bounds)
    return holdings.look(want) if table == "events" else holdings.rollup(want, table)


def want_of(table: str, bounds: dict[str, Any]) -> Want:
    """What the catalogue prunes by, from the bounds of a statement. Steps of rollups are taken whole."""
    low, high = bounds.get(TABLES[table]) or (None, None)
    size = _STEPS.get(table, 1)
    start = None if low is None else (low - _SLACK) // size * size
    stop = None if high is None else -((-high - 1 - _SLACK) // size) * size
    # An instant that no calendar has (`infinity`) bounds nothing, and the catalogue has no number for it.
    start, stop = (edge if edge is None or abs(edge) < NO_TIME else None for edge in (start, stop))
    box = None
    if table == "events" and {"lon", "lat"} <= bounds.keys():
        (west, east), (south, north) = bounds["lon"], bounds["lat"]
        if None not in (west, east, south, north) and -180 <= west <= east <= 180 and south <= north:
            box = Box(west, max(south, -90.0), east, min(north, 90.0))
    return Want(start=start, stop=stop, box=box, feeds=tuple(bounds.get("feed", ())), kinds=tuple(bounds.get("kind", ())))


def plan_of(opened: dict[str, Look], needs: dict[str, Any]) -> tuple[Plan, str]:
    """What it would read, and what to say about it."""
    files = [file for look in opened.values() for file in look.files]
    tails = sum(len(look.tail) for look in opened.values())
    wide = [name for name in opened if not any(needs[name].values())]
    rows = sum(look.rows for look in opened.values())
    plan = Plan(
        len(files),
        rows,
        sum(file.size for file in files),
        tails,
        "+".join(opened) or "nothing",
        bool(wide),
        sum(len(look.damaged) for look in opened.values()),
    )
    told = f"{len(files):,} files with {rows:,} rows ({plan.bytes / 1e9:.1f} GB)"
    if not wide:
        return plan, told
    hint = " AND ".join(f"{TABLES[wide[0]]} {sign} '2026-01-0{day}'" for sign, day in ((">=", 1), ("<", 2)))
    return plan, f"{told}: nothing in it bounds {wide[0]}; add to its own WHERE a condition like {hint}"


def view_sql(table: str, look: Look) -> str:
    """The rows of a look, as the body of a view."""
    schema = ROW if table == "events" else ROLLUP
    names = [f'"{name}"' for name in schema.names]
    parts = [f"SELECT {', '.join(names)} FROM {table}_tail"]  # noqa: S608
    paths = [str(file.path) for file in look.files]
    if paths:
        parts.insert(0, files_sql(paths, names))
    return " UNION ALL ".join(parts)


def files_sql(paths: Sequence[str], names: Sequence[str]) -> str:
    listed = ", ".join(quoted(path) for path in paths)
    there = set(pa.parquet.read_schema(paths[0]).names)
    shown = [f"{ID_SQL} AS id" if name == '"id"' and ID_FORM.name in there else name for name in names]
    return f"SELECT {', '.join(shown)} FROM read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"  # noqa: S608


def _stream(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()
