"""The HTTP door of ingest: `POST /feeds/{name}` (docs/wiring.md). Answers 202 only when the records are durable."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from tocsin.kernel.clock import Clock
from tocsin.kernel.fault import Fatal, Retriable
from tocsin.model.access import Actor, Decision

from .admission import Budget, OverloadError
from .body import BadBodyError, read_body, too_large
from .contract import Message, Receipt
from .tokens import Tokens
from .webhook_hub import Door, Hub

#: (actor, action, resource, purpose) -> decision: the one access function of the node.
Authorize = Callable[[Actor, str, str, str], Decision]

#: A sender that needs longer than this for one body is cut off, seconds.
BODY_TIMEOUT: Final = 60.0
#: Results listed in an answer; a body of a million bad lines gets their number, not a million lines.
MAX_RESULTS: Final = 1_000
TITLES: Final = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    413: "Content too large",
    415: "Unsupported media type",
    429: "Too many requests",
    500: "Internal server error",
    503: "Service unavailable",
}
RELAYED_BY: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


@dataclass(slots=True)
class Desk:
    """What answering needs. `declared`: every webhook feed of the city, also one that is not running now; it and `tokens` change with
    the city."""

    hub: Hub
    declared: frozenset[str]
    tokens: Tokens
    authorize: Authorize
    clock: Clock
    budget: Budget

    async def receive(self, request: Request) -> Response:
        name = request.path_params["name"]
        door = self._door(name, request)
        try:
            body = await self._body(door, request)
        except BadBodyError as fault:
            return problem(fault.status, str(fault), request)
        except TimeoutError:
            return problem(408, f"the body did not arrive within {BODY_TIMEOUT:g} s", request)
        peer = request.client.host if request.client else "unknown"
        message = Message(body, self.clock.now(), f"POST {peer}", request.headers.get("content-type", ""))
        every = request.query_params.get("results") == "all"
        try:
            return answer(await door.sink.deliver(message, every))
        except Fatal as fault:
            if not door.broken.done():
                door.broken.set_exception(fault)
            raise HTTPException(503, "this node is stopping; send again", {"Retry-After": "5"}) from fault

    def _door(self, name: str, request: Request) -> Door:
        """Who may come in. Unknown feed, wrong token, refused access and a feed that is down are told apart."""
        if name not in self.declared:
            raise HTTPException(404, f"no webhook feed {name!r} is declared")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self.tokens.fits(name, token.strip()):
            raise HTTPException(401, f"send 'Authorization: Bearer <token of {name}>'", {"WWW-Authenticate": "Bearer"})
        relayed = any(header in request.headers for header in RELAYED_BY)
        actor = Actor(f"feed {name}", request.client.host if request.client else "", relayed)
        door = self.hub.doors.get(name)
        decision = self.authorize(actor, "change", f"feeds/{name}", door.spec.purpose if door else "operations")
        if not decision.allowed:
            raise HTTPException(403, decision.reason)
        if door is None:
            raise HTTPException(503, f"feed {name} is not running now; send again", {"Retry-After": "5"})
        return door

    async def _body(self, door: Door, request: Request) -> bytes:
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > door.max_body:
            raise too_large(door.max_body)
        encoding = request.headers.get("content-encoding", "")
        try:
            with self.budget.hold(door.spec.name, door.spec.priority) as hold:
                async with asyncio.timeout(BODY_TIMEOUT):
                    return await read_body(request.stream(), encoding, door.max_body, hold.grow)
        except ClientDisconnect:
            raise BadBodyError(400, "the sender went away in the middle of the body") from None


def webhook_app(desk: Desk) -> Starlette:
    """The ASGI application. It keeps no state: feeds come and go in `desk.hub`."""
    return Starlette(
        routes=[Route("/feeds/{name}", desk.receive, methods=["POST"])],
        exception_handlers={HTTPException: _told, Retriable: _later, Exception: _broke},
    )


def answer(receipt: Receipt) -> Response:
    """202 when every record was taken (now or before), 207 when some were rejected."""
    content: dict[str, Any] = {name: getattr(receipt, name) for name in ("accepted", "duplicates", "conflicts", "rejected")}
    content["results"] = receipt.results[:MAX_RESULTS]
    if len(receipt.results) > MAX_RESULTS:
        content["results_omitted"] = len(receipt.results) - MAX_RESULTS
    return Response(msgspec.json.encode(content), 207 if receipt.rejected else 202, media_type="application/json")


def problem(status: int, detail: str, request: Request, headers: dict[str, str] | None = None) -> Response:
    """An RFC 9457 problem detail."""
    content = {
        "type": "about:blank",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "instance": request.url.path,
    }
    return Response(msgspec.json.encode(content), status, headers, media_type="application/problem+json")


def _told(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    return problem(fault.status_code, fault.detail, request, dict(fault.headers or {}))


def _broke(request: Request, _: Exception) -> Response:
    """A mistake of ours. Starlette logs it; what it says is not for the outside."""
    return problem(500, "this node made a mistake; the records are not stored, send again", request)


def _later(request: Request, fault: Exception) -> Response:
    """Overload of one feed is 429; a journal or quarantine that cannot write is 503."""
    assert isinstance(fault, Retriable)
    status = 429 if isinstance(fault, OverloadError) else 503
    return problem(status, str(fault), request, {"Retry-After": str(max(1, math.ceil(fault.after or 1.0)))})
