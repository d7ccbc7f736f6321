"""Whether feeds were heard when they should have been, and how late what they said arrived."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pyarrow as pa

from tocsin.model.asking import Filter, Patience, Refused
from tocsin.model.reporting import Report
from tocsin.model.time import MINUTE, SECOND, to_iso
from tocsin.query.ask import Questions


def feeds(questions: Questions, wanted: Filter, expected: Mapping[str, int | None], patience: Patience, now: int) -> Report:
    """Columns `feed`, `events`, `uptime` (share of the span with a word at most `expected` ago; null where the feed declares none), `longest_gap_s`,
    `delay_p50_s`, `delay_p95_s`, `delay_max_s` (learnt minus happened), `early` (events of the future). `expected`: µs by feed, as declared.
    It counts from the first word of any feed in the span, because a node that was not there cannot have heard, to the end of the span or `now`."""
    if wanted.start is None or wanted.stop is None:
        raise Refused("span: found none; valid is a start and an end")
    delay = "(epoch_us(ingest_time) - epoch_us(event_time)) / 1e6"
    delays = (
        f"SELECT feed, count(*) AS events, quantile_cont({delay}, 0.5) AS p50, quantile_cont({delay}, 0.95) AS p95, max({delay}) AS longest, "  # noqa: S608
        f"count(*) FILTER ({delay} < 0) AS early FROM {{events}} WHERE seq >= 0 GROUP BY 1 ORDER BY 1"
    )
    heard = f"SELECT feed, epoch_us(ingest_time) // {MINUTE} AS minute FROM {{events}} WHERE seq >= 0 GROUP BY 1, 2 ORDER BY 1, 2"  # noqa: S608
    columns = ("seq", "feed", "event_time", "ingest_time", "kind")
    first, second = (questions.select(wanted, columns, sql, patience) for sql in (delays, heard))
    minutes: dict[str, list[int]] = {}
    for feed, minute in zip(second.table["feed"].to_pylist(), second.table["minute"].to_pylist(), strict=True):
        minutes.setdefault(feed, []).append(minute * MINUTE)
    begun = min((stretch[0] for stretch in minutes.values()), default=wanted.start)
    start, stop = max(wanted.start, begun), max(wanted.start + 1, begun + 1, min(wanted.stop, now))
    rows = [_row(one, minutes[one["feed"]], expected.get(one["feed"]), start, stop) for one in first.table.to_pylist()]
    silent = sorted(feed for feed, span in expected.items() if span is not None and feed not in minutes and wanted.feeds in ((), (feed,)))
    rows += [
        _row(
            {"feed": feed, "events": 0, "p50": None, "p95": None, "longest": None, "early": 0},
            [],
            expected[feed],
            start,
            stop,
        )
        for feed in silent
    ]
    notes = (
        "uptime and delay are of what came live: imported history (negative seq) is left out",
        f"counted from {to_iso(start)}, the first word of any feed, to {to_iso(stop)}",
    )
    made = pa.Table.from_pylist(rows, schema=_SCHEMA)
    return Report("feeds", "Uptime and delay of feeds", made, (first.sql, second.sql), notes, units=_UNITS)


_UNITS = {
    "events": "events", "uptime": "share of the span, 0 to 1", "longest_gap_s": "s", "delay_p50_s": "s", "delay_p95_s": "s", "delay_max_s": "s", "early": "events",
}  # fmt: skip
_SCHEMA = pa.schema(
    [("feed", pa.string()), ("events", pa.int64()), ("uptime", pa.float64()), ("longest_gap_s", pa.float64())]
    + [(name, pa.float64()) for name in ("delay_p50_s", "delay_p95_s", "delay_max_s")]
    + [("early", pa.int64())]
)


def _row(one: Mapping[str, object], minutes: list[int], expected: int | None, start: int, stop: int) -> dict[str, object]:
    """`minutes`: instants (µs) of the minutes with a word, in order."""
    inside = [at for at in minutes if start <= at < stop]
    edges = [start, *inside, stop]
    gaps = [after - before for before, after in pairwise(edges)]
    missing = None if expected is None else stop - start if not inside else sum(max(0, gap - expected - MINUTE) for gap in gaps)
    return {
        "feed": one["feed"], "events": one["events"], "uptime": None if missing is None else 1 - missing / (stop - start),
        "longest_gap_s": max(gaps) / SECOND, "delay_p50_s": one["p50"], "delay_p95_s": one["p95"], "delay_max_s": one["longest"], "early": one["early"],
    }  # fmt: skip
