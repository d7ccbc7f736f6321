"""Which facts make a chain of steps or a company of alerts: for the oracle of histories (SEMANTICS 10, 21)."""

from __future__ import annotations

import itertools
import math

from area_truth import linked
from oracle import Fact, near, passes

from tocsin.model.plan import Alerts, Sequence


def chain(when: Sequence, anchor: Fact, known: list[Fact]) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The first chain in the order of preference: (facts it rests on, evidence)."""
    selectors = (when.first, *(step.of for step in when.then))
    n = len(selectors)
    newest_first = sorted(known, key=lambda f: (f.time, f.seq), reverse=True)
    for here in range(n - 1, -1, -1):
        if not passes(selectors[here], anchor):
            continue
        others = [i for i in range(n) if i != here] if when.any_order else [*range(here - 1, -1, -1), *range(here + 1, n)]
        for chosen in itertools.product(*([f for f in newest_first if passes(selectors[i], f)] for i in others)):
            steps = {here: anchor, **dict(zip(others, chosen, strict=True))}
            if len({f.seq for f in steps.values()}) == n and chained(when, [steps[i] for i in range(n)]):
                order = [here, *(i for i in range(n - 1, -1, -1) if i != here)]
                seqs = tuple(steps[i].seq for i in order)
                return seqs, seqs
    return None


def chained(when: Sequence, steps: list[Fact]) -> bool:
    times = [f.time for f in steps]
    if when.during and max(times) - min(times) > when.during:
        return False
    for i, step in enumerate(when.then):
        a, b = steps[0 if when.any_order else i], steps[i + 1]
        gap = abs(b.time - a.time) if when.any_order else b.time - a.time
        if not step.min_gap <= gap <= step.max_gap or not (step.within == math.inf or near(a, b, step.within)):
            return False
    return all(linked(when.same, when.differs, a, b) for a, b in itertools.combinations(steps, 2))


def company(when: Alerts, anchor: Fact, facts: list[Fact], events: dict[int, Fact]) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Alerts that belong together with the one that arrives."""
    newest_first = sorted(facts, key=lambda f: (f.time, f.seq), reverse=True)
    if when.how == "all":
        needed = [[f for f in newest_first if f.kind == rule] for rule in when.rules if rule != anchor.kind]
    else:
        needed = [newest_first] * (when.least - 1)
    for chosen in itertools.product(*needed):
        alle = [anchor, *chosen]
        times = [f.time for f in alle]
        close = all(when.within == math.inf or near(anchor, f, when.within) for f in chosen)
        if len({f.seq for f in alle}) == len(alle) and max(times) - min(times) <= when.during and close:
            seqs = dict.fromkeys(events[f.seq].seq if f is not anchor else anchor_event(anchor, events) for f in alle)
            return tuple(f.seq for f in alle), tuple(seq for seq in seqs if seq >= 0)
    return None


def anchor_event(anchor: Fact, events: dict[int, Fact]) -> int:
    return events[anchor.seq].seq
