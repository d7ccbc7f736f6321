"""How an exercise went: for each thing that should have been noticed whether it was, how long that took, and how long until a person had it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tocsin.model.exercise import UMPIRE, Detection, Run
from tocsin.model.time import SECOND, from_iso, to_iso

from .lifecycle import ENGINE, RULE

Json = dict[str, Any]
#: Steps that are not a person's.
_NOBODY: Final = frozenset({ENGINE, RULE, UMPIRE})
_TAKEN: Final = frozenset({"acknowledged", "in_progress", "resolved"})
_METRES_PER_DEGREE: Final = 6_371_008.8 * math.pi / 180


@dataclass(frozen=True, slots=True)
class Found:
    """An alert of the run as the score sees it. `at`: when it was told, `taken`: when a person took it (µs); None for not yet."""

    id: str
    rule: str
    headline: str
    at: int
    taken: int | None
    by: str
    lon: float | None
    lat: float | None
    folded: bool
    retracted: bool


def found_in(alert: Json) -> Found:
    """From the single view of an alert (docs/wiring.md)."""
    steps = [step for step in alert["history"] if step["to"] in _TAKEN and step["by"] not in _NOBODY]
    first = steps[0] if steps else None
    return Found(
        id=alert["id"],
        rule=alert["rule"],
        headline=alert["headline"],
        at=from_iso(alert["known_at"]),
        taken=None if first is None else from_iso(first["at"]),
        by="" if first is None else first["by"],
        lon=alert["lon"],
        lat=alert["lat"],
        folded=alert["parent"] is not None,
        retracted=alert["status"] == "retracted",
    )


def score(run: Run, alerts: Iterable[Json], centre: tuple[float, float]) -> Json:
    """`alerts`: the single views of the run's alerts. `centre`: of the city, degrees. Each alert answers for one detection, the earliest first; an
    alert beyond those that is neither folded under another nor retracted is false."""
    left = sorted((found_in(alert) for alert in alerts), key=lambda one: (one.at, one.id))
    rows: list[Json] = []
    for wanted in run.expect:
        answer = next((one for one in left if _answers(one, wanted, run, centre)), None)
        if answer is not None:
            left.remove(answer)
        rows.append(_row(wanted, answer, run))
    false = [one for one in left if not one.folded and not one.retracted]
    return {
        "run": run.id,
        "exercise": run.name,
        "title": run.title,
        "began": to_iso(run.at),
        "ended": None if run.ended is None else to_iso(run.ended),
        "by": run.by,
        "why": run.why,
        "detections": rows,
        "false": [{"alert": one.id, "rule": one.rule, "headline": one.headline, "at_s": (one.at - run.at) / SECOND} for one in false],
        "summary": _summary(rows, len(false)),
    }


def _answers(one: Found, wanted: Detection, run: Run, centre: tuple[float, float]) -> bool:
    if one.rule != wanted.rule or one.at < run.at + wanted.after:
        return False
    if wanted.radius is None:
        return True
    if one.lon is None or one.lat is None:
        return False
    east = (one.lon - centre[0]) * _METRES_PER_DEGREE * math.cos(math.radians(centre[1]))
    north = (one.lat - centre[1]) * _METRES_PER_DEGREE
    return math.hypot(east - wanted.east, north - wanted.north) <= wanted.radius


def _row(wanted: Detection, answer: Found | None, run: Run) -> Json:
    possible = run.at + wanted.after
    took = None if answer is None else (answer.at - possible) / SECOND
    waited = None if answer is None or answer.taken is None else (answer.taken - answer.at) / SECOND
    target = None if wanted.acknowledged is None else wanted.acknowledged / SECOND
    return {
        "name": wanted.name,
        "rule": wanted.rule,
        "verdict": "missed" if took is None else "late" if took > wanted.within / SECOND else "detected",
        "alert": None if answer is None else answer.id,
        "headline": None if answer is None else answer.headline,
        "possible_s": wanted.after / SECOND,
        "alert_s": took,
        "alert_target_s": wanted.within / SECOND,
        "acknowledged_s": waited,
        "acknowledged_target_s": target,
        "acknowledged_in_time": None if target is None else waited is not None and waited <= target,
        "by": None if answer is None or not answer.by else answer.by,
    }


def _summary(rows: Sequence[Json], false: int) -> Json:
    """Counts, and medians of the times that there are."""
    verdicts = [row["verdict"] for row in rows]
    return {
        "expected": len(rows),
        "detected": verdicts.count("detected"),
        "late": verdicts.count("late"),
        "missed": verdicts.count("missed"),
        "false": false,
        "acknowledged": sum(row["acknowledged_s"] is not None for row in rows),
        "alert_median_s": _median([row["alert_s"] for row in rows if row["alert_s"] is not None]),
        "acknowledged_median_s": _median([row["acknowledged_s"] for row in rows if row["acknowledged_s"] is not None]),
    }


def _median(values: Sequence[float]) -> float | None:
    ordered = sorted(values)
    middle = len(ordered) // 2
    if not ordered:
        return None
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
