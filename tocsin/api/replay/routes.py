"""`/replays`: begin, steer and end a replay; and below each the routes of the live picture, answered from the replay."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Annotated, Any, Final, cast

from fastapi import Depends, FastAPI, Path, Response
from pydantic import BaseModel

from tocsin.api import alerts, events, feeds, status, stream, timeline
from tocsin.api.doors import Doors, Endpoint, reply
from tocsin.api.live import LiveHub
from tocsin.api.models_past import ReplayChange, ReplayIn, ReplayOut, ReplaysOut
from tocsin.api.params import parse_instant
from tocsin.api.problem import BadParameter, Problem, one_of
from tocsin.api.services import Services

from .session import Session, Wish
from .sessions import Sessions

ROOT: Final = "/api/v1"
ORDERS: Final = ("known", "event")
SLOWEST, FASTEST = 0.1, 1000.0

Name = Annotated[str, Path(min_length=1, max_length=40)]
_asked: ContextVar[Session] = ContextVar("replay")


class _Staged:
    """Stands for the services of the replay that the request in hand asks."""

    def __getattr__(self, name: str) -> Any:
        return getattr(_asked.get().stage.services, name)


class ReplayDoors(Doors):
    """Doors to the replay named in the path: `/api/v1/events` becomes `/api/v1/replays/{replay}/events`."""

    def __init__(self, app: FastAPI, services: Services, sessions: Sessions) -> None:
        super().__init__(app, services)
        self.answers = cast(Services, _Staged())
        self._sessions = sessions

        async def chosen(replay: Name) -> None:
            _asked.set(found(sessions, replay))

        self.first = (Depends(chosen),)

    def add(self, method: str, path: str, action: str, resource: str, model: type[BaseModel] | None, **how: Any) -> Any:
        below = f"{ROOT}/replays/{{replay}}{path.removeprefix(ROOT)}"
        how["problems"] = {404: "no such replay, or nothing of that name in it", **how.get("problems", {})}

        def register(endpoint: Endpoint) -> Endpoint:
            name = f"replayed_{endpoint.__name__}"
            return super(ReplayDoors, self).add(method, below, action, resource, model, name=name, **how)(endpoint)

        return register


def add(app: FastAPI, doors: Doors, sessions: Sessions) -> None:
    """All of them."""
    _add_sessions(doors, sessions)
    inside = ReplayDoors(app, doors.services, sessions)
    for resource in (status, events, timeline, feeds):
        resource.add(inside)
    alerts.add_views(inside)
    stream.add(inside, _hub)


def _hub() -> LiveHub:
    return _asked.get().stage.hub


def found(sessions: Sessions, name: str) -> Session:
    """Raises 404."""
    session = sessions.find(name)
    if session is None:
        raise Problem(404, f"There is no replay {name[:40]!r}; it may have ended because nobody was watching. Begin a new one.")
    return session


def _add_sessions(doors: Doors, sessions: Sessions) -> None:
    services = doors.services
    busy = {503: "no journal to read, or too many replays"}

    @doors.get("/api/v1/replays", "replays", ReplaysOut)
    async def replays() -> Response:
        """The replays that are open."""
        return reply({"items": [one.to_json() for one in sessions]})

    @doors.post("/api/v1/replays", "replays", ReplayOut, status_code=201, problems=busy)
    async def begin(body: ReplayIn) -> Response:
        """Begins one. It changes nothing that is live, and ends by itself when nobody has watched it for ten minutes."""
        past = services.past
        if past is None:
            raise Problem(503, "This node has no journal to replay.", slug="no-journal")
        wish = wished(body, services.clock.now())
        try:
            session = sessions.make(lambda: Session(wish, services, past))
        except OverflowError as error:
            raise Problem(503, f"{error}; end one first", slug="too-many-replays", headers={"Retry-After": "30"}) from error
        return reply(session.to_json(), 201, {"Location": f"{ROOT}/replays/{session.id}"})

    @doors.get("/api/v1/replays/{replay}", "replays", ReplayOut, problems={404: "no such replay"})
    async def one(replay: Name) -> Response:
        """Where it is."""
        return reply(found(sessions, replay).to_json())

    @doors.post("/api/v1/replays/{replay}", "replays", ReplayOut, problems={404: "no such replay"})
    async def steer(replay: Name, body: ReplayChange) -> Response:
        """Goes to another moment, changes its speed or order, pauses or goes on."""
        session = found(sessions, replay)
        at = parse_instant("at", body.at)
        if at is not None and not session.wish.start <= at <= session.wish.stop:
            raise BadParameter("at", body.at, "an instant within the replay's `from` and `to`")
        session.change(at=at, speed=_speed(body.speed), playing=body.playing, by=_order(body.by))
        return reply(session.to_json())

    @doors.add("DELETE", "/api/v1/replays/{replay}", "change", "replays", None, status_code=204, problems={404: "no such replay"})
    async def end(replay: Name) -> Response:
        """Ends it."""
        found(sessions, replay)
        sessions.end(replay)
        return Response(status_code=204)


def wished(body: ReplayIn, now: int) -> Wish:
    """Raises 422 with what is valid."""
    start, stop, at = (parse_instant(name, text) for name, text in (("from", body.start), ("to", body.stop), ("at", body.at)))
    if start is None:
        raise BadParameter("from", body.start, "an instant in ISO 8601, like 2017-07-04T21:05:00Z")
    stop = now if stop is None else min(stop, now)
    if start >= stop:
        raise BadParameter("from", body.start, "an instant before `to`, and before now")
    at = start if at is None else min(max(at, start), stop)
    return Wish(start, stop, at, _speed(body.speed) or 1.0, _order(body.by) or "known", body.playing is not False)


def _speed(speed: float | None) -> float | None:
    if speed is not None and not SLOWEST <= speed <= FASTEST:
        raise BadParameter("speed", speed, f"a number from {SLOWEST:g} to {FASTEST:g}")
    return speed


def _order(by: str | None) -> str | None:
    if by is not None and by not in ORDERS:
        raise BadParameter("by", by, one_of(by, ORDERS))
    return by
