"""How far an event was from passing a condition: which part of it failed, and by how much."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tocsin.correlate.headline import number, unit_words
from tocsin.correlate.phrases import metres
from tocsin.model.explanation import FAILED, HELD, Clause
from tocsin.model.predicate import And, Compare, Expr, Not, Or, Selector
from tocsin.model.severity import Severity
from tocsin.model.time import format_span, to_iso
from tocsin.model.units import canonical

from .facts import Rows
from .scene import Candidate, Scene, at_row

#: Events whose conditions are taken apart one by one.
_CLOSELY = 200
_TURNED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "==", "in": "not in", "not in": "in"}


@dataclass(frozen=True, slots=True)
class Gap:
    """One part of a condition that an event did not meet. `size`: relative to what was asked, about 0 to 1 where it is a number; 1 where not."""

    words: str
    found: str
    needed: str
    short: float | None
    unit: str
    size: float


def gaps(scene: Scene, of: Selector, row: int, valued: bool = False) -> list[Gap]:
    """What keeps an event of the right kind from passing; empty when it passes."""
    facts = scene.facts
    unit = facts.attribute(row, "unit")
    dimension = facts.kinds[int(facts.columns.kind[row])][1]
    if of.dimension not in (None, dimension):
        found = f"{unit or 'no unit'}"
        return [Gap(f"its unit is {found}, which is no {of.dimension}", found, str(of.dimension), None, "", 2.0)]
    value = float(facts.columns.value[row])
    found_gaps = []
    if of.at_least is not None and not value >= of.at_least:
        found_gaps.append(_apart("value", value, ">=", of.at_least, unit))
    elif valued and value == -math.inf:
        found_gaps.append(Gap("it has no value", "no value", "a value", None, "", 1.0))
    if of.where is not None and not facts.truth(of.where)[row]:
        found_gaps += _failing(scene, of.where, row, unit)
    return found_gaps


def _failing(scene: Scene, expr: Expr, row: int, unit: str | None) -> list[Gap]:
    """The fewest parts that would have to be otherwise."""
    if scene.facts.truth(expr)[row]:
        return []
    if isinstance(expr, And):
        return [gap for term in expr.terms for gap in _failing(scene, term, row, unit)]
    if isinstance(expr, Or):
        ways = [_failing(scene, term, row, unit) for term in expr.terms]
        return min(ways, key=lambda way: (len(way), sum(gap.size for gap in way)), default=[])
    if isinstance(expr, Not):
        return _failing_not(scene, expr.term, row, unit)
    return [_compared(scene, expr, row, unit, expr.op)]


def _failing_not(scene: Scene, term: Expr, row: int, unit: str | None) -> list[Gap]:
    if isinstance(term, Compare):
        return [_compared(scene, term, row, unit, _TURNED.get(term.op, "not exists"))]
    if isinstance(term, Not):
        return _failing(scene, term.term, row, unit)
    turned: Expr = (Or if isinstance(term, And) else And)(tuple(Not(one) for one in term.terms))
    return _failing(scene, turned, row, unit)


def _compared(scene: Scene, compare: Compare, row: int, unit: str | None, op: str) -> Gap:
    name, wanted = compare.field, compare.constant
    if name == "value":
        value = float(scene.facts.columns.value[row])
        if isinstance(wanted, int | float) and op in ("<", "<=", ">", ">=", "==", "!="):
            return _apart(name, value, op, float(wanted), unit)
    found = scene.facts.attribute(row, name)
    if found is None:
        return Gap(f"it has no {name}", "nothing", f"{name} {op} {_shown(wanted)}", None, "", 1.0)
    if name == "severity":
        return _leveled(int(found), op, wanted)
    if isinstance(found, int | float) and not isinstance(found, bool) and isinstance(wanted, int | float) and op not in ("==", "!="):
        return _apart(name, float(found), op, float(wanted), None)
    return Gap(f"{name} is {_shown(found)}, not {op} {_shown(wanted)}", _shown(found), f"{op} {_shown(wanted)}", None, "", 1.0)


def _leveled(found: int, op: str, wanted: Any) -> Gap:
    """Severities by the names the rule knows them by."""
    several = wanted if isinstance(wanted, tuple) else (wanted,)
    names = ", ".join(Severity(int(one)).name.lower() for one in several)
    needed = f"{op} ({names})" if isinstance(wanted, tuple) else f"{op} {names}"
    mine = Severity(found).name.lower()
    apart = max(1, min(abs(found - int(one)) for one in several))
    words, size = f"severity is {mine}, not {needed}", apart / len(Severity)
    if op not in ("<", "<=", ">", ">="):
        return Gap(words, mine, needed, None, "", size)
    words += f": {apart} level{'s' * (apart != 1)} {'short' if op in ('>', '>=') else 'too much'}"
    return Gap(words, mine, needed, float(apart), "1", size)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(_shown(one) for one in value) + ")"
    if isinstance(value, bool):
        return str(value).lower()
    return number(float(value)) if isinstance(value, int | float) else f"'{value}'" if isinstance(value, str) else str(value)


def _apart(name: str, value: float, op: str, wanted: float, unit: str | None) -> Gap:
    """A number and its threshold, in the unit it was sent in."""
    if not math.isfinite(value):
        return Gap(f"it has no {name}", "nothing", f"{op} {number(in_unit(wanted, unit))} {unit_words(unit)}".rstrip(), None, "", 1.0)
    mine, limit = in_unit(value, unit), in_unit(wanted, unit)
    short = float(f"{abs(limit - mine):.9g}")
    written = unit_words(unit)
    direction = "short" if op in (">", ">=") else "too much" if op in ("<", "<=") else "off"
    words = f"{name} {number(mine)} {written}".rstrip() + f", threshold {op} {number(limit)} {written}".rstrip()
    words += f": {number(short)} {written}".rstrip() + f" {direction}"
    size = short / max(abs(limit), abs(mine), 1e-300)
    return Gap(words, f"{number(mine)} {written}".rstrip(), f"{op} {number(limit)} {written}".rstrip(), short, unit or "1", min(1.0, size))


def in_unit(value: float, unit: str | None) -> float:
    """A canonical value in the unit an event was sent in."""
    known = canonical(unit) if unit is not None else None
    return value if known is None else (value - known.offset) / known.factor


def difference_in(value: float, unit: str | None) -> float:
    """A canonical difference (which has no zero point) in the unit an event was sent in."""
    known = canonical(unit) if unit is not None else None
    return value if known is None else value / known.factor


def misses(
    scene: Scene, of: Selector, clause: str, since: int, until: int, *, valued: bool = False, placed: bool = False, some: bool = True
) -> list[Candidate]:
    """Events of the right kind near the place asked about that do not pass, those that came closest first; without any, if there must be
    `some`, one candidate that says how far the nearest was, in space and in time, and when the feed was last heard."""
    mask = scene.facts.of_kind(of.kind) & scene.standing & ~scene.facts.passing(of, valued)
    rows = scene.near(mask, since, until, placed=placed)
    found = []
    for row in _closest_in_value(scene, of, rows):
        missing = gaps(scene, of, row, valued)
        if missing:
            found.append(_miss(scene, of, clause, row, missing))
    found.sort(key=lambda candidate: candidate.score)
    return found[:_CLOSELY] if found or not some else [nothing_here(scene, of, clause, since, until)]


def _closest_in_value(scene: Scene, of: Selector, rows: Rows) -> list[int]:
    """At most `_CLOSELY` rows: with a threshold those nearest to it, else the newest."""
    if len(rows) > _CLOSELY and of.at_least is not None:
        values = scene.facts.columns.value[rows]
        rows = rows[np.argsort(np.abs(values - of.at_least), kind="stable")]
        return list(map(int, rows[:_CLOSELY]))
    return list(map(int, rows[-_CLOSELY:]))


def _miss(scene: Scene, of: Selector, clause: str, row: int, missing: Sequence[Gap]) -> Candidate:
    def tell() -> Sequence[Clause]:
        first, more = missing[0], missing[1:]
        words = f"{thing(scene, row)} does not pass: {'; '.join(gap.words for gap in missing)}"
        needed = first.needed if not more else written(of)
        return (Clause(clause, FAILED, words, first.found, needed, first.short, first.unit, scene.seen([row])),)

    return at_row(scene, row, False, 1.0 + sum(gap.size for gap in missing), tell)


def nothing_here(scene: Scene, of: Selector, clause: str, since: int, until: int) -> Candidate:
    """No event of the kind near enough in this stretch: the nearest one, and the one that came next in time."""

    def tell() -> Sequence[Clause]:
        words, short, unit, rows = _nearest(scene, of, since, until)
        return (Clause(clause, FAILED, words, "none", written(of), short, unit, scene.seen(rows)),)

    return Candidate(-1, scene.at, math.nan, math.nan, False, 10.0, tell)


def _nearest(scene: Scene, of: Selector, since: int, until: int) -> tuple[str, float | None, str, list[int]]:
    facts = scene.facts
    where = f" within {metres(scene.within)}" if scene.somewhere and math.isfinite(scene.within) else ""
    span = max(until - since, 0) // 1_000_000 * 1_000_000
    text = f"no event of {of.kind} came{where} in the {format_span(span)} up to {to_iso(until // 1_000_000 * 1_000_000)}"
    kind = np.flatnonzero(facts.of_kind(of.kind) & scene.standing)
    inside = kind[(facts.time[kind] >= since) & (facts.time[kind] <= until)]
    short, unit, rows = None, "", list[int]()
    if scene.somewhere and len(inside):
        away = facts.metres(scene.lon, scene.lat, inside)
        if np.isfinite(away).any():
            row = int(inside[np.nanargmin(away)])
            least = float(np.nanmin(away))
            short, unit, rows = least - scene.within, "m", [row]
            text += f"; the nearest was {metres(least)} away, {metres(short)} too far ({thing(scene, row)})"
        unplaced = int(np.count_nonzero(~np.isfinite(away)))
        text += f"; {unplaced} had no coordinates" if unplaced else ""
    elif len(kind):
        before, after = kind[facts.time[kind] < since], kind[facts.time[kind] > until]
        if len(before):
            gap = since - int(facts.time[before[-1]])
            short, unit, rows = gap / 1e6, "s", [int(before[-1])]
            text += f"; the last one before was {format_span(gap // 1_000_000 * 1_000_000)} too early"
        elif len(after):
            text += f"; the next one came {format_span((int(facts.time[after[0]]) - until) // 1_000_000 * 1_000_000)} later"
    return text + heard(scene, of), short, unit, rows


def heard(scene: Scene, of: Selector) -> str:
    """When the feeds that give such events were last heard."""
    mask = scene.facts.of_kind(of.kind)
    feeds = {scene.facts.names[code][0] for code in np.unique(scene.facts.columns.source[mask]).tolist()}
    feeds |= {feed for feed, kinds in scene.feeds.items() if any(kind == of.kind or kind.startswith(of.kind + ".") for kind in kinds)}
    told = []
    for feed in sorted(feeds)[:4]:
        last = scene.newest.get(feed)
        told.append(f"feed {feed} last heard at {to_iso(last // 1_000_000 * 1_000_000)}" if last is not None else f"feed {feed} not heard")
    if not told:
        return f"; no feed gave an event of {of.kind} in what was read"
    return "; " + ", ".join(told)


def thing(scene: Scene, row: int) -> str:
    """An event in a few words: `smoke S-31 at 182 ug/m3, 2017-07-04T02:11:09Z`."""
    seen = scene.facts.seen(row)
    name = f"{seen.kind.rsplit('.', 1)[-1].replace('_', ' ')} {seen.source or seen.id}"
    if seen.value is not None:
        name += f" at {number(seen.value)} {unit_words(seen.unit)}".rstrip()
    return f"{name}, {clock(seen.event_time)}"


def clock(time: int) -> str:
    """An instant to the second, UTC: whoever shows it says it in the reader's time."""
    return to_iso(time // 1_000_000 * 1_000_000)


def written(of: Selector) -> str:
    """A selector as written."""
    text = of.text.strip()
    if not text or text == of.kind:
        return of.kind
    return text if text.startswith(of.kind) else f"{of.kind} where {text}"


def passed(scene: Scene, of: Selector, clause: str, row: int) -> Clause:
    """The clause that an event passes its selector."""
    return Clause(clause, HELD, f"{thing(scene, row)} passes", thing(scene, row), written(of), 0.0, "", scene.seen([row]))
