"""`alert.fold`: under which alert of another rule an alert is shown. Changes where it is shown, never whether it exists.

The parent is the nearest open alert of the other rule, of equally near ones the one nearest in time, then the smaller id. It is a
function of all alerts there are, so it does not depend on which of them was known first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tocsin.model.plan import Fold

from .nearby import Nearby


@dataclass(frozen=True, slots=True)
class Standing:
    """An alert as folding sees it. `closed`: when it closed by itself, -1 while it is open; `stands`: it is not retracted."""

    id: str
    rule: int
    anchor: int
    opened: int
    lon: float = math.nan
    lat: float = math.nan
    stands: bool = True
    closed: int = -1
    label: str = ""


class Folding:
    """Of one rule and the one whose alerts its alerts fold under."""

    def __init__(self, fold: Fold) -> None:
        self._during = fold.during
        self._parents: Nearby[Standing] = Nearby(fold.within)
        self._children: Nearby[Standing] = Nearby(fold.within)
        self._known: dict[str, Standing] = {}  # parents

    def parent_is(self, one: Standing) -> list[str]:
        """A possible parent is new or has changed. Whose parent it may be, now, or was where and when it stood before."""
        before, self._known[one.id] = self._known.get(one.id, one), one
        self._parents.add(one.id, one)
        found = (other for of in dict.fromkeys((before, one)) for _, _, other in self._children.around(of) if self._in_time(other, of))
        return list(dict.fromkeys(other.id for other in found))

    def _in_time(self, child: Standing, parent: Standing) -> bool:
        return abs(child.opened - parent.opened) <= self._during

    def child_is(self, one: Standing) -> None:
        """A child is new or has changed."""
        self._children.add(one.id, one)

    def forget(self, name: str) -> None:
        """An alert is gone."""
        self._known.pop(name, None)
        self._parents.remove(name)
        self._children.remove(name)

    def parent(self, child: Standing) -> str:
        """The alert it is shown under, empty for none."""
        best: tuple[float, int, str] | None = None
        for away, _, one in self._parents.around(child):
            apart = abs(one.opened - child.opened)
            if one.stands and self._in_time(child, one) and not 0 <= one.closed <= child.opened:
                best = min(best or (away, apart, one.id), (away, apart, one.id))
        return best[2] if best else ""
