"""The shell round the whole API: who is addressed, who sends, how much, and the headers every reply carries.

A browser on this machine is a way in for any web page it shows. So: the `Host` must be ours (a page whose name was rebound
to 127.0.0.1 is refused), a changing request must come from our own origin (cross-site requests are refused), and bodies are
bounded. Written as plain ASGI, because a middleware that wraps the response body would break the live stream.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .problem import MEDIA_TYPE, problem_body

LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
MAX_BODY: Final = 1 << 20
_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_HOST: Final = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>\d{1,5}))?")

#: No external host anywhere. Workers and images from `blob:`: the map builds both in the browser.
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "child-src 'self' blob:",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS: Final = (
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "geolocation=(self), camera=(), microphone=()"),
)


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    slug: str
    detail: str


class Guard:
    """`hosts`: further names this server answers to, `name` (any port) or `name:port`. `max_body`: bytes announced at most; a
    body without a length is counted by the framework, with the same limit."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = (), max_body: int = MAX_BODY) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)
        self.max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._host(scope, headers) or _origin(scope, headers) or self._length(headers)
        if refusal is not None:
            await _refuse(refusal, scope, _with_headers(send))
            return
        await self.app(scope, receive, _with_headers(send))

    def _host(self, scope: Scope, headers: Headers) -> Refusal | None:
        given = headers.getlist("host")
        match = _HOST.fullmatch(given[0].lower()) if len(given) == 1 else None
        if match is not None:
            server = scope.get("server")
            default = 443 if scope["scheme"] == "https" else 80
            if match["name"] in LOOPBACK_NAMES and int(match["port"] or default) == (server[1] if server else default):
                return None
            if match[0] in self.hosts or match["name"] in self.hosts:
                return None
        found = ", ".join(given) or "nothing"
        words = f"Host: found {found[:80]!r}; this server answers to 127.0.0.1, localhost and [::1] with its port, and to configured names"
        return Refusal(421, "wrong-host", words)

    def _length(self, headers: Headers) -> Refusal | None:
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) <= self.max_body:
            return None
        return Refusal(413, "body-too-large", f"the body has {length[:20]} bytes; valid is at most {self.max_body}")


def _origin(scope: Scope, headers: Headers) -> Refusal | None:
    """A changing request from a browser must come from a page of ours (Fetch Metadata; RFC 6454 where it is missing)."""
    if scope["method"] in _SAFE:
        return None
    site = headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return Refusal(403, "cross-site", f"a page of another site ({site}) may not change anything here")
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
        return Refusal(403, "cross-site", f"a page from {origin[:80]!r} may not change anything here; only pages of this server may")
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            return Refusal(415, "wrong-content-type", f"Content-Type: found {kind[:80]!r}; valid is 'application/json'")
    return None


async def _refuse(refusal: Refusal, scope: Scope, send: Send) -> None:
    body = problem_body(refusal.status, refusal.detail, scope["path"], refusal.slug)
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(body)), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send) -> Send:
    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS:
                headers[name] = value
            if "cache-control" not in headers:
                headers["cache-control"] = "no-store"
        await send(message)

    return sender
