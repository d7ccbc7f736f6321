"""Does an alert still hold after some of its evidence was withdrawn? (SEMANTICS 7)

The recheck is simple on purpose, so that a person can do it in the head: it counts what is left against the least the rule
asks for. It does not search for other events that might now complete the rule; those raise it again when they arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tocsin.model.alert import Evidence
from tocsin.model.plan import Absence, Cluster, Match, Operator, Silence

#: Role of the event that started the clock of an absence (`firing.Firings.role`).
AFTER: Final = 30


def holds(when: Operator, left: Sequence[Evidence], roles: Sequence[int], lost: Sequence[int]) -> bool:
    """`left` and `roles`: the evidence that stands; `lost`: the roles of what was withdrawn.

    match: an event that completed it (of several samples in a row only the last is evidence). cluster: enough events from enough sources. sequence: no step without an
    event. absence: the event that started the clock. silence: always, because one event less was heard.
    """
    if isinstance(when, Match):
        return bool(left)
    if isinstance(when, Cluster):
        return len(left) >= when.events and len(sources(left)) >= when.sources
    if isinstance(when, Absence):
        return AFTER in roles
    if isinstance(when, Silence):
        return True
    return not set(lost) - set(roles)


def sources(evidence: Sequence[Evidence]) -> set[tuple[str, str | None]]:
    """Distinct sources; events of a feed that name none count as one, as in the kernels."""
    return {(event.feed, event.source) for event in evidence}
