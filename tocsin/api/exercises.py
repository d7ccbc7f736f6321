"""`/exercises`: what can be practised, begin and stop, and how it went."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Response

from tocsin.kernel.fault import Misconfigured

from .doors import Doors, reply
from .eventjson import Json
from .models_past import ExerciseBy, ExercisesOut, RunOut, ScoreOut
from .problem import Problem
from .services import Exercises, Services

Name = Annotated[str, Path(min_length=1, max_length=100)]


def add(doors: Doors) -> None:
    services = doors.services

    @doors.get("/api/v1/exercises", "exercises", ExercisesOut, problems={409: "a file of exercises/ has a mistake"})
    async def exercises() -> Response:
        """The written exercises, the run that goes on, and those that were."""
        try:
            return reply(await _desk(services).listed())
        except Misconfigured as fault:
            raise Problem(409, str(fault), slug="misconfigured") from fault

    @doors.post("/api/v1/exercises/{exercise}/start", "exercises", RunOut, status_code=201, problems={409: "it cannot begin"})
    async def start(exercise: Name, body: ExerciseBy) -> Response:
        """Begins an exercise: its events go through journal, rules, queue and map, marked everywhere, beside everything real."""
        return reply(await _done(services, "start", exercise, body.by), 201)

    @doors.post("/api/v1/exercises/stop", "exercises", RunOut, problems={409: "none is running"})
    async def stop(body: ExerciseBy) -> Response:
        """Ends the run that goes on, and clears its alerts from the queue."""
        return reply(await _done(services, "stop", "", body.by))

    @doors.get("/api/v1/exercises/runs/{run}/score", "exercises", ScoreOut, problems={404: "no such run"})
    async def score(run: Name) -> Response:
        """What was detected and acknowledged, and how quickly; what was missed, and what rang without reason."""
        found = await _desk(services).score(run, services.city)
        if found is None:
            raise Problem(404, f"There is no run {run[:40]!r} of an exercise.")
        return reply(found)


def _desk(services: Services) -> Exercises:
    if services.exercises is None:
        raise Problem(409, "This node has no journal to hold an exercise in.", slug="no-journal")
    return services.exercises


async def _done(services: Services, do: str, name: str, by: str) -> Json:
    answer = await _desk(services).control(do, name, by)
    if not answer.get("ok"):
        raise Problem(409, str(answer.get("reason", "")), slug="conflict")
    return {key: answer[key] for key in ("run", "name", "title")}
