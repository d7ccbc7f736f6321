"""Response times: from one instant of a call to another, where a feed has both. A feed that has not cannot be asked."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import pyarrow as pa

from tocsin.model.asking import Filter, Patience, Refused
from tocsin.model.reporting import Report
from tocsin.query.ask import Questions
from tocsin.query.localtime import zone_of
from tocsin.query.rows import quoted

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
    inner = (
        f"SELECT {station} AS station, extract('hour' FROM timezone({quoted(zone)}, {instant[begins]})) AS hour, "  # noqa: S608
        f"(epoch_us({instant[ends]}) - epoch_us({instant[begins]})) / 1e6 AS took FROM {{events}}"
    )
    shares = ", ".join(f"quantile_cont(took, {share / 100}) AS p{share}_s" for share in (50, 90, 95))
    sql = f"SELECT station, hour, count(*) AS calls, {shares} FROM ({inner}) WHERE took >= 0 GROUP BY 1, 2 ORDER BY 1, 2"  # noqa: S608
    found = questions.select(wanted, ("event_time", "attrs", "kind", "feed"), sql, patience)
    if not len(found.table):
        raise Refused(f"attribute: no event of this span has both {begins} and {ends}; {_there(questions, wanted, patience)}")
    notes = ("calls without both instants, and those that end before they begin, are not counted",)
    return Report("responses", f"From {begins} to {ends}", found.table, (found.sql,), notes, _facts(found.table), _UNITS)


_UNITS: Final = {"hour": "hour of the day", "calls": "calls", "p50_s": "s", "p90_s": "s", "p95_s": "s"}


def _facts(table: pa.Table) -> tuple[tuple[str, int], ...]:
    return ("calls", int(np.sum(table["calls"].to_numpy()))), ("stations", len(table["station"].unique()))


def _there(questions: Questions, wanted: Filter, patience: Patience) -> str:
    """Which attributes the events have, and which of them look like instants."""
    sql = (
        "SELECT name, count(*) AS n, count(TRY_CAST(attrs->>('$.' || name) AS TIMESTAMPTZ)) AS instants FROM "
        "(SELECT attrs, unnest(json_keys(attrs)) AS name FROM {events} WHERE attrs IS NOT NULL) GROUP BY 1 ORDER BY 1"
    )
    rows = questions.select(wanted, ("event_time", "attrs", "kind", "feed"), sql, patience).table.to_pylist()
    if not rows:
        return "the events of this span have no attributes"
    times = [row["name"] for row in rows if row["instants"]]
    return f"there are {', '.join(row['name'] for row in rows)}; instants among them: {', '.join(times) or 'none, so this feed says nothing of response times'}"
