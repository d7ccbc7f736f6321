"""Operators that keep a history, areas and alerts: what in them can never fire, contradicts itself, or would fire on everything."""

from __future__ import annotations

import math
from typing import Final

from tocsin.model.plan import Accumulate, Alerts, Change, Inside, Operator, Rate, Timer, ZoneEvent
from tocsin.model.predicate import covers
from tocsin.model.time import format_span
from tocsin.model.units import resolve

from .check_areas import check_area
from .check_conditions import check_units, implied
from .common_keys import HISTORY_MAX
from .defaults import needs_gap
from .findings import Looked
from .selectors import value_dimensions

#: How the amounts of operators are written, for a value in some unit.
_EXAMPLES: Final = {"by": "by: 20 {unit}", "slope": "slope: 20 {unit}/h", "integral": "integral: 20 {unit}.h", "above": "above: 20 {unit}"}


def check_history(one: Looked, when: Operator) -> None:
    """One such operator."""
    if isinstance(when, Change):
        _change(one, when)
    elif isinstance(when, Rate):
        _rate(one, when)
    elif isinstance(when, Accumulate):
        _accumulate(one, when)
    elif isinstance(when, Inside):
        _inside(one, when)
    elif isinstance(when, ZoneEvent):
        _zone(one, when)
    elif isinstance(when, Timer):
        _timer(one, when)
    elif isinstance(when, Alerts):
        _alerts(one, when)


def _one_of(one: Looked, table: str, names: tuple[str, ...], example: str) -> bool:
    """Whether exactly one of some keys was written; says so when not."""
    found = [name for name in names if one.wrote(f"{table}.{name}")]
    if len(found) == 1:
        return True
    what = f"{' and '.join(found)} exclude one another" if found else f"one of {', '.join(names)} is missing"
    one.bad(f"{table}.{found[1]}" if found else table, f"{what}; write exactly one, as in {example}")
    return False


def _change(one: Looked, when: Change) -> None:
    table = "when.change"
    if _one_of(one, table, ("by", "slope"), "by: 20 cm"):
        key = "by" if when.by is not None else "slope"
        _measured(one, f"{table}.{key}", f"{table}.of", when.of.kind, _dimension_of_change(one, key))


def _dimension_of_change(one: Looked, key: str) -> str:
    amount = one.rule.amounts[f"when.change.{key}"]
    unit = amount.unit or "1"
    return resolve(unit if key == "by" else f"({unit}).s").dimension


def _measured(one: Looked, path: str, of: str, kind: str, dimension: str) -> None:
    """The amount's dimension against the condition's and against the feeds'."""
    compared = value_dimensions(one.rule.conditions[of])
    written = str(one.rule.amounts[path].unit) or "1"
    if compared and compared[0] != dimension:
        one.bad(path, f"{written} belongs to a value of {dimension}, but of compares value in {compared[0]}")
    makers = [feed for feed in one.feeds or () if feed.makes(kind)]
    if one.feeds is not None and makers and not compared:
        check_units(one, path, kind, dimension, written, makers, _EXAMPLES[path.rpartition(".")[2]])


def _rate(one: Looked, when: Rate) -> None:
    amount, valued = one.rule.amounts["when.rate.above"], when.measure in ("sum", "mean")
    if valued:
        _measured(one, "when.rate.above", "when.rate.of", when.of.kind, resolve(amount.unit or "1").dimension)
    elif amount.unit and resolve(amount.unit).dimension != "number":
        one.bad("when.rate.above", f"{amount} is no number of events; write a plain number, or measure: sum")
    if when.measure != "sources" and one.wrote("when.rate.distinct"):
        one.bad("when.rate.distinct", "says how sources are told apart, but they are not counted; write measure: sources, or leave it out")
    if not valued and when.above < 0:
        one.bad("when.rate.above", f"would always hold: there are never fewer than no events; write above: {max(1, -int(when.above))}")
    elif not valued and when.above == 0 and when.baseline is None and when.windows == 1:
        one.doubt("when.rate.above", "holds as soon as there is one event; a match says that more plainly, or write above: 3")
    if when.baseline is not None and not when.baseline.sigmas and not when.least:
        one.doubt("when.rate.baseline.sigmas", "every second hour exceeds its mean; write sigmas: 3, or least")
    if when.during * when.windows > HISTORY_MAX:
        whole = format_span(when.during * when.windows)
        one.bad("when.rate.windows", f"the windows together last {whole}; at most {format_span(HISTORY_MAX)}")


def _accumulate(one: Looked, when: Accumulate) -> None:
    table = "when.accumulate"
    if not _one_of(one, table, ("total", "integral"), "total: 3 h"):
        return
    if when.integral is None and when.total > when.during:
        one.bad(f"{table}.total", f"can never fire: {format_span(when.total)} in all do not fit in during, {format_span(when.during)}")
    if when.integral is not None:
        unit = one.rule.amounts[f"{table}.integral"].unit or "1"
        first = next(path for path in one.rule.conditions if path.startswith(f"{table}.of"))
        _measured(one, f"{table}.integral", first, when.of.kind, resolve(f"({unit})/s").dimension)
    if when.also and when.key.by == "source" and one.feeds is not None:
        makers = [{feed.feed for feed in one.feeds if feed.makes(each.kind)} for each in (when.of, *when.also)]
        if all(makers) and not set.intersection(*makers):
            kinds = " and ".join(each.kind for each in (when.of, *when.also))
            one.bad(
                f"{table}.of",
                f"can never fire: no source gives {kinds}, they come from different feeds; write each: attrs.<name>, or each: all",
            )


def _inside(one: Looked, when: Inside) -> None:
    table = "when.inside"
    check_area(one, table, when.area)
    layer = one.wrote(f"{table}.zone")
    if when.standing and layer:
        one.bad(f"{table}.standing", "is about areas that appear, but those of a layer are always there; leave it out")
    if one.wrote(f"{table}.keep") and not when.standing:
        one.bad(f"{table}.keep", "is about standing, which is missing; write standing: true, or leave it out")
    for name in ("same", "differs"):
        if layer and one.wrote(f"{table}.{name}"):
            one.bad(f"{table}.{name}", "compares fields of two events, but the areas of a layer are none; leave it out")
    for name in when.same:
        if name in when.differs:
            one.bad(f"{table}.same", f"can never fire: no two events agree in {name} and differ in it; take it out of one of the two")


def _zone(one: Looked, when: ZoneEvent) -> None:
    table = "when.zone"
    if not _one_of(one, table, ("enters", "leaves", "dwells", "stays"), "enters: tunnels"):
        return
    timed = when.what in ("dwells", "stays")
    if timed and not when.lasting:
        one.bad(table, f"'for' is missing: how long it {when.what}; write for: 10 min")
    elif not timed and when.lasting:
        one.bad(f"{table}.for", f"a place is {'entered' if when.what == 'enters' else 'left'} at once; leave it out, or write dwells")
    if timed and needs_gap(one.rule):
        one.bad(f"{table}.for", f"max_gap is missing and no feed of {when.of.kind} declares expected_every; write max_gap: 2 min")


def _timer(one: Looked, when: Timer) -> None:
    for span in when.warn:
        if span >= when.during:
            one.bad(
                "when.timer.warn",
                f"a warning {format_span(span)} before a deadline after {format_span(when.during)} comes before its start; write less",
            )
    if when.repeat and when.until is None:
        one.doubt("when.timer.repeat", "nothing ever stops it; write until")
    written = one.rule.conditions
    if (
        when.until is not None
        and covers(when.until.kind, when.of.kind)
        and implied(written["when.timer.since"], written["when.timer.until"])
    ):
        one.refuse("when.timer.until", "can never fire: what starts it also stops it; write another condition")


def _alerts(one: Looked, when: Alerts) -> None:
    table = f"when.{when.how}"
    if when.how == "all" and len(when.rules) == 1:
        one.bad(f"{table}.of", "all of one rule is any of it; name a second rule, or write any")
    if when.how == "any" and when.least > 1 and not when.during:
        one.bad(table, "'during' is missing: length of the window that holds all of them")
    if when.how == "any" and when.least == 1:
        for name in ("within", "during", "same", "differs"):
            if one.wrote(f"{table}.{name}"):
                one.bad(f"{table}.{name}", "is about several alerts, but one is enough; write alerts: 2, or leave it out")
    if math.isinf(when.within) and (when.how == "all" or when.least > 1) and not when.same:
        one.doubt(table, "alerts of the whole city are put together; write within, or same")
    for name in when.same:
        if name in when.differs:
            one.bad(f"{table}.same", f"can never fire: no two alerts agree in {name} and differ in it; take it out of one of the two")
