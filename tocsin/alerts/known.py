"""The alerts as they were known at a moment that moves: what a replay shows, read from the tables of the live view and never written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
import sqlalchemy as sa

from .store import AlertStore
from .tables import ALERTS, HISTORY, REVISIONS
from .view import CHILDREN_MAX, AlertsView, Filter, Json, child_json, paged, single

#: Everything that ever changed an alert, in the order of the stream.
_STEPS: Final = sa.union_all(
    sa.select(REVISIONS.c.alert, REVISIONS.c.seq, REVISIONS.c.heard), sa.select(HISTORY.c.alert, HISTORY.c.seq, HISTORY.c.heard)
).subquery()
_AT_ONCE: Final = 2000  # steps looked at in one move of the clock


class KnownAlerts:
    """Reads what `view` has, up to a place in the ALERTS stream. `advance` moves that place; until then nothing is known. Any thread may ask."""

    def __init__(self, store: AlertStore, view: AlertsView) -> None:
        self._store, self._view = store, view
        self._position = 0

    @property
    def last_seq(self) -> int:
        """Stream sequence up to which is known."""
        return self._position

    def jump(self, clock: int) -> int:
        """To everything heard up to city time `clock` (µs), from anywhere. Returns the new position."""
        with self._store.reading() as db:
            self._position = db.execute(sa.select(sa.func.max(_STEPS.c.seq)).where(_STEPS.c.heard <= clock)).scalar() or 0
        return self._position

    def advance(self, clock: int) -> int:
        """Onward to city time `clock` (µs). Returns the new position."""
        with self._store.reading() as db:
            while True:
                steps = db.execute(_after(self._position).limit(_AT_ONCE)).all()
                known = [step.seq for step in steps if step.heard <= clock]
                self._position = max(known, default=self._position)
                if len(known) < _AT_ONCE:
                    return self._position

    def find(self, wanted: Filter, limit: int, cursor: str | None) -> tuple[Sequence[Json], str | None]:
        """As `AlertsView.find`; `wanted.at` looks further back, never ahead. Raises ValueError for a cursor it did not give."""
        return paged(self._store, self._view, self._known(wanted.at), wanted, limit, cursor)

    def get(self, alert: str) -> Json | None:
        """The single view as it was known: its evidence, its history and the alerts under it up to then."""
        with self._store.reading() as db:
            row = db.execute(self._known().where(ALERTS.c.id == alert)).first()
            if row is None:
                return None
            under = db.execute(self._known().where(ALERTS.c.parent == alert).order_by(ALERTS.c.known_at, ALERTS.c.id)).all()
            mine = sa.and_(HISTORY.c.alert == alert, HISTORY.c.seq <= self._position)
            steps = db.execute(sa.select(HISTORY).where(mine).order_by(HISTORY.c.seq)).all()
        children = [self._view.listed(one) for one in under if (orjson.loads(one.body).get("parent") or None) == alert]
        return single(self._view.listed(row), row.body, [child_json(one) for one in children[:CHILDREN_MAX]], steps)

    def counts(self) -> Mapping[str, int]:
        """Alerts by state."""
        return self._count("state")

    def counts_by_rule(self) -> Mapping[str, int]:
        return self._count("rule")

    def changes(self, since: int, limit: int) -> Sequence[tuple[int, Json]]:
        """Alerts changed after stream sequence `since`, as they are known, in order of their last change."""
        last = sa.func.max(_STEPS.c.seq).label("changed")
        recent = (
            sa.select(_STEPS.c.alert, last)
            .where(_STEPS.c.seq > since, _STEPS.c.seq <= self._position)
            .group_by(_STEPS.c.alert)
            .order_by(last)
            .limit(limit)
        )
        with self._store.reading() as db:
            changed = {row.alert: int(row.changed) for row in db.execute(recent)}
            rows = {row.id: row for row in db.execute(self._known().where(ALERTS.c.id.in_(list(changed))))}
        return [(seq, self._view.listed(rows[alert])) for alert, seq in changed.items() if alert in rows]

    def _count(self, column: str) -> dict[str, int]:
        frame = self._known().subquery()
        query = sa.select(frame.c[column], sa.func.count()).group_by(frame.c[column])
        with self._store.reading() as db:
            return {str(name): int(count) for name, count in db.execute(query)}

    def _known(self, at: int | None = None) -> sa.Select[Any]:
        """Every alert with its newest revision and state up to the position, and, with `at`, not heard after that (µs)."""
        told, moved = REVISIONS.alias("told"), HISTORY.alias("moved")
        here = [told.c.alert == ALERTS.c.id, told.c.seq <= self._position]
        there = [moved.c.alert == ALERTS.c.id, moved.c.seq <= self._position]
        if at is not None:
            here.append(told.c.heard <= at)
            there.append(moved.c.heard <= at)
        newest = sa.select(sa.func.max(told.c.revision)).where(*here).scalar_subquery()
        last = sa.select(sa.func.max(moved.c.seq)).where(*there).scalar_subquery()
        then = (REVISIONS.c.severity, REVISIONS.c.revision, HISTORY.c.to_state.label("state"), HISTORY.c.owner, REVISIONS.c.body)
        return (
            sa.select(ALERTS.c.id, ALERTS.c.rule, ALERTS.c.known_at, *then)
            .select_from(ALERTS)
            .join(REVISIONS, sa.and_(REVISIONS.c.alert == ALERTS.c.id, REVISIONS.c.revision == newest))
            .join(HISTORY, HISTORY.c.seq == last)
        )


def _after(position: int) -> sa.Select[Any]:
    return sa.select(_STEPS.c.seq, _STEPS.c.heard).where(_STEPS.c.seq > position).order_by(_STEPS.c.seq)
