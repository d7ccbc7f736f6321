"""How much a rule would have rung: by day and week, by place, by source, and against what the people on shift can take."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from tocsin.model.time import HOUR, format_span, to_iso

from .nouns import Allowance, Ring, Span, Trial

#: Cells of the map: a hundredth of a degree of latitude is 1.1 km; smaller ones show where exactly.
CELL: Final = 0.005
PLACES, SOURCES = 200, 20


def by_day(rings: Iterable[Ring], span: Span) -> list[dict[str, Any]]:
    """Every local day of the span, with and without alerts."""
    zone = ZoneInfo(span.timezone)
    found = Counter(_day(ring.known, zone) for ring in rings)
    day, last = _day(span.start, zone), _day(span.stop - 1, zone)
    rows = []
    while day <= last:
        rows.append({"day": day.isoformat(), "alerts": found[day]})
        day += timedelta(days=1)
    return rows


def by_week(days: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Weeks from Monday to Sunday. `days`: how many of its days the span covers."""
    weeks: dict[str, list[int]] = {}
    for row in days:
        day = date.fromisoformat(row["day"])
        weeks.setdefault((day - timedelta(days=day.weekday())).isoformat(), []).append(row["alerts"])
    return [{"week": monday, "alerts": sum(counts), "days": len(counts)} for monday, counts in weeks.items()]


def by_place(rings: Iterable[Ring]) -> list[dict[str, Any]]:
    """Cells of CELL degrees of latitude (and about as wide), most alerts first: their middle, how many, and the newest alert's words for the place."""
    cells: dict[tuple[int, int], list[Ring]] = {}
    for ring in rings:
        if ring.lon is not None and ring.lat is not None:
            row = math.floor(ring.lat / CELL)
            cells.setdefault((row, math.floor(ring.lon / _width(row))), []).append(ring)
    rows: list[dict[str, Any]] = [
        {
            "lon": round((column + 0.5) * _width(row), 6),
            "lat": round((row + 0.5) * CELL, 6),
            "alerts": len(found),
            "place": found[-1].place,
            "source": Counter(ring.source for ring in found).most_common(1)[0][0],
        }
        for (row, column), found in cells.items()
    ]
    return sorted(rows, key=lambda one: (-one["alerts"], one["lat"], one["lon"]))[:PLACES]


def _width(row: int) -> float:
    """Degrees of longitude of a cell."""
    return CELL / max(0.02, math.cos(math.radians((row + 0.5) * CELL)))


def by_source(rings: Sequence[Ring]) -> list[dict[str, Any]]:
    """Sources whose events completed most alerts, with their share of all."""
    found = Counter(ring.source for ring in rings)
    return [{"source": name, "alerts": count, "share": round(count / len(rings), 4)} for name, count in found.most_common(SOURCES)]


def verdict(rings: Sequence[Ring], allowance: Allowance | None, span: Span) -> dict[str, Any] | None:
    """Whether the rule would have asked too much of a shift: the most alerts in any stretch as long as the allowance's, and how often there were too
    many; None without an allowance."""
    if allowance is None:
        return None
    window: deque[Ring] = deque()
    most, at, over = 0, None, 0
    for ring in sorted(rings, key=lambda one: one.known):
        window.append(ring)
        while window[0].known <= ring.known - allowance.per:
            window.popleft()
        over += len(window) > allowance.alerts
        if len(window) > most:
            most, at = len(window), ring.known
    mean = len(rings) * allowance.per / max(1, span.stop - span.start)
    shown = format_span(allowance.per)
    words = (
        f"within its budget: never more than {most} in {shown} ({allowance.alerts} allowed)"
        if most <= allowance.alerts
        else f"over its budget: {over} of {len(rings)} alerts came when {allowance.alerts} in {shown} were reached, up to {most} until {to_iso(at or 0)}"
    )
    return {
        "alerts": allowance.alerts,
        "per_s": allowance.per / 1e6,
        "declared": allowance.declared,
        "most": most,
        "most_at": None if at is None else to_iso(at),
        "over": over,
        "mean": round(mean, 3),
        "exceeds": most > allowance.alerts,
        "words": words,
    }


def summary(trial: Trial, span: Span) -> dict[str, Any]:
    """The numbers people ask first."""
    standing = trial.standing
    days = max(1e-9, (span.stop - span.start) / (24 * HOUR))
    counts = [row["alerts"] for row in by_day(standing, span)]
    return {
        "alerts": len(standing),
        "retracted": len(trial.rings) - len(standing),
        "per_day": round(len(standing) / days, 3),
        "per_week": round(len(standing) / span.weeks, 3) if span.weeks else 0.0,
        "days": len(counts),
        "quiet_days": sum(not count for count in counts),
        "most_in_a_day": max(counts, default=0),
        "shown_under_others": sum(bool(ring.parent) for ring in standing),
    }


def _day(us: int, zone: ZoneInfo) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)).astimezone(zone).date()
