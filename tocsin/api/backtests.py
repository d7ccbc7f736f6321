"""`/backtests`: a rule tried on the archive, in a process of its own: started, watched, stopped, and its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from fastapi import Response
from pydantic import ConfigDict, Field

from tocsin.kernel.fault import Misconfigured

from .doors import Doors, reply
from .eventjson import Json
from .models import Shape
from .problem import BadParameter, Problem, one_of
from .services import Services


class Backtests(Protocol):
    """The jobs of this node (`app/backtest_jobs.py`). A job as JSON: `BacktestOut`."""

    async def start(self, question: Mapping[str, Any]) -> Json:
        """Raises ValueError when too many wait already, Misconfigured when a draft is no rule of this city."""
        ...

    def jobs(self) -> Sequence[Json]: ...
    def job(self, name: str) -> Json | None: ...
    def result(self, name: str) -> bytes | None:
        """JSON, None while there is none."""
        ...

    async def cancel(self, name: str) -> Json | None: ...


class BacktestIn(Shape):
    """What is asked: the options of `tocsin backtest`. `rule`: its name, or its text in `text`."""

    rule: str = Field(max_length=200)
    start: str = Field(alias="from", max_length=64, description="ISO 8601, or the city's own time as in 2026-01-31 21:05")
    end: str = Field(alias="to", max_length=64, description="exclusive")
    text: str | None = Field(default=None, max_length=65_536, description="the rule itself, as YAML, instead of the city's")
    against: str | None = Field(default=None, max_length=200, description="another rule of the city")
    against_text: str | None = Field(default=None, max_length=65_536, description="another version of the rule, as YAML")
    order: Literal["journal", "time"] | None = Field(default=None, description="null: time where events were imported, else journal")
    sweep: str | None = Field(default=None, max_length=400, examples=["cluster.sources=2..6"])
    incidents: str | None = Field(default=None, max_length=200, examples=["incident.fire"])
    within: str = Field(default="500 m", max_length=40)
    before: str = Field(default="1 h", max_length=40)
    after: str = Field(default="30 min", max_length=40)
    budget: str | None = Field(default=None, max_length=60, examples=["6 per 12 h"])
    near: int = Field(default=20, ge=0, le=1000)
    warm_up: str | None = Field(default=None, max_length=40)


class BacktestProgress(Shape):
    done: float = Field(description="share of the stored events that were looked at")
    clock: datetime | None = Field(description="how far in the history")
    alerts: int
    events: int


class BacktestOut(Shape):
    id: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    rule: str
    question: dict[str, Any]
    asked: datetime
    ended: datetime | None
    progress: BacktestProgress
    error: str | None


class BacktestPage(Shape):
    items: list[BacktestOut]


class BacktestResult(Shape):
    """docs/backtest.md describes it field by field."""

    model_config = ConfigDict(extra="allow")

    format: int


def add(doors: Doors) -> None:
    services = doors.services
    nowhere = {404: "no such back-test"}

    @doors.post(
        "/api/v1/backtests",
        "backtests",
        BacktestOut,
        status_code=202,
        problems={409: "this server has no archive", 429: "too many wait already"},
    )
    async def start(body: BacktestIn) -> Response:
        """Starts a back-test, or puts it in the queue. Mistakes of a draft are said at once, by line (`errors`); what else is wrong with the
        question is said by the job itself (`failed`, `error`)."""
        known = {rule.name for rule in services.city.plan.rules}
        if body.text is None and body.rule not in known:
            raise BadParameter("rule", body.rule, one_of(body.rule, known))
        if body.against is not None and body.against not in known:
            raise BadParameter("against", body.against, one_of(body.against, known))
        if services.backtests is None:
            raise Problem(409, "This server has no archive, so there is nothing to try a rule on.")
        try:
            job = await services.backtests.start(body.model_dump(by_alias=True, exclude_none=True))
        except Misconfigured as fault:
            raise Problem(
                422, str(fault), slug="invalid-rule", errors=[_mistake(*str(one).split(": ", 1)) for one in fault.problems]
            ) from None
        except ValueError as fault:
            raise Problem(429, str(fault), slug="busy") from None
        return reply(job, 202, {"Location": f"/api/v1/backtests/{job['id']}"})

    @doors.get("/api/v1/backtests", "backtests", BacktestPage)
    async def listed() -> Response:
        """Newest first."""
        return reply({"items": [] if services.backtests is None else services.backtests.jobs()})

    @doors.get("/api/v1/backtests/{job}", "backtests", BacktestOut, problems=nowhere)
    async def one(job: str) -> Response:
        """How far it is, and what became of it."""
        return reply(_found(job, _jobs(services, job).job(job)))

    @doors.get("/api/v1/backtests/{job}/result", "backtests", BacktestResult, problems=nowhere | {409: "it has no result (yet)"})
    async def result(job: str) -> Response:
        """What was found; docs/backtest.md describes it."""
        found = _found(job, _jobs(services, job).job(job))
        body = _jobs(services, job).result(job)
        if body is None:
            raise Problem(
                409, f"The back-test is {found['state']}, so it has no result{'' if found['error'] is None else ': ' + found['error']}."
            )
        return Response(body, media_type="application/json")

    @doors.post("/api/v1/backtests/{job}/cancel", "backtests", BacktestOut, problems=nowhere)
    async def cancel(job: str) -> Response:
        """Stops it at once; of one that has ended nothing changes."""
        return reply(_found(job, await _jobs(services, job).cancel(job)))


def _mistake(place: str, words: str) -> Json:
    """Of a draft, `place` as in `rule.yaml:4`, in the shape of every 422."""
    found, _, valid = words.partition("; ")
    return {"parameter": place, "found": found, "valid": valid}


def _jobs(services: Services, job: str) -> Backtests:
    if services.backtests is None:
        raise Problem(404, f"There is no back-test {job[:80]!r}: this server has no archive.")
    return services.backtests


def _found(job: str, found: Json | None) -> Json:
    if found is None:
        raise Problem(404, f"There is no back-test {job[:80]!r}.")
    return found
