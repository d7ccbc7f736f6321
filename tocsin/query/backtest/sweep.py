"""One number of a rule tried at many values: what each would have meant, and which one to take."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from tocsin.kernel.fault import Misconfigured, Problem

from .nouns import Allowance, Incident, Matching, Span, Trial
from .overlap import overlap
from .tally import summary, verdict

#: Values that are tried at most.
MOST: Final = 40
_NUMBER: Final = r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)"
_RANGE: Final = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?::({_NUMBER}))?")
_VALID: Final = "KEY=FROM..TO, KEY=FROM..TO:STEP or KEY=A,B,C, as in 'cluster.sources=2..6' or 'value>=100..300:50'"


@dataclass(frozen=True, slots=True)
class Sweep:
    """`key`: which number of the rule; `values`: as people write them, in the order given."""

    key: str
    values: tuple[str, ...]


def parse(text: str) -> Sweep:
    """What was asked for. Raises Misconfigured."""
    key, equals, span = text.rpartition("=")
    key = key.strip()
    if not equals or not key or not span.strip():
        raise _wrong(text, "has no KEY and values")
    found = _RANGE.fullmatch(span.strip())
    if found is not None:
        return Sweep(key, _steps(text, *found.groups()))
    values = tuple(one.strip() for one in span.split(","))
    if not all(re.fullmatch(_NUMBER, one) for one in values):
        raise _wrong(text, f"has {span.strip()!r} where numbers are expected")
    return Sweep(key, _few(text, values))


def _steps(text: str, first: str, last: str, step: str | None) -> tuple[str, ...]:
    try:
        low, high, by = Decimal(first), Decimal(last), Decimal(step) if step else Decimal(1)
    except InvalidOperation:
        raise _wrong(text, "has a number that is none") from None
    if by <= 0 or high < low:
        raise _wrong(text, "goes nowhere: the step must be above 0 and the end not before the beginning")
    count = int((high - low) / by) + 1
    return _few(text, tuple(str(low + by * place) for place in range(min(count, MOST + 1))))


def _few(text: str, values: tuple[str, ...]) -> tuple[str, ...]:
    if len(values) > MOST:
        raise _wrong(text, f"tries more than {MOST} values; take a larger step")
    return tuple(dict.fromkeys(values))


def _wrong(text: str, what: str) -> Misconfigured:
    return Misconfigured([Problem("--sweep", 0, f"{text!r} {what}; valid is {_VALID}")])


def table(
    trials: Sequence[tuple[str, Trial]], span: Span, incidents: Sequence[Incident] | None, how: Matching, allowance: Allowance | None
) -> list[dict[str, Any]]:
    """One row a value."""
    rows = []
    for value, trial in trials:
        numbers = summary(trial, span)
        row = {"value": value, "alerts": numbers["alerts"], "per_week": numbers["per_week"], "retracted": numbers["retracted"]}
        if incidents is not None:
            found = overlap(trial.rings, incidents, how)
            early = found["early_s"]
            row |= {"caught": found["caught"], "missed": found["missed"], "alerts_without": found["alerts_without"]}
            row["early_s"] = None if early is None else early["median"]
        judged = verdict(trial.standing, allowance, span)
        if judged is not None:
            row |= {"over_budget": judged["over"], "exceeds": judged["exceeds"]}
        rows.append(row)
    return rows


def suggestion(rows: Sequence[dict[str, Any]], now: str | None) -> dict[str, Any] | None:
    """Which value to take, and why; None when there is nothing to choose from. `now`: the value the rule has.

    With incidents: of the values that catch most (at least 95 % of the best), the one with fewest alerts that are for nothing; without: where the alerts
    per week change least from one value to the next, among those within the budget, because there it matters least to be a little wrong.
    """
    usable = [row for row in rows if not row.get("exceeds")] or list(rows)
    usable = [row for row in usable if row["alerts"]] or usable
    if not usable:
        return None
    over = (
        ""
        if len(usable) == len(rows) or all(row.get("exceeds") for row in rows)
        else "; values that ask too much of a shift, or never ring, are left out"
    )
    if any(row.get("caught") for row in usable):
        best = max(row["caught"] for row in usable)
        good = [row for row in usable if row["caught"] >= 0.95 * best]
        chosen = min(good, key=lambda row: (row["alerts_without"], -row["caught"], rows.index(row)))
        why = (
            f"it catches {chosen['caught']} of {chosen['caught'] + chosen['missed']} incidents (the most any value catches is {best})"
            f" with {chosen['alerts_without']} alerts that no incident followed, the fewest of the values that catch about as many"
        )
    else:
        chosen = _flattest(rows, usable)
        why = f"around it the number of alerts changes least ({chosen['per_week']:g} a week), so it matters least to be a little wrong"
        if any("caught" in row for row in rows):
            why += "; no value catches any of the incidents"
        else:
            why += "; name real incidents with --incidents to choose by what is caught"
    return {"value": chosen["value"], "now": now, "why": why + over, "changes": now is not None and _plain(now) != _plain(chosen["value"])}


def _flattest(rows: Sequence[dict[str, Any]], usable: Sequence[dict[str, Any]]) -> dict[str, Any]:
    def steepness(row: dict[str, Any]) -> float:
        place = next(i for i, one in enumerate(rows) if one is row)
        near = [rows[i] for i in (place - 1, place + 1) if 0 <= i < len(rows)]
        most = max(one["alerts"] for one in (row, *near)) or 1
        return max((abs(one["alerts"] - row["alerts"]) / most for one in near), default=0.0)

    return min(usable, key=lambda row: (round(steepness(row), 6), row["alerts"]))


def _plain(value: str) -> Decimal | str:
    try:
        return Decimal(value).normalize()
    except InvalidOperation:
        return value
