"""Two versions of a rule over the same history: what only one of them rang for, and what both did, earlier or later."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from .nouns import Ring, Trial

LISTED: Final = 500


def pairs(one: Sequence[Ring], other: Sequence[Ring]) -> list[tuple[Ring, Ring]]:
    """Alerts that speak of the same: they rest on a common event, those with most in common first; each alert is in one pair at most. Of alerts without
    evidence (a source never heard) those about the same source."""
    resting: dict[tuple[str, str], list[int]] = {}
    for place, ring in enumerate(other):
        for key in _keys(ring):
            resting.setdefault(key, []).append(place)
    found = []
    for place, ring in enumerate(one):
        common: dict[int, int] = {}
        for key in _keys(ring):
            for there in resting.get(key, ()):
                common[there] = common.get(there, 0) + 1
        found += [(-count, abs(ring.known - other[there].known), place, there) for there, count in common.items()]
    left, right, chosen = set(), set(), []
    for _, _, place, there in sorted(found):
        if place not in left and there not in right:
            left.add(place)
            right.add(there)
            chosen.append((one[place], other[there]))
    return sorted(chosen, key=lambda pair: (pair[0].known, pair[0].id))


def _keys(ring: Ring) -> Sequence[tuple[str, str]]:
    return tuple(dict.fromkeys(ring.rests)) or (("", ring.source),)


def diff(before: Trial, after: Trial) -> dict[str, Any]:
    """`before`: the rule; `after`: the other version. Alerts that were taken back are left out of both."""
    one, other = before.standing, after.standing
    both = pairs(one, other)
    paired = {ring.id for ring, _ in both}, {ring.id for _, ring in both}
    only = [ring for ring in one if ring.id not in paired[0]], [ring for ring in other if ring.id not in paired[1]]
    shift = [(second.known - first.known) / 1e6 for first, second in both]
    return {
        "a": {"rule": before.rule, "version": before.version, "alerts": len(one), "only": len(only[0])},
        "b": {"rule": after.rule, "version": after.version, "alerts": len(other), "only": len(only[1])},
        "both": len(both),
        "b_later_s": {"median": round(median(shift), 1), "most": round(max(shift), 1), "least": round(min(shift), 1)} if shift else None,
        "only_a": [ring.as_json() for ring in only[0][:LISTED]],
        "only_b": [ring.as_json() for ring in only[1][:LISTED]],
        "pairs": [
            {"a": first.id, "b": second.id, "b_later_s": round((second.known - first.known) / 1e6, 1), "headline": first.headline}
            for first, second in both[:LISTED]
        ],
    }
