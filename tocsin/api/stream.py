"""`GET /stream`: the live stream as server-sent events; resumes where a viewer left off."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, Final

from fastapi import Header, Query, Response
from starlette.types import Receive, Scope, Send

from .doors import Doors
from .live import TOPICS, LiveHub, Viewer, parse_position
from .params import parse_choices
from .problem import BadParameter, Problem

log = logging.getLogger(__name__)

#: Kernel memory one viewer may hold, bytes.
SOCKET_BUFFER: Final = 256 << 10
_HELLO: Final = b": tocsin live stream\nretry: 2000\n\n"
_HEARTBEAT: Final = b": here\n\n"


def add(doors: Doors, hub_of: Callable[[], LiveHub]) -> None:
    """`hub_of`: the hub that the request in hand is about."""

    @doors.get(
        "/api/v1/stream",
        "stream",
        None,
        media_type="text/event-stream",
        problems={503: "too many viewers"},
        response_description="alert, events, feeds and clock frames (docs/wiring.md)",
    )
    async def stream(
        topics: Annotated[list[str], Query(description="alerts, events, feeds; with commas or repeated")] = [],  # noqa: B006
        since: Annotated[str | None, Query(description="`<alerts seq>.<events seq>` to go on from")] = None,
        last_event_id: Annotated[str | None, Header(description="sent by a browser that comes back; wins over `since`")] = None,
    ) -> Response:
        """Every change of an alert, the newest events (at most 200, five times a second), the feeds and the clock. Every frame
        has the id to go on from."""
        wanted = parse_choices("topics", topics, TOPICS) or TOPICS
        name, text = ("Last-Event-ID", last_event_id) if last_event_id else ("since", since)
        try:
            position = parse_position(text) if text else None
        except ValueError as error:
            raise BadParameter(name, text, "'<alerts seq>.<events seq>' as in an id of the stream, like '41.1048576'") from error
        hub = hub_of()
        try:
            return LiveResponse(hub, hub.join(wanted, position))
        except OverflowError as error:
            raise Problem(503, f"{error}; try again soon", slug="too-many-viewers", headers={"Retry-After": "10"}) from error


class LiveResponse(Response):
    """Sends a viewer what the hub has for it, for as long as the connection takes it."""

    media_type = "text/event-stream"

    def __init__(self, hub: LiveHub, viewer: Viewer) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self.hub, self.viewer = hub, viewer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = scope.get("state", {}).get("transport")
        _bound_kernel_memory(transport)
        watcher = asyncio.create_task(self._watch(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._send_all(send)
        except TimeoutError:
            self.hub.counters["stalled"] += 1
            log.info("a viewer of the live stream has not read for %g s and is cut off", self.hub.limits.stall)
            if transport is not None:
                transport.abort()
        finally:
            self.hub.leave(self.viewer)
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher

    async def _send_all(self, send: Send) -> None:
        loop, viewer, limits = asyncio.get_running_loop(), self.viewer, self.hub.limits
        beat = loop.time() + limits.heartbeat
        chunk = _HELLO
        while not viewer.closed:
            viewer.wake.clear()
            chunk += self.hub.take(viewer, loop.time())
            if loop.time() >= beat:
                chunk += _HEARTBEAT
                beat = loop.time() + limits.heartbeat
            if chunk:
                async with asyncio.timeout(limits.stall):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                chunk = b""
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(beat):
                        await viewer.wake.wait()
        if viewer.closed != "gone":
            self.hub.counters["closed"] += 1
            async with asyncio.timeout(limits.stall):
                await send({"type": "http.response.body", "body": f": {viewer.closed}\n\n".encode(), "more_body": False})

    async def _watch(self, receive: Receive) -> None:
        """Notices that the viewer has gone."""
        while (await receive())["type"] != "http.disconnect":
            continue
        self.viewer.closed = self.viewer.closed or "gone"
        self.viewer.wake.set()


def _bound_kernel_memory(transport: Any) -> None:
    connection = transport.get_extra_info("socket") if transport is not None else None
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
