"""Prometheus text (exposition format 0.0.4): own families, and the reports of all processes as one page without duplicates."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
#: Upper bounds of the request duration histogram, seconds.
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_SAMPLE: Final = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?P<labels>\{.*\})?\s+(?P<value>\S+)(\s+-?\d+)?")
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_SUFFIXES: Final = ("_bucket", "_sum", "_count")

Labels = Mapping[str, str]


@dataclass(slots=True)
class Family:
    """`samples`: whole lines by series (name and labels)."""

    help: str = ""
    type: str = "untyped"
    samples: dict[str, str] = field(default_factory=dict)


def family(name: str, kind: str, words: str, samples: Iterable[tuple[Labels, float]]) -> str:
    """One family of counters or gauges as text; nothing at all when it has no samples."""
    lines = [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
    return "\n".join((f"# HELP {name} {_escape(words)}", f"# TYPE {name} {kind}", *lines, "")) if lines else ""


def merge(texts: Iterable[str]) -> str:
    """One page: each family once, its help and type from the process that came first, each series once."""
    families: dict[str, Family] = {}
    for text in texts:
        for line in text.splitlines():
            _merge_line(line.strip(), families)
    out: list[str] = []
    for name, one in families.items():
        if one.samples:
            out += (f"# HELP {name} {one.help or 'No words for it.'}", f"# TYPE {name} {one.type}", *one.samples.values())
    return "\n".join((*out, ""))


def _merge_line(line: str, families: dict[str, Family]) -> None:
    if line.startswith(("# HELP ", "# TYPE ")):
        _, key, name, words = (*line.split(" ", 3), "")[:4]
        known = families.setdefault(name, Family())
        if key == "HELP":
            known.help = known.help or words
        elif not known.samples:
            known.type = words
        return
    match = _SAMPLE.fullmatch(line)
    if match is None:  # comments, blank lines, and what is no sample
        return
    name = match["name"]
    for suffix in _SUFFIXES:
        base = name.removesuffix(suffix)
        if base != name and base in families and families[base].type in ("histogram", "summary"):
            name = base
    families.setdefault(name, Family()).samples.setdefault(f"{match['name']}{match['labels'] or ''}", line)


class Meter:
    """Counts requests by route and status, and how long they took. The live stream counts when it ends, without a duration."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str, int], int] = {}
        self.buckets: dict[str, list[int]] = {}
        self.seconds: dict[str, float] = {}

    def record(self, method: str, route: str, status: int, seconds: float, streamed: bool) -> None:
        key = (method, route, status)
        self.requests[key] = self.requests.get(key, 0) + 1
        if streamed:
            return
        counts = self.buckets.setdefault(route, [0] * (len(BUCKETS) + 1))
        counts[next((i for i, bound in enumerate(BUCKETS) if seconds <= bound), len(BUCKETS))] += 1
        self.seconds[route] = self.seconds.get(route, 0.0) + seconds

    def text(self) -> str:
        requests = [
            ({"method": method, "route": route, "status": str(status)}, float(count))
            for (method, route, status), count in self.requests.items()
        ]
        counted = family("tocsin_serve_requests_total", "counter", "Requests answered, by route.", requests)
        return counted + self._histogram()

    def _histogram(self) -> str:
        name = "tocsin_serve_request_duration_seconds"
        lines = [f"# HELP {name} Time from request to the end of the reply.", f"# TYPE {name} histogram"]
        for route, counts in self.buckets.items():
            total = 0
            for bound, count in zip((*map(str, BUCKETS), "+Inf"), counts, strict=True):
                total += count
                lines.append(f"{name}_bucket{_labels({'route': route, 'le': bound})} {total}")
            lines.append(f"{name}_sum{_labels({'route': route})} {_number(self.seconds[route])}")
            lines.append(f"{name}_count{_labels({'route': route})} {total}")
        return "\n".join((*lines, "")) if self.buckets else ""


class Metered:
    """ASGI: records every request of `app` in `meter`, under the route's own path so that series stay few."""

    def __init__(self, app: ASGIApp, meter: Meter) -> None:
        self.app, self.meter = app, meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status, streamed, replied = time.perf_counter(), 500, False, False

        async def watched(message: Message) -> None:
            nonlocal status, streamed, replied
            if message["type"] == "http.response.start":
                status, replied = message["status"], True
                streamed = any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in message["headers"])
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception:
            if not replied:  # otherwise it is a defect that has been logged and answered with 500 already
                raise
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self.meter.record(method, route, status, time.perf_counter() - started, streamed)


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escape(value, quotes=True)}"' for name, value in labels.items()) + "}" if labels else ""


def _escape(text: str, quotes: bool = False) -> str:
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    return text.replace('"', r"\"") if quotes else text


def _number(value: float) -> str:
    return repr(int(value)) if float(value).is_integer() else repr(float(value))
