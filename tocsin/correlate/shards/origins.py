"""What an engine's output does not say of a match that a history found: what brought it about, and where."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tocsin.correlate.engine import Engine
from tocsin.correlate.kernels.layout import LONG_AGO, NEVER
from tocsin.correlate.series.outlet import KernelOutlet
from tocsin.correlate.series.sample import Found
from tocsin.correlate.series.track import Ticket
from tocsin.model.plan import Plan

from .matches import ARRIVED, DEADLINE, WITHDRAWN

#: `cause`: position of the event that brought the match about, or took it back; `NEVER` for the clock or a withdrawal. `lon`, `lat`: of its anchor, degrees.
ORIGIN = np.dtype([("cause", "<i8"), ("lon", "<f8"), ("lat", "<f8")])


class OriginEngine(Engine):
    """An `Engine` for rules of which no two matches are joined, so that every call of a history is one row of the output."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._origins: list[tuple[int, float, float]] = []
        super().__init__(*arguments, **options)

    def origins(self) -> NDArray[np.void]:
        """Of the rows of histories said since the last call, in their order; of ORIGIN."""
        said = np.array(self._origins, ORIGIN)
        self._origins.clear()
        return said

    def _outlet(self, rule: int) -> KernelOutlet:
        return _Noted(self._origins, self._memory, rule, self._said)

    def heir(self, plan: Plan, corrects: frozenset[str] | None) -> OriginEngine:
        """As `successor`."""
        made = self.successor(plan, corrects)
        assert isinstance(made, OriginEngine)
        return made

    def _heir(self, plan: Plan, corrects: frozenset[str] | None) -> OriginEngine:
        return OriginEngine(plan, self._sizes, corrects)


class _Noted(KernelOutlet):
    def __init__(self, origins: list[tuple[int, float, float]], *arguments: Any) -> None:
        super().__init__(*arguments)
        self._origins = origins

    def fire(self, found: Found, label: str, cause: int) -> tuple[int, int]:
        self._origins.append((cause, found.anchor.lon, found.anchor.lat))
        return super().fire(found, label, cause)

    def amend(self, ticket: Ticket, found: Found, cause: int) -> None:
        if ticket.number >= 0:
            self._origins.append((cause, found.anchor.lon, found.anchor.lat))
        super().amend(ticket, found, cause)

    def take_back(self, ticket: Ticket, cause: int) -> None:
        if ticket.number >= 0:
            self._origins.append((cause, ticket.found.anchor.lon, ticket.found.anchor.lat))
        super().take_back(ticket, cause)


def placed(rows: NDArray[np.void], origins: NDArray[np.void], phase: int, watermark: int) -> None:
    """Fills in what these say of the rows (of MATCH) they belong to. `phase`: of the call; `watermark`: before the clock moved. Deadlines up to there had passed, and come
    first: what they found is put right before anything else is due."""
    came = origins["cause"] < NEVER
    rows["lon"], rows["lat"] = origins["lon"], origins["lat"]
    if phase == WITHDRAWN:
        return
    due = np.where(rows["time"] <= watermark, LONG_AGO, rows["time"])
    rows["phase"] = np.where(came, ARRIVED, DEADLINE)
    rows["cause"] = np.where(came, origins["cause"], due)
