"""`/alerts`: the queue, one alert with its evidence, and what operators do to it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import Query, Response

from tocsin.kernel.fault import Retriable
from tocsin.model.alert import TRANSITIONS, Transition
from tocsin.model.severity import Severity

from .doors import Doors, reply
from .eventjson import Json
from .live import LiveHub
from .models import AlertDetail, AlertsOut, TransitionIn
from .params import Cursor, Instant, Limit, Names, parse_choices, parse_instant
from .problem import BadParameter, Problem, one_of
from .services import AlertFilter, Services

STATES: Final = tuple(TRANSITIONS)
SEVERITIES: Final = tuple(severity.name.lower() for severity in reversed(Severity))
#: How long a durable transition may take to reach the view, seconds.
APPLY_TIMEOUT: Final = 5.0


def add_views(doors: Doors) -> None:
    """The queue and the single alert: what can be read."""
    services = doors.answers

    @doors.get("/api/v1/alerts", "alerts", AlertsOut)
    def alerts(
        *,
        state: Annotated[list[str], Query(description=f"any of {', '.join(STATES)}")] = [],  # noqa: B006
        rule: Names = [],  # noqa: B006
        severity: Annotated[list[str], Query(description=f"any of {', '.join(SEVERITIES)}")] = [],  # noqa: B006
        at: Instant = None,
        limit: Limit = 200,
        cursor: Cursor = None,
    ) -> Response:
        """The queue. `at`: as it was known then."""
        known = dict.fromkeys(plan.name for plan in services.city.plan.rules)
        rules = list(known | dict.fromkeys(services.alerts.counts_by_rule()) if set(rule) - known.keys() else known)  # alerts outlive rules
        wanted = AlertFilter(
            states=parse_choices("state", state, STATES),
            rules=parse_choices("rule", rule, rules),
            severities=parse_choices("severity", severity, SEVERITIES),
            at=parse_instant("at", at),
        )
        try:
            items, following = services.alerts.find(wanted, limit, cursor)
        except ValueError as error:
            raise BadParameter("cursor", cursor, "the `next` of the page before") from error
        return reply({"items": items, "next": following})

    @doors.get("/api/v1/alerts/{alert}", "alerts", AlertDetail, problems={404: "no such alert"})
    def one(alert: str) -> Response:
        """One alert with the evidence it rests on and its history."""
        return reply(_found(services, alert))


def add(doors: Doors, hub: LiveHub) -> None:
    """All of it."""
    services = doors.services
    add_views(doors)

    @doors.post(
        "/api/v1/alerts/{alert}/transitions",
        "alerts",
        AlertDetail,
        status_code=201,
        problems={404: "no such alert", 409: "the alert's state does not allow it", 503: "the journal cannot take it now"},
    )
    async def transition(alert: str, body: TransitionIn) -> Response:
        """Moves an alert to another state. It is journaled first: with the reply it is durable and every screen will show it."""
        before = await asyncio.to_thread(_found, services, alert)
        _check(before, body)
        moved = Transition(alert, body.to, body.by, services.clock.now(), body.note, body.owner)
        after = await _applied(services, hub, alert, await services.publish_transition(moved))
        if not _took_place(before, after, body):
            raise Problem(
                409,
                f"Somebody was faster: the alert is {after['state']} now, and may go to {_ways(after)}.",
                slug="conflict",
                state=after["state"],
            )
        return reply(after, 201, {"Location": f"/api/v1/alerts/{alert}"})


def _found(services: Services, alert: str) -> Json:
    found = services.alerts.get(alert)
    if found is None:
        raise Problem(404, f"There is no alert {alert[:80]!r}.")
    return found


def _check(alert: Json, body: TransitionIn) -> None:
    """Raises 422 for a state that does not exist, 409 for one that cannot be reached from here."""
    if body.to not in TRANSITIONS:
        raise BadParameter("to", body.to, one_of(body.to, TRANSITIONS))
    if body.revision is not None and body.revision != alert["revision"]:
        words = f"You saw revision {body.revision}, but the alert has changed since: it is at revision {alert['revision']} now."
        raise Problem(409, words, slug="conflict", state=alert["state"], revision=alert["revision"])
    if body.to not in TRANSITIONS[alert["state"]]:
        words = f"The alert is {alert['state']} and cannot become {body.to}; it may go to {_ways(alert)}."
        raise Problem(409, words, slug="conflict", state=alert["state"], allowed=list(TRANSITIONS[alert["state"]]))


def _ways(alert: Json) -> str:
    return ", ".join(TRANSITIONS[alert["state"]])


async def _applied(services: Services, hub: LiveHub, alert: str, seq: int) -> Json:
    """The alert once the view has read the journal up to `seq`."""
    try:
        async with asyncio.timeout(APPLY_TIMEOUT):
            await hub.alerts_reach(seq)
    except TimeoutError:
        words = "the transition is in the journal, but the alerts view has not read it yet; look again soon instead of sending it again"
        raise Retriable(words, after=2) from None
    return await asyncio.to_thread(_found, services, alert)


def _took_place(before: Json, after: Json, body: TransitionIn) -> bool:
    """Two operators at once: the journal decides who was first, and the view leaves out a step that was no longer possible."""
    new = after["history"][len(before["history"]) :]
    return any(step["to"] == body.to and step["by"] == body.by for step in new)
