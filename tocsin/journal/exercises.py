"""Exercises in the journal: in the same stream and order as everything real, under subjects of their own that only those read who ask for them.

`exercise.begin`, `exercise.ev.<region>.<feed>`, `exercise.end` lie in EVENTS; `exercise.alert.*`, `exercise.transition.*` in ALERTS.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from typing import Any, Final

import orjson
import pyarrow as pa

from tocsin.model.exercise import MARK, Run, Scenario, is_exercise, plain, run_from

from .connection import Journal
from .encode import INGEST, Entry, decode, encode, entry_headers, stamp
from .nats_conf import subject_token
from .reader import fetch, first_of, newest_of, next_of, verified
from .streams import EVENTS

log = logging.getLogger(__name__)

BEGIN: Final = MARK + "begin"
END: Final = MARK + "end"
#: Not journaled: whoever begins or ends an exercise asks here.
CONTROL: Final = "ctl.exercise"


async def append_begin(journal: Journal, scenario: Scenario, clock: int, by: str) -> Run:
    """Journals the begin of a run at city time `clock` (µs), with what should be noticed. Raises as `Journal.append`."""
    run = Run(secrets.token_hex(4), scenario.name, scenario.title, clock, scenario.runs, by, scenario.expect)
    content = {name: value for name, value in asdict(run).items() if name not in ("seq", "end", "ended", "why")}
    return replace(run, seq=await _append(journal, BEGIN, orjson.dumps(content), clock, 0, f"{run.id}.begin"))


async def append_events(journal: Journal, run: Run, number: int, region: str, batch: pa.RecordBatch, clock: int) -> int:
    """Journals injection `number` of a run, a batch of one feed that carries the mark. The same number is taken once. Raises as `Journal.append`."""
    feed = plain(str(batch.column("feed")[0].as_py()))
    payload = encode(stamp(batch, clock))
    subject = f"{MARK}ev.{region}.{subject_token(feed)}"
    return await _append(journal, subject, payload, clock, len(batch), f"{run.id}.{number}")


async def append_end(journal: Journal, run: Run, clock: int, why: str) -> int:
    """Journals the end of a run. Raises as `Journal.append`."""
    content = orjson.dumps({"id": run.id, "at": clock, "why": why})
    return await _append(journal, END, content, clock, 0, f"{run.id}.end")


async def _append(journal: Journal, subject: str, payload: bytes, clock: int, count: int, identity: str) -> int:
    headers = entry_headers(payload, clock, time.time_ns(), count, f"exercise.{identity}")
    return (await journal.append(subject, payload, headers)).seq


async def newest_run(journal: Journal) -> Run | None:
    """The run that was begun last; its `end` is 0 while it goes on. Raises Retriable, Skippable (damaged)."""
    begin, end = await newest_of(journal, BEGIN), await newest_of(journal, END)
    run = None if begin is None else _run(begin)
    return run if run is None or end is None or end.seq < run.seq else ended(run, end)


async def all_runs(journal: Journal) -> list[Run]:
    """Every run the journal knows, oldest first. Raises as `newest_run`."""
    runs: list[Run] = []
    begin = await first_of(journal, BEGIN)
    while begin is not None:
        run, following = _run(begin), await next_of(journal, BEGIN, begin.seq + 1)
        end = await next_of(journal, END, begin.seq)
        over = end is not None and (following is None or end.seq < following.seq)
        if run is not None:
            runs.append(ended(run, end) if over and end is not None else run)
        begin = following
    return runs


def _run(begin: Entry) -> Run | None:
    """The run of a begin; one that cannot be read is said in the log and is none."""
    try:
        return run_from(orjson.loads(begin.content), begin.seq)
    except (ValueError, KeyError, TypeError) as error:
        log.error("journal entry %d begins an exercise that cannot be read: %r", begin.seq, error)
        return None


def ended(run: Run, end: Entry) -> Run:
    """The run with its end."""
    try:
        content: dict[str, Any] = orjson.loads(end.content)
        return replace(run, end=end.seq, ended=int(content["at"]), why=str(content["why"]))
    except (ValueError, KeyError, TypeError) as error:
        log.error("journal entry %d ends an exercise in words that cannot be read: %r", end.seq, error)
        return replace(run, end=end.seq, ended=end.ingest)


async def run_entries(journal: Journal, run: Run) -> AsyncIterator[Entry]:
    """What an engine of the exercise reads: the run's own events, as if their feeds were the real ones, and of everything else only the clock.
    Ends at the end of the run."""
    async for raw in verified(journal, EVENTS, run.seq, None, None):
        if not is_exercise(raw.subject):
            yield Entry(raw.seq, "tick", int(raw.headers.get(INGEST, 0)), 0, None, 0)
            continue
        yield unmarked(decode(raw.seq, raw.subject, raw.headers, raw.data))
        if raw.subject == END:
            return


async def fetch_unmarked(journal: Journal, seq: int) -> Entry:
    """One entry of an exercise again, as its engine sees it. Raises as `reader.fetch`."""
    return unmarked(await fetch(journal, seq))


def unmarked(entry: Entry) -> Entry:
    """An entry of an exercise as its engine sees it; of a real one only the clock is left."""
    if not entry.subject.startswith(MARK + "ev."):
        return Entry(entry.seq, "tick", entry.ingest, 0, None, 0)
    batch = entry.batch
    return replace(entry, subject=plain(entry.subject), batch=None if batch is None else _renamed(batch, plain))


def marked(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch whose feed says that it belongs to an exercise."""
    return _renamed(batch, lambda feed: feed if feed.startswith(MARK) else MARK + feed)


def _renamed(batch: pa.RecordBatch, rename: Any) -> pa.RecordBatch:
    index = batch.schema.get_field_index("feed")
    column = batch.column(index)
    names = pa.array([rename(name) for name in column.dictionary.to_pylist()], column.dictionary.type)
    return batch.set_column(index, batch.schema.field(index), pa.DictionaryArray.from_arrays(column.indices, names))
