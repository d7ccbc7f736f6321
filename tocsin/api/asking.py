"""How a question to the archive is asked of a thread: a few at a time, given up when whoever asked goes away, its faults as problem details."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Final, TypeVar

from fastapi import Request, Response

from tocsin.kernel.fault import Retriable
from tocsin.model.asking import Answer, Patience, Refused, Stopped, TooMuch, TooSlow

from .doors import reply
from .problem import Problem
from .services import ArchiveView, Services

Result = TypeVar("Result")

#: Questions that run at a time, those that may wait for them, and how often a client that has gone is noticed (seconds).
AT_A_TIME: Final = 4
WAITING: Final = 24
_LOOK: Final = 0.1
PROBLEMS: Final = {
    422: "invalid request; `confirm`: it would read much and must be confirmed; `too-slow`: it took too long, or too much memory",
    503: "there is no archive here, or too many questions are waiting",
}


class Desk:
    """Takes questions to the archive of `services`."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._threads = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="archive")
        self._asked = 0

    async def ask(self, request: Request, work: Callable[[ArchiveView, Patience], Result], seconds: float = 30.0) -> Result:
        """What `work` returns, done in a thread. Raises Problem."""
        archive = self.services.archive
        if archive is None:
            raise Problem(503, "This server has no archive to ask.")
        if self._asked >= AT_A_TIME + WAITING:
            raise Retriable("too many questions to the archive are waiting", after=5)
        patience = Patience(seconds)
        self._asked += 1
        task = asyncio.get_running_loop().run_in_executor(self._threads, _answered, work, archive, patience)
        try:
            while not task.done():
                await asyncio.wait([task], timeout=_LOOK)
                if not task.done() and await request.is_disconnected():
                    patience.given_up.set()
            return task.result()
        except asyncio.CancelledError:
            patience.given_up.set()
            raise
        except (Refused, TooMuch, TooSlow, Stopped) as fault:
            raise _problem(fault) from fault
        finally:
            self._asked -= 1


def _answered(work: Callable[[ArchiveView, Patience], Result], archive: Callable[[], ArchiveView], patience: Patience) -> Result:
    if patience.given_up.is_set():
        raise Stopped("whoever asked has gone")
    return work(archive(), patience)


def _problem(fault: Exception) -> Problem:
    if isinstance(fault, TooMuch):
        return Problem(422, f"{fault}: confirm=true", slug="confirm", plan=asdict(fault.plan))
    if isinstance(fault, TooSlow):
        return Problem(422, str(fault), slug="too-slow")
    if isinstance(fault, Stopped):
        return Problem(503, str(fault), slug="gone")
    parameter, _, rest = str(fault).partition(": ")
    if rest and parameter.isidentifier():
        return Problem(
            422, str(fault), slug="invalid-request", errors=[{"parameter": parameter, "found": rest, "valid": rest.partition("; ")[2]}]
        )
    return Problem(422, str(fault), slug="invalid-request")


def answered(answer: Answer, items: list[dict[str, Any]]) -> dict[str, Any]:
    """An answer as JSON, with what made it."""
    return {
        "items": items,
        "next": answer.next,
        "cut": answer.cut,
        "notes": list(answer.notes),
        "plan": asdict(answer.plan),
        "reaches": answer.reaches,
        "query": answer.sql,
    }


async def told(desk: Desk, request: Request, work: Callable[[ArchiveView, Patience], Answer], form: str, seconds: float = 30.0) -> Response:
    """The answer in the form that was asked for. JSON says what made it; a file says in headers where the next page begins."""
    if form == "json":

        def as_json(archive: ArchiveView, patience: Patience) -> dict[str, Any]:
            answer = work(archive, patience)
            return answered(answer, archive.items(answer))

        return reply(await desk.ask(request, as_json, seconds))

    def as_file(archive: ArchiveView, patience: Patience) -> tuple[Answer, bytes, str, str]:
        archive.known_format(form)
        answer = work(archive, patience)
        return answer, *archive.encoded(answer, form)

    answer, body, media_type, name = await desk.ask(request, as_file, seconds)
    headers = {
        "content-disposition": f'attachment; filename="{name}"',
        "tocsin-cut": str(answer.cut).lower(),
        "tocsin-rows": str(len(answer.table)),
    }
    if answer.next is not None:
        headers["tocsin-next"] = answer.next
    return Response(body, 200, headers, media_type)
