"""The doors of the API: the only way to add a route, and no route is added without the access function in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import orjson
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel

from tocsin.model.access import Actor

from .problem import MEDIA_TYPE, BadParameter, Problem, one_of
from .services import Services

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

#: Where the OpenAPI document keeps its schemas.
SCHEMA_REF: Final = "#/components/schemas/{model}"
#: Any of these means that the peer is not the one who asks (RFC 7239 and what came before it).
_RELAYED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


class Access:
    """Asks the access function before the route runs. The resource is the route's, with the path's own parameters."""

    def __init__(self, services: Services, action: str, resource: str, purpose: str) -> None:
        self.services, self.action, self.resource, self.purpose = services, action, resource, purpose

    async def __call__(self, request: Request) -> None:
        decision = self.services.authorize(actor_of(request), self.action, self.named(request), self.purpose)
        if not decision.allowed:
            raise Problem(403, decision.reason, slug="denied")

    def named(self, request: Request) -> str:
        """`alerts/3f2a` for the resource `alerts` at `/alerts/{alert}`."""
        return "/".join((self.resource, *(str(value) for value in request.path_params.values())))


def actor_of(request: Request) -> Actor:
    """Who asks, as far as the connection says. There is no sign-in yet, so the name is the address."""
    address = request.client.host if request.client else ""
    return Actor(address or "unknown", address, any(name in request.headers for name in _RELAYED))


async def known_parameters(request: Request) -> None:
    """Refuses a query parameter that does not exist: a filter that is silently ignored shows the wrong picture."""
    route = request.scope.get("route")
    known = {param.alias for param in route.dependant.query_params} if isinstance(route, APIRoute) else set()
    for name in request.query_params:
        if name not in known:
            raise BadParameter(name, request.query_params[name], one_of(name, known) if known else "no parameter: this route has none")


class Doors:
    """Adds routes to `app`. `model`: what the reply holds, for the OpenAPI document (fast routes reply with encoded bytes)."""

    def __init__(self, app: FastAPI, services: Services) -> None:
        self.app, self.services = app, services
        self.answers = services  # what the routes answer from
        self.first: tuple[Any, ...] = ()  # what is done after access was given and before the route runs

    def get(self, path: str, resource: str, model: type[BaseModel] | None, **how: Any) -> Callable[[Endpoint], Endpoint]:
        return self.add("GET", path, "read", resource, model, **how)

    def post(self, path: str, resource: str, model: type[BaseModel], **how: Any) -> Callable[[Endpoint], Endpoint]:
        return self.add("POST", path, "change", resource, model, **how)

    def add(
        self,
        method: str,
        path: str,
        action: str,
        resource: str,
        model: type[BaseModel] | None,
        *,
        purpose: str = "operations",
        problems: Mapping[int, str] = {},  # never changed
        media_type: str = "application/json",
        head: bool = False,
        **how: Any,
    ) -> Callable[[Endpoint], Endpoint]:
        """`problems`: statuses this route has beside 403 and 422, and what they mean."""
        access = Access(self.services, action, resource, purpose)
        replies: dict[int | str, Any] = {
            status: _problem_reply(words) for status, words in {403: "not allowed", 422: "invalid request", **problems}.items()
        }
        if model is None:
            replies[how.get("status_code", 200)] = {"content": {media_type: {}}, "description": how.pop("response_description", "OK")}

        def register(endpoint: Endpoint) -> Endpoint:
            guarded: dict[str, Any] = {
                "response_class": JSONResponse if model else Response,
                "dependencies": [Depends(access), Depends(known_parameters), *self.first],
                "tags": [resource],
            }
            self.app.add_api_route(path, endpoint, methods=[method], response_model=model, responses=replies, **guarded, **how)
            if head:
                self.app.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False, **guarded)
            return endpoint

        return register


def _problem_reply(words: str) -> dict[str, Any]:
    return {"description": words, "content": {MEDIA_TYPE: {"schema": {"$ref": SCHEMA_REF.format(model="ProblemDetails")}}}}


def reply(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON as fast as it goes; NaN and infinity become null."""
    return Response(orjson.dumps(content), status, dict(headers or {}), "application/json")


def unchanged(request: Request, etag: str) -> bool:
    """Whether the client has this version already (RFC 9110, 13.1.2)."""
    tags = (tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(","))
    return any(tag in (etag, "*") for tag in tags)
