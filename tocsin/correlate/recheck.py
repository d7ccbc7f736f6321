"""Does an alert still hold after some of its evidence was withdrawn? (SEMANTICS 7)

The rule is asked again about what is left of the alert's own evidence: some events of it must still lie together as the rule wants. It does
not search for other events that might now complete the rule; those raise it again when they arrive.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tocsin.model.alert import Evidence
from tocsin.model.plan import Cluster, Match, Operator
from tocsin.model.plan import Sequence as Steps
from tocsin.model.predicate import Selector, covers

from .sphere import distance

#: Role of the event that started the clock of an absence, and of the first step of a sequence (`firing.Firings.role`).
AFTER: Final = 30
FIRST_STEP: Final = 10
#: Role of the event that started a timer, in an early warning.
EARLY: Final = 32
#: Combinations tried for one anchor of a `min_gap` rule; after that the alert is left standing.
PATIENCE: Final = 20_000


class Piece(NamedTuple):
    """An event of an alert's evidence: its role as the engine numbers it and the time it was matched by (clamped), µs."""

    event: Evidence
    role: int
    time: int


def holds(when: Operator, pieces: Sequence[Piece], matches: int) -> bool:
    """`pieces`: all evidence that is left. `matches`: how many matches of the alert have neither lost the event that completed them
    nor been taken back by the engine; this alone counts where the rule is not about what its evidence has in common (what did not happen, what changed)."""
    if isinstance(when, Match):
        return bool(pieces)
    if isinstance(when, Cluster):
        return any(_clustered(when, anchor, pieces) for anchor in pieces) if _enough(when, pieces) else False
    if isinstance(when, Steps):
        return _in_steps(when, pieces)
    return matches > 0


def sources(evidence: Sequence[Evidence]) -> set[tuple[str, str | None]]:
    """Distinct sources; events of a feed that name none count as one, as in the kernels."""
    return {(event.feed, event.source) for event in evidence}


def near(a: Evidence, b: Evidence, radius: float) -> bool:
    """Within a radius, metres, edge included; never when one has no place."""
    if a.lon is None or a.lat is None or b.lon is None or b.lat is None:
        return False
    return distance(a.lon, a.lat, b.lon, b.lat) <= radius * (1 + 1e-9) + 1e-8


def _enough(when: Cluster, pieces: Sequence[Piece]) -> bool:
    return len(pieces) >= when.events and len(sources([piece.event for piece in pieces])) >= when.sources


def _clustered(when: Cluster, anchor: Piece, pieces: Sequence[Piece]) -> bool:
    """Whether the condition holds around one event, in some window that contains it."""
    around = sorted(
        (piece for piece in pieces if piece is not anchor and near(anchor.event, piece.event, when.within)), key=lambda p: p.time
    )
    times = [piece.time for piece in around]
    ends = [anchor.time, *(time for time in times if anchor.time < time <= anchor.time + when.during)]
    for end in ends:
        inside = [anchor, *around[bisect_left(times, end - when.during) : bisect_right(times, end)]]
        if _enough(when, inside) and (when.min_gap <= 0 or _spaced(when, anchor, inside[1:])):
            return True
    return False


def _spaced(when: Cluster, anchor: Piece, others: Sequence[Piece]) -> bool:
    """Whether enough distinct sources have events that are pairwise `min_gap` apart."""
    patience = PATIENCE

    def search(chosen: list[Piece], rest: Sequence[Piece]) -> bool:
        nonlocal patience
        if len(chosen) >= when.sources:
            return True
        for i, piece in enumerate(rest):
            patience -= 1
            if patience < 0:
                return True
            taken = sources([one.event for one in chosen])
            apart = all(abs(piece.time - one.time) >= when.min_gap for one in chosen)
            if apart and (piece.event.feed, piece.event.source) not in taken and search([*chosen, piece], rest[i + 1 :]):
                return True
        return False

    return search([anchor], others)


def _in_steps(when: Steps, pieces: Sequence[Piece]) -> bool:
    """Whether a chain of steps is left. An event stands for the step it was told as, or for one that asks for nothing but its kind. Fields in
    which a chain must agree or differ are not asked again."""
    if when.any_order:
        return any(_around(when, first, pieces) for first in _step(0, when.first, pieces))
    reached = list(_step(0, when.first, pieces))
    for number, link in enumerate(when.then, 1):
        reached = [
            piece
            for piece in _step(number, link.of, pieces)
            if any(
                link.min_gap <= piece.time - before.time <= link.max_gap
                and piece.event.seq != before.event.seq
                and near(before.event, piece.event, link.within)
                for before in reached
            )
        ]
    return bool(reached)


def _around(when: Steps, first: Piece, pieces: Sequence[Piece]) -> bool:
    """Whether every later step has an event near the first one's, in any order."""
    return all(
        any(
            link.min_gap <= abs(piece.time - first.time) <= min(link.max_gap, when.during or link.max_gap)
            and piece.event.seq != first.event.seq
            and near(first.event, piece.event, link.within)
            for piece in _step(number, link.of, pieces)
        )
        for number, link in enumerate(when.then, 1)
    )


def _step(number: int, selector: Selector, pieces: Sequence[Piece]) -> Iterator[Piece]:
    plain = selector.at_least is None and selector.where is None and selector.dimension is None
    for piece in pieces:
        if piece.role == FIRST_STEP + number or (plain and covers(selector.kind, piece.event.kind)):
            yield piece
