"""Questions to the benchmark's archive, cold and warm: wall and processor time, memory, and what each draw gave, for peers to be held against.

Warm: the same process and engine, the first asking apart. Cold: files out of the page cache (`bench/fresh.py`), engine and catalogue opened anew for each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import archive_data as data
from bench.archive_questions import HOW, PATIENCE, Answer, Question, Span, questions, questions_of_a_day
from bench.fresh import cached_share, how_cold, in_fresh, put_out
from tocsin.archive.holdings import Archive
from tocsin.model.archive import Want
from tocsin.model.time import DAY
from tocsin.query.ask import Questions
from tocsin.query.engine import Engine
from tocsin.query.places import Places
from tocsin.query.rows import Limits

if TYPE_CHECKING:
    from bench.archive import Context

SEED = 5
Timed = tuple[float, float, Answer]  # wall ms, processor ms


def measure(context: Context) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Lines of the table and keys of the summary. What the draws gave is put into `context.asked` and `context.asked_of_a_day`."""
    draws = 12 if context.quick else 24
    (lines, asked, of_a_day), peak = in_fresh(run, context.folder, context.folder.parent / "places.db", draws, context.threads)
    context.asked, context.asked_of_a_day = asked, of_a_day
    incident = {line["tier"]: line for line in lines if line.get("tier")}
    worst = incident.get("day") or incident.get("month")
    return lines, {
        "incident_p95_ms": worst["warm"]["p95_ms"] if worst else None,
        "incident_p95_ms_by_tier": {tier: line["warm"]["p95_ms"] for tier, line in incident.items()},
        "questions_rss_mb": peak,
        "questions_missed": [line["question"] for line in lines if line.get("met") is False],
    }


def run(archive: Path, places: Path, draws: int, threads: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """(lines, the draws and answers of each question, those of the questions of one day)."""
    span = span_of(archive)
    with asked_of(archive, places, threads) as made, made.engine.session(PATIENCE) as session, made.holdings.look(Want()) as look:
        learnt = timed(lambda: [made.places.learn(session, look.files)])
    lines: list[dict[str, Any]] = [
        {"part": "questions", "question": "where each source has been, learnt once", "files": learnt[2][0], "wall_ms": round(learnt[0]), "cpu_ms": round(learnt[1])}
    ]  # fmt: skip
    asked = [ask(archive, places, question, draws, threads, cold=True) for question in questions(span)]
    last = (span.stop - 1) // DAY * DAY
    of_a_day = [
        ask(archive, places, question, draws, threads, cold=False)
        for question in questions_of_a_day(last - DAY if last > span.start + DAY else span.start)
    ]
    return [*lines, *(one["line"] for one in asked)], asked, of_a_day


def span_of(archive: Path) -> Span:
    """Whole days of what there is; recent: the first day of which no row lies in the month tier."""
    holdings = Archive(archive)
    with holdings.look(Want()) as look:
        start = min(file.start for file in look.files if file.rows > 100_000)
        stop = max(file.stop for file in look.files if file.rows > 100_000)
        recent = max((file.stop for file in look.files if file.tier == "month"), default=start)
    holdings.close()
    whole = (start - data.FIRST + DAY - 1) // DAY * DAY + data.FIRST
    return Span(
        whole - (DAY if whole - start > DAY // 2 else 0),
        -(-stop // DAY) * DAY if stop % DAY > DAY // 2 else stop // DAY * DAY,
        -(-recent // DAY) * DAY,
    )


def ask(archive: Path, places: Path, question: Question, draws: int, threads: int, *, cold: bool) -> dict[str, Any]:
    """`line`: for the table; `how`, `args`, `answers`: for peers."""
    rng = np.random.default_rng(SEED)
    drawn = [question.draw(rng) for _ in range(draws)]
    with asked_of(archive, places, threads) as made:
        first = timed(partial(HOW[question.how], made, drawn[0]))
        warm = [timed(partial(HOW[question.how], made, one)) for one in drawn]
        with made.holdings.look(Want()) as look:
            rows, files = look.rows, len(look.files)
    line: dict[str, Any] = {
        "part": "questions", "question": question.name, "engine": "tocsin", "of_rows": rows, "of_files": files, "aim_ms": question.aim_ms,
        "first_ms": round(first[0], 1), "warm": summary(warm),
    }  # fmt: skip
    if question.aim_ms is not None:
        line["met"] = line["warm"]["p95_ms"] <= question.aim_ms
    if "tier" in question.name:
        line["tier"] = "day" if "day tier" in question.name else "month"
    if cold:
        line |= asked_cold(archive, places, question, drawn[: max(3, draws // 4)], threads)
    return {
        "name": question.name,
        "how": question.how,
        "args": drawn,
        "answers": [answer for _, _, answer in warm],
        "line": line,
        "peers": question.peers,
    }


def asked_cold(archive: Path, places: Path, question: Question, drawn: list[dict[str, Any]], threads: int) -> dict[str, Any]:
    times, left = [], []
    for one in drawn:
        put_out(archive)
        left.append(cached_share(archive))
        with asked_of(archive, places, threads) as made:
            times.append(timed(partial(HOW[question.how], made, one)))
    return {"cold": summary(times), "cold_how": how_cold(), "still_cached": round(max(left), 4)}


def timed(asked: Callable[[], Answer]) -> Timed:
    wall, cpu = time.perf_counter(), time.process_time()
    found = asked()
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3, found


def summary(times: list[Timed]) -> dict[str, float]:
    wall, cpu, answers = zip(*times, strict=True)
    return {
        "p50_ms": round(float(np.percentile(wall, 50)), 1), "p95_ms": round(float(np.percentile(wall, 95)), 1),
        "cpu_p50_ms": round(float(np.percentile(cpu, 50)), 1), "cpu_p95_ms": round(float(np.percentile(cpu, 95)), 1),
        "rows": round(float(np.mean([answer[0] for answer in answers]))), "draws": len(times),
    }  # fmt: skip


@contextmanager
def asked_of(archive: Path, places: Path, threads: int) -> Iterator[Questions]:
    made = Questions(Archive(archive), Places(places), engine=Engine(threads=threads), limits=Limits(rows=1 << 62))
    try:
        yield made
    finally:
        made.close()
