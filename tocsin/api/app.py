"""The API as one ASGI application: every route behind the access function, errors as problem details, the console beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, Response
from starlette.types import ASGIApp

from . import (
    alerts,
    archive,
    backtests,
    console,
    events,
    exercises,
    explain,
    feeds,
    health,
    layers,
    problem,
    quarantine,
    reports,
    rules,
    status,
    stream,
    timeline,
)
from .doors import SCHEMA_REF, Doors, reply
from .guard import MAX_BODY, Guard
from .live import LiveHub
from .metrics import Meter, Metered
from .models import AnyJson, ProblemDetails
from .replay import routes as replay
from .replay.sessions import Sessions
from .services import Services

DESCRIPTION = """The live picture of one city: events, alerts with their reasons, feeds, rules and layers.
Times are ISO 8601 with `Z`. Errors are problem details (RFC 9457)."""


class Api(FastAPI):
    """FastAPI with the guard outermost, so that also its last-resort replies carry the headers and are counted."""

    services: Services
    meter: Meter

    def build_middleware_stack(self) -> ASGIApp:
        return Guard(Metered(super().build_middleware_stack(), self.meter), self.services.hosts, MAX_BODY)


def create_app(services: Services) -> FastAPI:
    """The application. `app.state.hub` is its live hub: call `hub.alerts_changed()` when the alerts view has applied something."""
    hub = LiveHub(
        services.recent,
        services.alerts,
        feeds=lambda: feeds.feeds_json(services),
        clock=lambda: status.clock_json(services),
        limits=services.limits,
    )
    sessions = Sessions()
    app = Api(
        title="Tocsin",
        version=services.version,
        description=DESCRIPTION,
        openapi_url=None,  # added below, behind the access function; the usual docs pages load from outside and are left out
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        max_body_size=MAX_BODY,
        lifespan=_running(hub, sessions),
    )
    app.services, app.meter, app.state.hub = services, Meter(), hub
    problem.install(app)
    doors = Doors(app, services)
    for resource in (status, events, timeline, feeds, rules, explain, backtests, layers, quarantine, exercises, archive, reports):
        resource.add(doors)
    alerts.add(doors, hub)
    stream.add(doors, lambda: hub)
    replay.add(app, doors, sessions)
    health.add(app, doors, hub, app.meter)
    _add_openapi(app, doors)
    console.add(app, services.console)
    return app


def _running(hub: LiveHub, sessions: Sessions):  # type: ignore[no-untyped-def]  # FastAPI's own lifespan type is generic over the application
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(hub.run(), name="live hub"), asyncio.create_task(sessions.run(), name="replays")]
        try:
            yield
        finally:
            hub.close()
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    return lifespan


def _add_openapi(app: FastAPI, doors: Doors) -> None:
    @doors.get("/api/openapi.json", "openapi", AnyJson, include_in_schema=False)
    async def openapi() -> Response:
        document = app.openapi()  # made once and kept by the framework
        problems = ProblemDetails.model_json_schema(ref_template=SCHEMA_REF)
        document["components"]["schemas"] |= {**problems.pop("$defs"), "ProblemDetails": problems}
        return reply(document)
