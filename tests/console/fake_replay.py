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


SCENARIO = {"name": "warehouse-fire", "title": "Warehouse fire by the stadium", "purpose": "the second-alarm call", "events": 7, "recorded": 0, "expected": 2, "runs_s": 1200.0}
DETECTED = {
    "name": "Fire in the warehouse", "rule": "alarm-then-fire", "verdict": "detected", "alert": "drill", "headline": "Fire", "possible_s": 60.0,
    "alert_s": 1.2, "alert_target_s": 30.0, "acknowledged_s": 95.0, "acknowledged_target_s": 60.0, "acknowledged_in_time": False, "by": "Fire liaison",
}  # fmt: skip
MISSED = DETECTED | {"name": "Smoke over two quarters", "rule": "second-smoke-sensor", "verdict": "missed", "alert": None, "headline": None}
MISSED |= {"alert_s": None, "acknowledged_s": None, "by": None}
COUNTS = {"expected": 2, "detected": 1, "late": 0, "missed": 1, "false": 1, "acknowledged": 1, "alert_median_s": 1.2, "acknowledged_median_s": 95.0}


def exercised(node: FakeNode) -> list[Any]:
    """Exercises of the stand-in. Beginning one raises an alert that is part of it."""
    node.runs = []  # type: ignore[attr-defined]

    async def listed(_: Request) -> Response:
        return JSONResponse({"items": [SCENARIO], "running": node.running, "runs": node.runs})  # type: ignore[attr-defined]

    async def start(request: Request) -> Response:
        by = (await request.json())["by"]
        now = node.now()
        run = {"run": "ab12", "name": SCENARIO["name"], "title": SCENARIO["title"], "by": by, "began": iso(now), "ends": iso(now + timedelta(minutes=20))}
        node.running = run | {"ended": None, "why": ""}
        node.runs = [node.running]  # type: ignore[attr-defined]
        node.new_alert(node.scene.alerts[0]["id"], "drill", run="ab12", exercise=True, rank=1, headline="Fire in the warehouse")
        return JSONResponse({key: run[key] for key in ("run", "name", "title")}, 201)

    async def stop(request: Request) -> Response:
        over = {"ended": iso(node.now()), "why": f"stopped by {(await request.json())['by']}"}
        node.runs = [(node.running or {}) | over]  # type: ignore[attr-defined]
        node.running = None
        return JSONResponse({"run": "ab12", "name": SCENARIO["name"], "title": SCENARIO["title"]})

    async def score(_: Request) -> Response:
        run = node.runs[0]  # type: ignore[attr-defined]
        wrong = [{"alert": "x", "rule": "medical-surge", "headline": "Many medical calls", "at_s": 300.0}]
        whole = {"exercise": run["name"], "detections": [DETECTED, MISSED], "false": wrong, "summary": COUNTS}
        return JSONResponse(whole | {key: run[key] for key in ("run", "title", "began", "ended", "by", "why")})

    root = "/api/v1/exercises"
    return [
        Route(root, listed),
        Route(f"{root}/stop", stop, methods=["POST"]),
        Route(f"{root}/{{name}}/start", start, methods=["POST"]),
        Route(f"{root}/runs/{{run}}/score", score),
    ]


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
        *exercised(node),
    ]
