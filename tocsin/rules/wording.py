"""Pieces of sentences that the words of all operators share."""

from __future__ import annotations

import math

from tocsin.model import plan
from tocsin.model.length import format_length
from tocsin.model.links import Key, Zones
from tocsin.model.predicate import Selector
from tocsin.model.time import format_span


def events(selector: Selector) -> str:
    """`fire.smoke with value >= 150 ug/m3`."""
    return selector.kind + with_(selector)


def with_(selector: Selector) -> str:
    """` with value >= 150 ug/m3`, or nothing."""
    return f" with {selector.text.partition(' where ')[2]}" if " where " in selector.text else ""


def near(within: float) -> str:
    """`within 300 m`, or `anywhere`."""
    return f"within {format_length(within)}" if math.isfinite(within) else "anywhere"


def agree(same: tuple[str, ...], differs: tuple[str, ...] = ()) -> str:
    """`, with the same attrs.zone, with different source`."""
    text = f", with the same {' and '.join(same)}" if same else ""
    return text + (f", with different {' and '.join(differs)}" if differs else "")


def each(key: Key) -> str:
    """`each source`, `each cell of 2 km`."""
    if key.by == "fields":
        return f"each {' and '.join(key.fields)}"
    if key.by == "cell":
        return f"each cell of {format_length(key.size)}"
    if key.by == "zone" and key.zones is not None:
        return f"each of {zone(key.zones)}"
    return "everything together" if key.by == "all" else f"each {key.by}"


def zone(zones: Zones) -> str:
    """`tunnels`, `North portal or South portal of tunnels`."""
    return f"{' or '.join(zones.only)} of {zones.layer}" if zones.only else zones.layer


def area(one: plan.Area) -> str:
    """Where: `inside an area of weather.warning`."""
    if isinstance(one, Zones):
        return f"inside {zone(one)}"
    if isinstance(one, plan.WarnedArea):
        return f"inside an active area of {events(one.of)} ({format_span(one.valid_for)} when it names no end)"
    if isinstance(one, plan.Around):
        return f"{near(one.within)} of the newest position of {events(one.of)} ({_old(one.valid_for)})"
    return f"in the sector of {one.width:g} degrees and {format_length(one.within)} from {events(one.of)} ({_old(one.valid_for)}) {_looks(one)}"


def _looks(one: plan.Sector) -> str:
    """Which way a sector points, with all that was written about it."""
    turn = one.turn - (180.0 if one.wind is not None else 0.0)  # `downwind` is turned by so much anyhow
    turned = f", turned by {turn:g} degrees" if turn else ""
    if one.wind is None:
        return f"along {one.bearing}{turned}"
    measured = f" {near(one.wind_within)}" if math.isfinite(one.wind_within) else ""
    return f"downwind ({events(one.wind)}{measured}, {_old(one.wind_for)}){turned}"


def _old(span: int) -> str:
    return f"not older than {format_span(span)}"


def guarded(one: plan.Guard) -> str:
    """What must or must not be the case: `ops.burn_permit is active within 1 km`."""
    if isinstance(one, plan.Within):
        return f"it is {area(one.area)}"
    if isinstance(one, plan.AlertsNear):
        joined = f" {'and' if one.how == 'all' else 'or'} ".join(one.rules)
        return f"there is an alert of {joined} {near(one.within)} in the {format_span(one.during)} before{agree(one.same)}"
    where = f" within {format_length(one.within)}" if math.isfinite(one.within) else ""
    return f"{events(one.of)} is active{where} ({format_span(one.valid_for)} when it names no end){agree(one.same)}"
