"""Whether feeds were heard when they should have been, and how late what they said arrived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import pyarrow as pa

from tocsin.model.asking import Filter, Patience, Tally
from tocsin.model.reporting import Report
from tocsin.model.time import LATEST, MINUTE, SECOND, to_iso
from tocsin.query.ask import Questions
from tocsin.query.tallies import groups, quantiles


@dataclass(frozen=True, slots=True)
class Declared:
    """Of a feed. `every`: a word is expected at least so often, µs; None: nothing is. `recorded`: it plays a recording, which ends and is not silent then."""

    every: int | None = None
    recorded: bool = False


@dataclass(frozen=True, slots=True)
class _Heard:
    """Of one feed, instants in µs, of receipt. `words`: those of the span and the last one before, in order, to the minute. `since`, `until`: what counts of the span."""

    words: tuple[int, ...]
    since: int
    until: int


def feeds(
    questions: Questions, wanted: Filter, declared: Mapping[str, Declared], patience: Patience, now: int, listening: int | None = None
) -> Report:
    """Columns `feed`, `events`, `uptime` (share of the time with a word at most `every` ago; null where the feed declares none), `longest_gap_s`,
    `delay_p50_s`, `delay_p95_s`, `delay_max_s` (learnt minus happened, to the millisecond), `early` (events of the future), `since`. A feed counts from its own first word, however
    long before the span that was, and one that never spoke from the first word of any: who was not there yet cannot be late. What happened before
    counts for no delay: it was a stock, not news. `now`: the span ends there. `listening`: the node was not there before, whatever was played to it, µs."""
    words, sql = _words(questions, wanted, patience)
    before = _before(questions, wanted, [*words, *declared], words, patience)
    stretches = _stretches(wanted, words, before, declared, now, listening)
    notes: tuple[str, ...] = ("uptime and delay are of what came live: imported history (negative seq) is left out",)
    rows = list[dict[str, object]]()
    queries: tuple[str, ...] = (sql,)
    if stretches:
        delays, told = _delays(questions, wanted, {name: one.since for name, one in stretches.items()}, patience)
        rows = [_row(name, delays.get(name, {}), one, declared.get(name, Declared()).every) for name, one in sorted(stretches.items())]
        first, last = min(one.since for one in stretches.values()), max(one.until for one in stretches.values())
        counted = f"counted from {to_iso(first)} to {to_iso(last)}, each feed from its first word on (since), a recording to its last"
        notes, queries = (*notes, f"{counted}; what had happened before counts for no delay"), (told, sql)
    return Report("feeds", "Uptime and delay of feeds", pa.Table.from_pylist(rows, schema=_SCHEMA), queries, notes, units=_UNITS)


_UNITS = {
    "events": "events", "uptime": "share of the time since, 0 to 1", "longest_gap_s": "s", "delay_p50_s": "s", "delay_p95_s": "s", "delay_max_s": "s", "early": "events",
}  # fmt: skip
_SCHEMA = pa.schema(
    [("feed", pa.string()), ("events", pa.int64()), ("uptime", pa.float64()), ("longest_gap_s", pa.float64())]
    + [(name, pa.float64()) for name in ("delay_p50_s", "delay_p95_s", "delay_max_s")]
    + [("early", pa.int64()), ("since", pa.timestamp("us", "UTC"))]
)
_COLUMNS = ("seq", "feed", "event_time", "ingest_time")


def _words(questions: Questions, wanted: Filter, patience: Patience) -> tuple[dict[str, list[int]], str]:
    """Minutes of the span in which each feed was heard, in order, and the statement."""
    sql = f"SELECT feed, epoch_us(ingest_time) // {MINUTE} AS minute FROM {{events}} WHERE seq >= 0"  # noqa: S608
    answer = questions.tally(wanted, Tally(_COLUMNS, sql, ("feed", "minute")), patience)
    found: dict[str, list[int]] = {}
    for feed, minute in zip(answer.table["feed"].to_pylist(), answer.table["minute"].to_pylist(), strict=True):
        found.setdefault(feed, []).append(minute * MINUTE)
    return found, answer.sql


def _before(
    questions: Questions, wanted: Filter, names: Sequence[str], words: Mapping[str, Sequence[int]], patience: Patience
) -> dict[str, int]:
    """The last word before the span, of those feeds that did not speak as it began."""
    start = wanted.start
    if start is None:
        return {}
    quiet = tuple(sorted({name for name in names if _asked(wanted, name) and words.get(name, [LATEST])[0] > start + MINUTE}))
    if not quiet:
        return {}
    sql = "SELECT feed, epoch_us(ingest_time) AS last FROM {events} WHERE seq >= 0"
    earlier = replace(wanted, start=None, stop=start, feeds=quiet)
    found = questions.tally(earlier, Tally(_COLUMNS, sql, ("feed",), ("last",)), patience).table
    return dict(zip(found["feed"].to_pylist(), found["last"].to_pylist(), strict=True))


def _asked(wanted: Filter, name: str) -> bool:
    return not wanted.feeds or name in wanted.feeds


def _stretches(
    wanted: Filter,
    words: Mapping[str, Sequence[int]],
    before: Mapping[str, int],
    declared: Mapping[str, Declared],
    now: int,
    listening: int | None,
) -> dict[str, _Heard]:
    """Of every feed that spoke, or should have spoken; nothing where none ever did."""
    spoken = {name: tuple(sorted((*((before[name],) if name in before else ()), *words.get(name, ())))) for name in {*words, *before}}
    if not spoken:
        return {}
    end = max(one[-1] for one in spoken.values()) + MINUTE if now == LATEST else now
    stop = end if wanted.stop is None else min(wanted.stop, end)
    floor = max((one for one in (wanted.start, listening) if one is not None), default=0)
    begun = max(floor, min(one[0] for one in spoken.values()))
    due = {name for name, one in declared.items() if one.every is not None and _asked(wanted, name)}
    found = {}
    for name in {*words, *due}:
        heard = spoken.get(name, ())
        since = max(floor, heard[0]) if heard else begun
        until = min(stop, heard[-1] + MINUTE) if heard and declared.get(name, Declared()).recorded else stop
        found[name] = _Heard(heard, since, max(since, until))
    return found


def _delays(
    questions: Questions, wanted: Filter, since: Mapping[str, int], patience: Patience
) -> tuple[dict[str, Mapping[str, object]], str]:
    """By feed, of what happened since, and the statement."""
    whens = " ".join(f"WHEN '{name.replace(chr(39), chr(39) * 2)}' THEN {at}" for name, at in sorted(since.items()))
    sql = (
        "SELECT feed, floor((epoch_us(ingest_time) - epoch_us(event_time)) / 1000)::BIGINT AS late_ms, "  # noqa: S608
        f"epoch_us(event_time) >= CASE feed {whens} END AS news FROM {{events}} WHERE seq >= 0"
    )
    answer = questions.tally(wanted, Tally(_COLUMNS, sql, ("feed", "late_ms", "news")), patience)
    return {name: _late(late) for (name,), late in groups(answer.table, ("feed",))}, answer.sql


def _late(late: pa.Table) -> Mapping[str, object]:
    """Of one feed: how many events came so late, ms, and whether they are news."""
    news = late.filter(late["news"])
    counts, told = late["n"].to_numpy(), news["late_ms"].to_numpy()
    found = {"events": int(counts.sum()), "early": int(counts[late["late_ms"].to_numpy() < 0].sum())}
    if not len(told):
        return found
    middle, most = quantiles(told, news["n"].to_numpy(), (0.5, 0.95))
    return found | {"p50": middle / 1e3, "p95": most / 1e3, "longest": int(told.max()) / 1e3}


def _row(name: str, one: Mapping[str, object], heard: _Heard, expected: int | None) -> dict[str, object]:
    counted = heard.until - heard.since
    pairs = [(a, min(b, heard.until)) for a, b in pairwise((*(heard.words or (0,)), heard.until)) if a < heard.until]
    missing = None if expected is None or not counted else sum(max(0, b - max(heard.since, a + expected + MINUTE)) for a, b in pairs)
    return {
        "feed": name, "events": one.get("events", 0), "uptime": None if missing is None else 1 - missing / counted,
        "longest_gap_s": max((max(0, b - max(a, heard.since)) for a, b in pairs), default=0) / SECOND, "since": heard.since,
        "delay_p50_s": one.get("p50"), "delay_p95_s": one.get("p95"), "delay_max_s": one.get("longest"), "early": one.get("early", 0),
    }  # fmt: skip
