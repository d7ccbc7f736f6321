"""Errors as problem details (RFC 9457): for every status, also those of the framework itself."""

from __future__ import annotations

import difflib
import logging
import secrets
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from tocsin.kernel.fault import DamagedStore, Retriable

log = logging.getLogger(__name__)

#: The path of the console's route, which takes whatever no other route does.
CATCH_ALL: Final = "/{path:path}"
MEDIA_TYPE: Final = "application/problem+json"
_ECHO: Final = 80


class Problem(Exception):
    """Raised anywhere below a route. `slug` names the type (`urn:tocsin:problem:<slug>`; none: `about:blank`, the status says
    it all); `more` are further members of the reply."""

    def __init__(self, status: int, detail: str, *, slug: str = "", headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.slug, self.headers, self.more = status, detail, slug, headers, more


class BadParameter(Problem):
    """422: which parameter, what was found, what is valid."""

    def __init__(self, parameter: str, found: object, valid: str) -> None:
        error = {"parameter": parameter, "found": shorten(found), "valid": valid}
        super().__init__(422, f"{parameter}: found {shorten(found)}; valid is {valid}", slug="invalid-request", errors=[error])


def shorten(value: object) -> str:
    """What was found, quoted and short enough to show."""
    try:
        text = value if isinstance(value, str) else orjson.dumps(value, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # a number beyond 64 bits
        text = repr(value)
    return repr(text if len(text) <= _ECHO else text[:_ECHO] + "…")


def problem_body(status: int, detail: str, instance: str, slug: str = "", **more: Any) -> bytes:
    """The encoded problem. `instance`: path of the request."""
    return orjson.dumps(
        {
            "type": f"urn:tocsin:problem:{slug}" if slug else "about:blank",
            "title": _title(status),
            "status": status,
            "detail": detail,
            "instance": instance,
            **more,
        }
    )


def problem_response(request: Request, problem: Problem) -> Response:
    body = problem_body(problem.status, problem.detail, request.url.path, problem.slug, **problem.more)
    return Response(body, problem.status, dict(problem.headers or {}), MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Handlers for everything that can go wrong in `app`."""

    @app.exception_handler(Problem)
    async def of_ours(request: Request, error: Problem) -> Response:
        return problem_response(request, error)

    @app.exception_handler(HTTPException)
    async def of_the_framework(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405 and request.method not in ("GET", "HEAD") and _matched(request) == CATCH_ALL:
            error = HTTPException(404)  # only the console's catch-all knows this path
        return problem_response(request, Problem(error.status_code, _detail(request, error), headers=error.headers))

    @app.exception_handler(RequestValidationError)
    async def of_validation(request: Request, error: RequestValidationError) -> Response:
        return problem_response(request, _from_validation(error.errors()))

    @app.exception_handler(Retriable)
    async def of_a_busy_part(request: Request, error: Retriable) -> Response:
        after = str(max(1, round(error.after or 1)))
        return problem_response(request, Problem(503, str(error), slug="try-again", headers={"Retry-After": after}))

    @app.exception_handler(DamagedStore)
    async def of_a_damaged_file(request: Request, error: DamagedStore) -> Response:
        return problem_response(request, Problem(503, str(error), slug="archive-damaged"))

    @app.exception_handler(Exception)
    async def of_a_defect(request: Request, error: Exception) -> Response:
        number = secrets.token_hex(4)
        log.error("internal error %s in %s %s", number, request.method, request.url.path, exc_info=error)
        detail = f"A defect in this server; the log of the serve process has it as {number}. Nothing was changed by this request."
        if request.method not in ("GET", "HEAD"):
            detail = f"A defect in this server; the log of the serve process has it as {number}. Check whether the change took place."
        return problem_response(request, Problem(500, detail, slug="defect", number=number))


def _matched(request: Request) -> str:
    return str(getattr(request.scope.get("route"), "path", ""))


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _detail(request: Request, error: HTTPException) -> str:
    if error.status_code == 404 and error.detail == "Not Found":
        return f"There is nothing at {request.url.path}; the routes are listed in /api/openapi.json."
    if error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "GET")
        return f"{request.method} is not possible here; valid is {allow}."
    if error.status_code == 413:
        return f"The body of {request.method} {request.url.path} is too large; send less at a time."
    return str(error.detail)


def _from_validation(errors: Sequence[Any]) -> Problem:
    """What the framework found, in the words of `BadParameter`."""
    found = []
    for error in errors:
        where = ".".join(str(part) for part in error["loc"][1:]) or str(error["loc"][0])
        if error["type"] == "json_invalid":
            where, valid, value = "body", f"JSON ({error.get('ctx', {}).get('error', 'broken')})", f"character {error['loc'][-1]}"
        elif error["type"] == "missing":
            valid, value = "a value: it is required", "nothing"
        elif error["type"] == "extra_forbidden":
            valid, value = "a body without it", shorten(error.get("input"))
        else:
            valid, value = _lower(error["msg"]), shorten(error.get("input"))
        found.append({"parameter": where, "found": value, "valid": valid})
    words = "; ".join(f"{one['parameter']}: found {one['found']}; valid is {one['valid']}" for one in found)
    return Problem(422, words, slug="invalid-request", errors=found)


def _lower(text: str) -> str:
    """`Input should be less than 5` -> `less than 5`."""
    text = text.partition(", unable to parse")[0]
    for start in ("Value error, ", "Input should be ", "String should "):
        text = text.removeprefix(start)
    return text[:1].lower() + text[1:]


def one_of(word: str, known: Iterable[str]) -> str:
    """What would be valid instead of `word`, the nearest first in mind."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"one of {', '.join(names) or 'none at all'}" + (f" (did you mean {close[0]!r}?)" if close else "")
