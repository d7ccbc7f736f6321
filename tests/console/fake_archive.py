"""The archive's routes of the stand-in, over the evening it knows: search, around, series, cells, empty tiles, SQL. `node.no_archive` takes it away;
`node.lasting`: a back-test goes on."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from fake_backtest import BACKTESTED, MISTAKES
from fake_scene import Json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

HOUR = 3_600_000_000
MADE = "SELECT * FROM events WHERE event_time >= make_timestamptz(1)"


def answered(items: list[Json], cursor: str | None = None, notes: tuple[str, ...] = ()) -> Json:
    plan = {"files": 3, "rows": 12_000, "bytes": 90_000, "tail": 12, "basis": "raw", "whole": False, "damaged": 0}
    return {"items": items, "next": cursor, "cut": cursor is not None, "notes": list(notes), "plan": plan, "reaches": 1, "query": MADE}


def problem(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"title": "no", "status": status, "detail": detail}, status, media_type="application/problem+json")


def micros(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1e6)


def routes(node: Any) -> list[Route]:
    node.no_archive, node.false_alarms = False, []
    node.questions = []

    def wanted(request: Request) -> list[Json]:
        query = request.query_params
        node.questions.append(dict(query) | {"path": request.url.path})
        found = [e for e in node.known() if query.get("from", "") <= e["event_time"] < query.get("to", "9")]
        if kind := query.get("kind"):
            found = [e for e in found if e["kind"] == kind or e["kind"].startswith(f"{kind}.")]
        return [e for e in found if query.get("text", "").lower() in (e["text"] or "").lower()]

    async def search(request: Request) -> Response:
        if node.no_archive:
            return problem(503, "This server has no archive to ask.")
        items = wanted(request)[::-1]
        first = int(request.query_params.get("cursor") or 0)
        size = min(int(request.query_params["limit"]), 40)
        return JSONResponse(answered(items[first : first + size], str(first + size) if len(items) > first + size else None))

    async def around(request: Request) -> Response:
        items = [e | {"distance_m": 40.0 * i, "gap_us": (i - 3) * 60_000_000} for i, e in enumerate(wanted(request)[-12:])]
        return JSONResponse(answered(items, notes=("only the nearest 12",)))

    async def series(request: Request) -> Response:
        step, by = request.query_params["step"], request.query_params.get("by", "")
        counts: Counter[tuple[int, str]] = Counter()
        for e in wanted(request):
            at = micros(e["event_time"])
            hour = at // HOUR
            start = (hour + 72) % 168 if step == "hour-of-week" else hour * HOUR if step == "hour" else hour // 24 * 24 * HOUR
            counts[start, e[by] if by else ""] += 1
        rows = [
            {"start": start, "rows": n, "values": 0, "mean": None} | ({by: name} if by else {})
            for (start, name), n in sorted(counts.items())
        ]
        return JSONResponse(answered(rows))

    async def cells(_: Request) -> Response:
        box = {"x": 1, "y": 1, "west": -122.34, "south": 47.6, "east": -122.32, "north": 47.62}
        return JSONResponse(answered([box | {"rows": 41}, box | {"west": -122.4, "rows": 7}]))

    async def tile(_: Request) -> Response:
        return Response(b"", media_type="application/vnd.mapbox-vector-tile")

    async def sql(request: Request) -> Response:
        body = await request.json()
        node.questions.append(body)
        if "drop" in body["sql"].lower():
            return problem(422, "a statement that reads; found DROP")
        return JSONResponse(answered([{"kind": "call.fire", "events": 12}, {"kind": "call.medical", "events": 30}]))

    job = {"id": "b1", "state": "running", "rule": "", "question": {}, "asked": "", "ended": None, "error": None}
    node.lasting, node.backtest_error = False, None

    async def backtest(request: Request) -> Response:
        if request.url.path.endswith("/cancel"):
            job["state"] = "cancelled"
        elif request.method == "POST":
            asked = await request.json()
            node.questions.append(asked)
            if "wen:" in asked.get("text", ""):
                return problem(422, MISTAKES)
            job.update({"state": "running", "error": None})
        elif job["state"] == "running" and not node.lasting:
            job.update({"state": "failed" if node.backtest_error else "done", "error": node.backtest_error})
        progress = {"done": 0.4, "clock": None, "alerts": 2, "events": 900}
        return JSONResponse(job | {"progress": progress}, 202 if request.method == "POST" else 200)

    async def backtest_result(_: Request) -> Response:
        return JSONResponse(BACKTESTED)

    async def report(request: Request) -> Response:
        """No rows, but of false alarms what the node was given: what reports say is looked at on a real node
        (tests/acceptance/test_history_screens.py)."""
        name = request.path_params["name"]
        body = {"facts": {}, "notes": ["nothing was counted"], "units": {}, "queries": [], "items": []}
        if name == "false-alarms":
            body["items"] = node.false_alarms
        return JSONResponse({"report": name, "title": name, "timezone": "UTC", "command": f"tocsin report CITY {name}", **body})

    root = "/api/v1/archive"
    return [
        Route(f"{root}/search", search),
        Route(f"{root}/around", around),
        Route(f"{root}/series", series),
        Route(f"{root}/cells", cells),
        Route(f"{root}/reports/{{name}}", report),
        Route(f"{root}/tiles/{{z}}/{{x}}/{{y}}.mvt", tile),
        Route("/api/v1/query", sql, methods=["POST"]),
        Route("/api/v1/backtests", backtest, methods=["POST"]),
        Route("/api/v1/backtests/b1", backtest),
        Route("/api/v1/backtests/b1/cancel", backtest, methods=["POST"]),
        Route("/api/v1/backtests/b1/result", backtest_result),
    ]
