"""What people ask of the alerts: the queue now, the queue as it was known at some time, one alert whole, what changed since."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import orjson
import sqlalchemy as sa

from tocsin.kernel.fault import Retriable
from tocsin.model.exercise import run_of
from tocsin.model.plan import RulePlan
from tocsin.model.severity import Severity
from tocsin.model.time import SECOND, to_iso

from .store import AlertStore
from .tables import ALERTS, HISTORY, REVISIONS

Json = dict[str, Any]
_TIMES = ("opened", "known_at", "updated")
#: Alerts shown under one alert in its single view, those known first.
CHILDREN_MAX = 200


class Filter(Protocol):
    """`at`: as it was known at this journal clock (µs), None for now. Empty tuples filter nothing."""

    @property
    def states(self) -> tuple[str, ...]: ...
    @property
    def rules(self) -> tuple[str, ...]: ...
    @property
    def severities(self) -> tuple[str, ...]: ...
    @property
    def at(self) -> int | None: ...


_IDS = 500  # in one question


class AlertsView:
    """Reads an `AlertStore`. JSON as docs/wiring.md says. `rules`: the city's rules by name, for titles and reasons to exist."""

    def __init__(self, store: AlertStore, rules: Mapping[str, RulePlan]) -> None:
        self._store = store
        self._rules = rules
        self._counted: dict[str, dict[str, int]] = {}

    @property
    def last_seq(self) -> int:
        return self._store.position

    def declare(self, rules: Mapping[str, RulePlan]) -> None:
        """Other rules are in force; those that went keep their titles, because their alerts stay."""
        self._rules = {**self._rules, **rules}

    def find(self, wanted: Filter, limit: int, cursor: str | None) -> tuple[Sequence[Json], str | None]:
        """Newest known first. Raises ValueError for a cursor it did not give."""
        query = self._now() if wanted.at is None else self._then(wanted.at)
        return paged(self._store, self, query, wanted, limit, cursor)

    def get(self, alert: str) -> Json | None:
        """The single view with `evidence`, `context`, `history` and the alerts shown under it."""
        with self._store.reading() as db:
            row = db.execute(self._now().where(ALERTS.c.id == alert)).first()
            if row is None:
                return None
            under = db.execute(self._now().where(ALERTS.c.parent == alert).order_by(ALERTS.c.known_at, ALERTS.c.id)).all()
            steps = db.execute(sa.select(HISTORY).where(HISTORY.c.alert == alert).order_by(HISTORY.c.seq)).all()
        return single(self.listed(row), row.body, [child_json(self.listed(one)) for one in under[:CHILDREN_MAX]], steps)

    def whole(self, start: int, stop: int, limit: int) -> list[Json]:
        """Alerts that became known in a span (city time, µs), newest first, with status, evidence and history: what reports count. None of an exercise."""
        query = (
            self._now()
            .where(ALERTS.c.known_at >= start, ALERTS.c.known_at < stop)
            .order_by(ALERTS.c.known_at.desc(), ALERTS.c.id.desc())
            .limit(limit)
        )
        steps: dict[str, list[Json]] = {}
        with self._store.reading() as db:
            rows = db.execute(query).all()
            for first in range(0, len(rows), _IDS):
                named = [row.id for row in rows[first : first + _IDS]]
                for step in db.execute(sa.select(HISTORY).where(HISTORY.c.alert.in_(named)).order_by(HISTORY.c.seq)):
                    steps.setdefault(step.alert, []).append({"to": step.to_state, "note": step.note, "by": step.by})
        return [{**orjson.loads(row.body), "state": row.state, "history": steps.get(row.id, [])} for row in rows if not run_of(row.id)]

    def ids(self, accepts: Callable[[str], bool]) -> list[str]:
        """The ids of alerts that `accepts` takes."""
        with self._store.reading() as db:
            return [name for name in db.execute(sa.select(ALERTS.c.id)).scalars() if accepts(name)]

    def counts(self) -> Mapping[str, int]:
        """Alerts by state; while the tables are away, as counted last."""
        return self._count(ALERTS.c.state)

    def counts_by_rule(self) -> Mapping[str, int]:
        """Likewise by rule."""
        return self._count(ALERTS.c.rule)

    def changes(self, since: int, limit: int) -> Sequence[tuple[int, Json]]:
        """Alerts changed after ALERTS stream sequence `since`, in order of their last change."""
        kept = self._store.changes.after(since, limit)
        if kept is not None:
            return [(change.changed, self._shown(dict(change.content), change.state, change.owner)) for change in kept]
        query = self._now().where(ALERTS.c.changed > since).order_by(ALERTS.c.changed).limit(limit)
        with self._store.reading() as db:
            return [(row.changed, self.listed(row)) for row in db.execute(query)]

    def _count(self, column: sa.Column[str]) -> dict[str, int]:
        try:
            with self._store.reading() as db:
                rows = db.execute(sa.select(column, sa.func.count()).group_by(column)).all()
        except Retriable:  # /readyz and the metrics say so
            return self._counted.get(column.name, {})
        self._counted[column.name] = {str(name): int(count) for name, count in rows}
        return self._counted[column.name]

    @staticmethod
    def _now() -> sa.Select[Any]:
        newest = sa.and_(REVISIONS.c.alert == ALERTS.c.id, REVISIONS.c.revision == ALERTS.c.revision)
        return sa.select(ALERTS, REVISIONS.c.body).join(REVISIONS, newest)

    @staticmethod
    def _then(at: int) -> sa.Select[Any]:
        """What was known at city time `at`: the stream up to the last message heard by then."""
        told, moved = REVISIONS.alias("told"), HISTORY.alias("moved")
        newest = sa.select(sa.func.max(told.c.revision)).where(told.c.alert == ALERTS.c.id, told.c.heard <= at).scalar_subquery()
        last = sa.select(sa.func.max(moved.c.seq)).where(moved.c.alert == ALERTS.c.id, moved.c.heard <= at).scalar_subquery()
        then = (REVISIONS.c.severity, REVISIONS.c.revision, HISTORY.c.to_state.label("state"), HISTORY.c.owner, REVISIONS.c.body)
        return (
            sa.select(ALERTS.c.id, ALERTS.c.rule, ALERTS.c.known_at, *then)
            .select_from(ALERTS)
            .join(REVISIONS, sa.and_(REVISIONS.c.alert == ALERTS.c.id, REVISIONS.c.revision == newest))
            .join(HISTORY, HISTORY.c.seq == last)
            .where(ALERTS.c.known_at <= at)
        )

    def listed(self, row: Any) -> Json:
        """The list view of a row with `body`, `state` and `owner`."""
        alert: Json = orjson.loads(row.body)
        alert.pop("evidence")
        alert.pop("context", None)
        return self._shown(alert, row.state, row.owner)

    def _shown(self, alert: Json, state: str, owner: str | None) -> Json:
        severity = Severity(alert["severity"])
        rule = self._rules.get(alert["rule"])
        for name in _TIMES:
            alert[name] = to_iso(alert[name])
        closed = alert.get("closed")  # alerts of earlier versions have none of these
        alert["closed"] = None if closed is None else to_iso(closed)
        alert["parent"] = alert.get("parent") or None
        alert.setdefault("folded", "")
        alert.setdefault("over_budget", 0)
        return alert | {
            "title": rule.title if rule else alert["rule"],
            "why": rule.why if rule else "",
            "instruction": rule.alert.instruction if rule else "",
            "budget": _budget(rule),
            "severity": severity.name.lower(),
            "rank": severity.rank,
            "state": state,
            "owner": owner,
            "run": run_of(alert["id"]) or None,
        }


def _budget(rule: RulePlan | None) -> Json | None:
    budget = rule.alert.budget if rule else None
    return None if budget is None else {"alerts": budget.alerts, "per_s": budget.per / SECOND}


def paged(
    store: AlertStore, view: AlertsView, query: sa.Select[Any], wanted: Filter, limit: int, cursor: str | None
) -> tuple[list[Json], str | None]:
    """A page of the alerts that `query` selects, newest known first, and the cursor of the next. Raises ValueError for a foreign cursor."""
    frame = query.subquery()
    rows = sa.select(frame).order_by(frame.c.known_at.desc(), frame.c.id.desc()).limit(limit + 1)
    if wanted.states:
        rows = rows.where(frame.c.state.in_(wanted.states))
    if wanted.rules:
        rows = rows.where(frame.c.rule.in_(wanted.rules))
    if wanted.severities:
        rows = rows.where(frame.c.severity.in_([int(Severity[name.upper()]) for name in wanted.severities]))
    if cursor is not None:
        known_at, alert = _cursor(cursor)
        rows = rows.where(sa.tuple_(frame.c.known_at, frame.c.id) < sa.tuple_(sa.literal(known_at), sa.literal(alert)))
    with store.reading() as db:
        found = db.execute(rows).all()
    following = f"{found[limit - 1].known_at}.{found[limit - 1].id}" if len(found) > limit else None
    return [view.listed(row) for row in found[:limit]], following


def single(listed: Json, body: bytes, children: list[Json], steps: Sequence[Any]) -> Json:
    """The list view made whole. `body`: the revision as journaled; `steps`: rows of the history, oldest first."""
    content = orjson.loads(body)
    listed["evidence"] = [_evidence(one) for one in content["evidence"]]
    listed["context"] = [_evidence(one) for one in content.get("context", ())]
    listed["children"] = children
    listed["history"] = [
        {"at": to_iso(step.at), "from": step.from_state, "to": step.to_state, "by": step.by, "note": step.note} for step in steps
    ]
    return listed


def child_json(alert: Json) -> Json:
    """What the list of an alert's children says of one."""
    return {name: alert[name] for name in ("id", "rule", "headline", "severity", "rank", "state", "status", "opened", "folded", "count")}


def _evidence(one: Json) -> Json:
    shown = one | {"event_time": to_iso(one["event_time"]), "ingest_time": to_iso(one["ingest_time"])}
    gap = shown.pop("gap_us")
    shown["gap_s"] = None if gap is None else gap / SECOND
    level = one.get("severity")  # alerts of earlier versions have none
    shown["severity"] = None if level is None else Severity(level).name.lower()
    shown["ahead_s"] = shown.pop("ahead_us", 0) / SECOND
    return shown


def _cursor(text: str) -> tuple[int, str]:
    known_at, _, alert = text.partition(".")
    if not known_at.isdigit() or not alert:
        raise ValueError(f"{text!r} is not a cursor of this list")
    return int(known_at), alert
