"""Changes of the alerts view that are shown already and not yet in its tables: gathered, and written many at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import Connection

from .tables import ALERTS, HISTORY, REVISIONS

if TYPE_CHECKING:
    from .fold import Fold

Row = dict[str, Any]
# Made once: building a statement costs more than running it.
_DROP = sa.delete(ALERTS).where(ALERTS.c.id == sa.bindparam("gone"))
_ADD = {table.name: sa.insert(table) for table in (ALERTS, REVISIONS, HISTORY)}


@dataclass(slots=True)
class Unwritten:
    """`alerts`: newest row of each alert that changed; `stored`: those of them that have an older row in the tables. `position`,
    `heard`: of the view with all of it."""

    position: int = 0
    heard: int = 0
    alerts: dict[str, Row] = field(default_factory=dict)
    stored: set[str] = field(default_factory=set)
    revisions: list[Row] = field(default_factory=list)
    history: list[Row] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.revisions) + len(self.history)

    def add(self, fold: Fold) -> None:
        """What one batch of messages came to."""
        for name, row in fold.changed.items():
            if name not in self.alerts and name in fold.known:
                self.stored.add(name)
            self.alerts[name] = row
        self.revisions += fold.revisions
        self.history += fold.history
        self.position, self.heard = fold.position, fold.heard

    def follow(self, later: Unwritten) -> None:
        """Takes over what came after it."""
        self.stored |= later.stored - self.alerts.keys()
        self.alerts |= later.alerts
        self.revisions += later.revisions
        self.history += later.history
        if later.position:
            self.position, self.heard = later.position, later.heard

    def after(self, position: int) -> Unwritten:
        """What of it is not in tables that are at `position` already: somebody else has read the same stream, or an answer was lost on its way."""
        alerts = {name: row for name, row in self.alerts.items() if row["changed"] > position}
        return Unwritten(
            position=self.position if self.position > position else 0,
            heard=self.heard,
            alerts=alerts,
            stored=set(alerts),  # an older row of any of them may be there by now
            revisions=[row for row in self.revisions if row["seq"] > position],
            history=[row for row in self.history if row["seq"] > position],
        )

    def write(self, db: Connection) -> None:
        """Into the tables, in the transaction of `db`."""
        gone = [{"gone": name} for name in self.alerts if name in self.stored]
        if gone:
            db.execute(_DROP, gone)
        for table, rows in ((ALERTS, list(self.alerts.values())), (REVISIONS, self.revisions), (HISTORY, self.history)):
            if rows:
                db.execute(_ADD[table.name], rows)


def overlay(names: set[str], *layers: Mapping[str, Row]) -> dict[str, Row]:
    """The rows of those names that are in one of the layers; the first layer that has one counts."""
    found: dict[str, Row] = {}
    for layer in layers:
        found |= {name: layer[name] for name in names & layer.keys() if name not in found}
    return found
