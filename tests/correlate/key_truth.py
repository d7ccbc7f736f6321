"""Whose history a fact belongs to, for the oracle of histories: written from `model.links.Key`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from area_truth import in_box
from correlate_harness import link
from oracle import EARTH, Fact

from tocsin.model.plan import Key


class Own(NamedTuple):
    """`rank` orders keys; `text` is the key as baselines and alerts write it; `label` tells alerts of one anchor apart."""

    rank: Any
    text: str
    label: str


def histories(key: Key, facts: list[Fact]) -> Iterator[tuple[Own, list[Fact]]]:
    """The facts of every key."""
    found: dict[Own, list[Fact]] = {}
    for fact in facts:
        for own in keys(key, fact):
            found.setdefault(own, []).append(fact)
    yield from found.items()


def keys(key: Key, fact: Fact) -> list[Own]:
    """None, one, or one for each zone the fact lies in."""
    if key.by == "source":
        feed, source = fact.source or ("", None)
        return [Own((feed, source is not None, source or ""), f"{feed}/{source or ''}", "")]
    if key.by == "all":
        return [Own(0, "all", "")]
    if key.by == "zone":
        return [Own(i, zone.name, zone.name) for i, zone in enumerate(key.zones.zones) if in_box(zone, fact)]
    value, text = _value(key, fact)
    return [] if value is None else [Own(str(value), text, text)]


def _value(key: Key, fact: Fact) -> tuple[Any, str]:
    if key.by == "feed":
        return (fact.source[0], fact.source[0]) if fact.source else (None, "")
    if key.by == "fields":
        values = tuple(link(fact, name) for name in key.fields)
        return (None, "") if None in values else (values, "/".join(map(str, values)))
    assert key.by == "cell"
    if not fact.placed:
        return None, ""
    metres = EARTH * math.pi / 180
    row = math.floor(fact.lat * metres / key.size)
    shrunk = metres * math.cos(math.radians((row + 0.5) * key.size / metres))
    column = math.floor(fact.lon * shrunk / key.size)
    return (row, column), f"{row}:{column}"


def stops(key: Key, stop: Fact, start: Fact) -> set[Any]:
    """Of which of the start's keys a stop stops the timer: in fields, those that agree with it in what it has."""
    if key.by != "fields":
        return {own.rank for own in keys(key, stop)}
    agree = all(link(stop, name) in (None, link(start, name)) for name in key.fields)
    return {own.rank for own in keys(key, start)} if agree else set()
