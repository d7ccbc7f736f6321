"""Replays of the stand-in: a second node over the same evening whose clock is the replay's, below `/api/v1/replays/r1`."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from fake_api import FakeNode, build, problem
from fake_scene import Json, iso
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

ID = "r1"


class FakeReplay(FakeNode):
    """Shows the scene of `live` as it was known at a clock that is steered."""

    def __init__(self, live: FakeNode, body: Json) -> None:
        super().__init__()
        self.scene, self.alert_seq = live.scene, live.alert_seq
        self.start, self.stop = datetime.fromisoformat(body["from"]), min(datetime.fromisoformat(body["to"]), live.now())
        self.at = datetime.fromisoformat(body.get("at") or body["from"])
        self.rate, self.by = float(body.get("speed", 1)), body.get("by", "known")
        self.playing, self.stage, self.since = body.get("playing", True), 1, time.monotonic()
        self.steered: list[Json] = []

    def now(self) -> datetime:
        gone = (time.monotonic() - self.since) * self.rate if self.playing else 0.0
        return min(self.stop, self.at + timedelta(seconds=gone))

    def steer(self, body: Json) -> None:
        self.steered.append(body)
        now, self.since = self.now(), time.monotonic()
        self.at = datetime.fromisoformat(body["at"]) if "at" in body else now
        self.rate, self.playing = body.get("speed", self.rate), body.get("playing", self.playing)
        if "at" in body or body.get("by", self.by) != self.by:
            self.stage += 1
            self.drop_streams()
        self.by = body.get("by", self.by)

    def to_json(self) -> Json:
        now = self.now()
        return {
            "id": ID, "from": iso(self.start), "to": iso(self.stop), "at": iso(now), "speed": self.rate, "by": self.by,
            "playing": self.playing, "ended": now >= self.stop, "loading": False, "stage": self.stage, "notes": [],
        }  # fmt: skip

    def status(self) -> Json:
        return super().status() | {"mode": "replay", "replay": self.to_json(), "clock": self._clock()}

    def clock(self) -> Json:
        return super().clock() | self._clock() | {"replay": self.to_json()}

    def _clock(self) -> Json:
        return {"now": iso(self.now()), "speed": self.rate if self.playing else 0.0}

    def known(self) -> list[Json]:
        return super().known() or self.scene.events[:1]

    def alerts_at(self, moment: str | None) -> list[Json]:
        return super().alerts_at(moment or iso(self.now()))


def routes(node: FakeNode) -> list[Any]:
    """To be put before the others."""

    async def begin(request: Request) -> Response:
        node.replay = FakeReplay(node, await request.json())  # type: ignore[attr-defined]
        return JSONResponse(node.replay.to_json(), 201)  # type: ignore[attr-defined]

    async def one(request: Request) -> Response:
        replay: FakeReplay | None = getattr(node, "replay", None)
        if replay is None:
            return problem(404, "Not Found", "There is no replay.")
        if request.method == "DELETE":
            node.replay = None  # type: ignore[attr-defined]
            replay.drop_streams()
            return Response(status_code=204)
        if request.method == "POST":
            replay.steer(await request.json())
        return JSONResponse(replay.to_json())

    async def inside(scope: Any, receive: Any, send: Any) -> None:
        replay: FakeReplay | None = getattr(node, "replay", None)
        app: Any = problem(404, "Not Found", "There is no replay.") if replay is None else build(replay)
        path = "/api/v1" + scope["path"].partition(f"/replays/{ID}")[2]
        await app({**scope, "path": path, "root_path": ""}, receive, send)

    root = "/api/v1/replays"
    return [
        Route(root, begin, methods=["POST"]),
        Route(f"{root}/{ID}", one, methods=["GET", "POST", "DELETE"]),
        Mount(f"{root}/{ID}", inside),
    ]
