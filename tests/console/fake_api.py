"""A stand-in for a node: the contract of docs/wiring.md over `fake_scene.py`, with switches that a real node does not have.

python tests/console/fake_api.py [--port 8080] [--exercise]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn
from fake_scene import EXPLAINED, QUARANTINE, RULES, START, Json, Scene, feeds, iso
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tocsin.model.alert import TRANSITIONS

ROOT = Path(__file__).parents[2]
DIST = ROOT / "console" / "dist"
LAYERS = ROOT / "examples" / "seattle" / "layers"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; connect-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TILES = {"basemap-world": "world", "basemap-seattle": "seattle"}
SINGLE_ONLY = ("evidence", "context", "history")  # what lists and the stream do not carry
CHILD = ("id", "rule", "headline", "severity", "rank", "state", "status", "opened", "folded", "count")
LAYER_LIST = [
    {"name": "basemap-world", "title": "World and US outlines", "kind": "tiles", "licence": "Natural Earth and US Census, public domain"},
    {
        "name": "basemap-seattle",
        "title": "Street grid",
        "kind": "tiles",
        "licence": "US Census 2010, public domain; neighbourhood names MIT",
    },
    {"name": "fire-stations", "title": "Fire stations", "kind": "points", "licence": "City of Seattle, public domain"},
    {"name": "neighbourhoods", "title": "Neighbourhoods", "kind": "polygons", "licence": "MIT"},
]
STATION = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [-122.3287, 47.601]}, "properties": {"name": "SFD 10"}}


class FakeNode:
    """One running stand-in. `speed` of its clock; `mute`: streams stay open and say nothing; `refuse`: no new streams."""

    def __init__(self, speed: float = 1.0, exercise: bool = False) -> None:
        self.scene = Scene.load()
        self.speed, self.exercise = speed, exercise
        self.lasts = timedelta(hours=4)  # the exercise
        self.started = time.monotonic()
        self.mute = self.refuse = False
        self.generation = 0  # streams of an older generation end
        self.resumed: list[str] = []  # Last-Event-ID of every stream that was opened
        self.alert_seq = len(self.scene.alerts)
        self.posted: list[Json] = []
        self.asked: list[Json] = []  # questions why something rang or not
        self.unexplained = False
        self.running: Json | None = None  # an exercise beside real life
        self.troubles: list[str] = []
        self.config, self.rules, self.layers = 1, list(RULES.values()), list(LAYER_LIST)

    # -- what tests do to it

    def now(self) -> datetime:
        return START + timedelta(seconds=(time.monotonic() - self.started) * self.speed)

    def drop_streams(self) -> None:
        self.generation += 1

    def alert(self, id_: str) -> Json:
        return next(a for a in self.scene.alerts if a["id"] == id_)

    def change(self, alert: Json, **changes: Any) -> Json:
        """Changes (or adds) an alert and tells every viewer."""
        self.alert_seq += 1
        alert |= changes | {"seq": self.alert_seq, "updated": iso(self.now())}
        if alert not in self.scene.alerts:
            self.scene.alerts.append(alert)
        return alert

    def reconfigure(self, rules: list[Json], layers: list[Json]) -> None:
        """Other rules and layers are in force."""
        self.rules, self.layers = rules, layers
        self.config += 1

    def new_alert(self, like: str, id_: str, **changes: Any) -> Json:
        now = iso(self.now())
        fresh = {"id": id_, "state": "open", "owner": None, "opened": now, "known_at": now, "history": [], "revision": 1, "count": 1}
        return self.change(dict(self.alert(like)) | fresh | {"status": "raised"} | changes)

    def move(self, alert: Json, to: str, by: str, owner: str | None = None, note: str = "") -> Json:
        step = {"at": iso(self.now()), "from": alert["state"], "to": to, "by": by, "note": note}
        held = owner or (None if to == "open" else alert["owner"] or by)
        return self.change(alert, state=to, owner=held, history=[*alert["history"], step])

    # -- what it answers

    def known(self) -> list[Json]:
        now = iso(self.now())
        return [e for e in self.scene.events if e["ingest_time"] <= now]

    def status(self) -> Json:
        states = [a["state"] for a in self.scene.alerts]
        exercise = {"title": "Independence Day 2017, recorded", "start": iso(START), "end": iso(START + self.lasts)}
        return {
            "city": {
                "name": "seattle",
                "title": "Seattle",
                "timezone": "America/Los_Angeles",
                "centre": [-122.3321, 47.6062],
                "zoom": 11.4,
            },
            "running": self.running,
            "mode": "exercise" if self.exercise else "live",
            "exercise": exercise if self.exercise else None,
            "clock": {"now": iso(self.now()), "speed": self.speed, "wall": iso(self.now())},
            "access": {"mode": "open", "words": "Everyone on this machine may read and write; no other machine can connect."},
            "events": {"total": len(self.known()), "per_min": 41.0, "last_seq": self.known()[-1]["seq"]},
            "alerts": {"open": states.count("open"), "unacknowledged": states.count("open"), "last_seq": self.alert_seq},
            "feeds": {"total": 6, "stale": 2},
            "troubles": self.troubles,
            "version": "0.1.0",
            "config": self.config,
        }

    def clock(self) -> Json:
        return {
            "now": iso(self.now()),
            "speed": self.speed,
            "per_min": 41.0,
            "total": len(self.known()),
            "config": self.config,
            "running": self.running and self.running["run"],
            "troubles": self.troubles,
        }

    def alerts_at(self, moment: str | None) -> list[Json]:
        """List view; with `moment` as they were known then."""
        found = []
        for alert in self.scene.alerts:
            view = {k: v for k, v in alert.items() if k not in SINGLE_ONLY}
            if moment is not None:
                if alert["known_at"] > moment:
                    continue
                steps = [s for s in alert["history"] if s["at"] <= moment]
                view |= {"state": steps[-1]["to"] if steps else "open", "owner": steps[-1]["by"] if steps else None}
            found.append(view)
        return sorted(found, key=lambda a: a["opened"], reverse=True)


def problem(status: int, title: str, detail: str) -> JSONResponse:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status, media_type="application/problem+json")


def build(node: FakeNode) -> Starlette:
    async def status(_: Request) -> Response:
        return JSONResponse(node.status())

    async def events(request: Request) -> Response:
        query = request.query_params
        items = [e for e in node.known() if query.get("from", "") <= e["event_time"] <= query.get("to", "9")]
        return page(request, items[::-1])

    def page(request: Request, items: list[Json]) -> Response:
        first, limit = int(request.query_params.get("cursor") or 0), int(request.query_params.get("limit") or 100)
        more = str(first + limit) if len(items) > first + limit else None
        return JSONResponse({"items": items[first : first + limit], "next": more})

    async def timeline(request: Request) -> Response:
        low, high = (datetime.fromisoformat(request.query_params[k]) for k in ("from", "to"))
        buckets = int(request.query_params["buckets"])
        step = (high - low) / buckets
        rows: dict[str, list[int]] = {}
        for e in node.known():
            place = int((datetime.fromisoformat(e["event_time"]) - low) / step)
            if 0 <= place < buckets:
                rows.setdefault(e["kind"], [0] * buckets)[place] += 1
        listed = [{"kind": kind, "counts": counts} for kind, counts in rows.items()]
        return JSONResponse({"from": iso(low), "to": iso(high), "step_s": step.total_seconds(), "rows": listed})

    async def alerts(request: Request) -> Response:
        state = request.query_params.get("state")
        return page(request, [a for a in node.alerts_at(request.query_params.get("at")) if state in (None, a["state"])])

    async def alert(request: Request) -> Response:
        found = node.alert(request.path_params["id"])
        under = [{key: a[key] for key in CHILD} for a in node.scene.alerts if a["parent"] == found["id"]]
        return JSONResponse(found | {"children": under})

    async def transition(request: Request) -> Response:
        body = await request.json()
        node.posted.append(body)
        found = node.alert(request.path_params["id"])
        if body.get("revision") not in (None, found["revision"]):
            return problem(409, "Conflict", f"You saw revision {body['revision']}, it is at revision {found['revision']} now.")
        if body["to"] not in TRANSITIONS[found["state"]]:
            return problem(409, "Conflict", f"An alert that is {found['state']} cannot become {body['to']}.")
        return JSONResponse(node.move(found, body["to"], body["by"], body.get("owner"), body.get("note", "")), 201)

    async def explained(request: Request) -> Response:
        """An alert's clauses, or a rule's at the place asked about."""
        node.asked.append(dict(request.query_params) | {"path": request.url.path})
        if node.unexplained:
            return problem(503, "Service Unavailable", "another explanation is being worked out; ask again in a moment")
        return JSONResponse(EXPLAINED["alert" if "/alerts/" in request.url.path else "rule"])

    async def listed(request: Request) -> Response:
        name = request.url.path.rsplit("/", 1)[1]
        items = {"feeds": feeds(node.now()), "rules": node.rules, "layers": node.layers, "quarantine": QUARANTINE}[name]
        return JSONResponse({"items": [{k: v for k, v in item.items() if k != "raw"} for item in items]})

    async def layer(request: Request) -> Response:
        if request.path_params["name"] == "fire-stations":
            return JSONResponse({"type": "FeatureCollection", "features": [STATION]})
        return FileResponse(LAYERS / "neighbourhoods.geojson", media_type="application/geo+json")

    async def quarantined(request: Request) -> Response:
        return JSONResponse(next(q for q in QUARANTINE if q["id"] == request.path_params["id"]))

    async def retry(_: Request) -> Response:
        return problem(409, "Still refused", "month must be 1 to 12")

    async def stream(request: Request) -> Response:
        if node.refuse:
            return problem(503, "Unavailable", "no streams now")
        node.resumed.append(request.headers.get("last-event-id", ""))
        return StreamingResponse(frames(node, request.headers.get("last-event-id", "")), media_type="text/event-stream")

    async def tiles(request: Request) -> Response:
        return FileResponse(LAYERS / f"{TILES[request.path_params['name']]}.pmtiles", media_type="application/octet-stream")

    api = "/api/v1"
    return Starlette(
        routes=[
            Route(f"{api}/status", status),
            Route(f"{api}/events", events),
            Route(f"{api}/timeline", timeline),
            Route(f"{api}/alerts", alerts),
            Route(f"{api}/alerts/{{id}}", alert),
            Route(f"{api}/alerts/{{id}}/transitions", transition, methods=["POST"]),
            Route(f"{api}/alerts/{{id}}/explain", explained),
            Route(f"{api}/rules/{{name}}/explain", explained),
            *(Route(f"{api}/{name}", listed) for name in ("feeds", "rules", "layers", "quarantine")),
            Route(f"{api}/layers/{{name}}", layer),
            Route(f"{api}/quarantine/{{id}}", quarantined),
            Route(f"{api}/quarantine/{{id}}/retry", retry, methods=["POST"]),
            Route(f"{api}/stream", stream),
            Route("/tiles/{name}.pmtiles", tiles),
            Mount("/", StaticFiles(directory=DIST, html=True)),
        ]
    )


def secured(app: Any) -> Any:
    """Every answer carries the strict content security policy that the console must live under."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        async def marked(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", CSP.encode())]
            await send(message)

        await app(scope, receive, marked)

    return wrapped


async def frames(node: FakeNode, last_id: str) -> AsyncIterator[bytes]:
    """Alert changes since `last_id`, the newest events, and a clock frame every second."""
    generation, clock_due, feeds_due = node.generation, 0.0, 0.0
    told, _, newest = last_id.partition(".")
    since = int(told) if told else node.alert_seq
    seen = int(newest) if newest else node.known()[-1]["seq"]

    def frame(kind: str, body: Any, alerts: int) -> bytes:
        return f"id: {alerts}.{seen}\nevent: {kind}\ndata: {json.dumps(body)}\n\n".encode()

    while node.generation == generation:
        if not node.mute:
            for alert in sorted((a for a in node.scene.alerts if a["seq"] > since), key=lambda a: a["seq"]):
                since = alert["seq"]
                yield frame("alert", {k: v for k, v in alert.items() if k not in SINGLE_ONLY}, since)
            fresh = [e for e in node.known() if e["seq"] > seen][-200:]
            if fresh:
                seen = fresh[-1]["seq"]
                yield frame("events", {"items": fresh, "skipped": 0}, since)
            if time.monotonic() >= clock_due:
                clock_due = time.monotonic() + 1
                yield frame("clock", node.clock(), since)
            if time.monotonic() >= feeds_due:
                feeds_due = time.monotonic() + 2
                yield frame("feeds", {"items": feeds(node.now())}, since)
        await asyncio.sleep(0.1)


class Served:
    """A FakeNode on a free port of the loopback, in a thread of its own."""

    def __init__(self, node: FakeNode, port: int = 0) -> None:
        self.node = node
        from fake_archive import routes as archived
        from fake_replay import routes as replayed  # builds upon this module

        app = build(node)
        app.router.routes[:0] = [*replayed(node), *archived(node)]
        config = uvicorn.Config(
            secured(app), host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1, lifespan="off", ws="none"
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    def __enter__(self) -> Served:
        self.thread.start()
        while not self.server.started:
            time.sleep(0.02)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        return self

    def __exit__(self, *_: object) -> None:
        self.node.drop_streams()
        self.server.should_exit = True
        self.thread.join(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--exercise", action="store_true", help="a clock at 60x and the exercise banner")
    args = parser.parse_args()
    with Served(FakeNode(60.0 if args.exercise else 1.0, args.exercise), args.port) as served:
        print(served.url, flush=True)
        served.thread.join()


if __name__ == "__main__":
    main()
