"""Response times: from one instant of a call to another, where a feed has both. A feed that has not cannot be asked."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import pyarrow as pa

from tocsin.model.asking import Filter, Patience, Refused, Tally
from tocsin.model.reporting import Report
from tocsin.model.time import SECOND
from tocsin.query.ask import Questions
from tocsin.query.localtime import zone_of
from tocsin.query.rows import quoted
from tocsin.query.tallies import groups, quantiles

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def responses(questions: Questions, wanted: Filter, begins: str, ends: str, by: str, zone: str, patience: Patience) -> Report:
    """Columns `station`, `hour` (of the day, on the clock of `zone`), `calls`, `p50_s`, `p90_s`, `p95_s`. `begins`, `ends`, `by`: attributes (`event_time` is
    one too); `by` empty: all together. Raises Refused when no event of the span has both instants, naming the attributes there are."""
    for name in (begins, ends, by or "x"):
        if not _NAME.fullmatch(name):
            raise Refused(f"attribute: found {name[:40]!r}; valid is a name of letters, digits and _")
    zone_of(zone)
    instant = {name: "event_time" if name == "event_time" else f"TRY_CAST(attrs->>'{name}' AS TIMESTAMPTZ)" for name in (begins, ends)}
    station = f"coalesce(attrs->>'{by}', '')" if by else "''"
    sql = (
        f"SELECT {station} AS station, extract('hour' FROM timezone({quoted(zone)}, {instant[begins]})) AS hour, "  # noqa: S608
        f"epoch_us({instant[ends]}) - epoch_us({instant[begins]}) AS took_us FROM {{events}} WHERE took_us >= 0"
    )
    found = questions.tally(wanted, Tally(_COLUMNS, sql, ("station", "hour", "took_us")), patience)
    if not len(found.table):
        raise Refused(f"attribute: no event of this span has both {begins} and {ends}; {_there(questions, wanted, patience)}")
    table = pa.Table.from_pylist(
        [_row(station, hour, times) for (station, hour), times in groups(found.table, ("station", "hour"))], schema=_SCHEMA
    )
    notes = ("calls without both instants, and those that end before they begin, are not counted",)
    return Report("responses", f"From {begins} to {ends}", table, (found.sql,), notes, _facts(table), _UNITS)


_COLUMNS: Final = ("event_time", "attrs", "kind", "feed")
_SCHEMA: Final = pa.schema(
    [("station", pa.string()), ("hour", pa.int64()), ("calls", pa.int64())] + [(f"p{share}_s", pa.float64()) for share in (50, 90, 95)]
)
_UNITS: Final = {"hour": "hour of the day", "calls": "calls", "p50_s": "s", "p90_s": "s", "p95_s": "s"}


def _row(station: object, hour: object, times: pa.Table) -> dict[str, object]:
    """`times`: how many calls took so long."""
    counts = times["n"].to_numpy()
    shares = quantiles(times["took_us"].to_numpy(), counts, (0.5, 0.9, 0.95))
    return {"station": station, "hour": hour, "calls": int(counts.sum())} | {
        name: took / SECOND for name, took in zip(("p50_s", "p90_s", "p95_s"), shares, strict=True)
    }


def _facts(table: pa.Table) -> tuple[tuple[str, int], ...]:
    return ("calls", int(np.sum(table["calls"].to_numpy()))), ("stations", len(table["station"].unique()))


def _there(questions: Questions, wanted: Filter, patience: Patience) -> str:
    """Which attributes the events have, and which of them look like instants."""
    sql = (
        "SELECT name, TRY_CAST(attrs->>('$.' || name) AS TIMESTAMPTZ) IS NOT NULL AS instant FROM "
        "(SELECT attrs, unnest(json_keys(attrs)) AS name FROM {events} WHERE attrs IS NOT NULL)"
    )
    rows = questions.tally(wanted, Tally(_COLUMNS, sql, ("name", "instant")), patience).table.to_pylist()
    if not rows:
        return "the events of this span have no attributes"
    times = [row["name"] for row in rows if row["instant"]]
    return f"there are {', '.join(dict.fromkeys(row['name'] for row in rows))}; instants among them: {', '.join(times) or 'none, so this feed says nothing of response times'}"
