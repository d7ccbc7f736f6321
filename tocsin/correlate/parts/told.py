"""Alert parts for the metrics: what was folded, closed, beyond a budget, and what is kept for it."""

from __future__ import annotations

from collections.abc import Iterable

from tocsin.correlate.ledger import Case
from tocsin.correlate.meters import Sample

from .cases import CaseParts


def part_samples(parts: CaseParts, cases: Iterable[Case]) -> list[Sample]:
    """Nothing for a plan whose alerts have none of these parts."""
    over = [
        Sample("alerts_over_budget", "counter", "New alerts beyond their rule's budget.", number, f'rule="{rule}"')
        for rule, number in parts.counts()
    ]
    if not parts:
        return over
    known = list(cases)
    kept, dropped = parts.sizes()
    return [
        *over,
        Sample("alerts_folded", "gauge", "Remembered alerts that are shown under another one.", sum(bool(case.parent) for case in known)),
        Sample("alerts_closed", "gauge", "Remembered alerts that their rule has closed.", sum(case.closed >= 0 for case in known)),
        Sample("beside_events", "gauge", "Events kept to be shown with alerts or to make them worse.", kept),
        Sample("beside_dropped", "counter", "Such events forgotten because there were too many.", dropped),
    ]
