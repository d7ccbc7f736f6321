"""`/healthz`, `/readyz`, `/metrics`: whether serve lives, whether the node is ready, and the figures of all processes."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Response

from .doors import Doors, reply
from .live import LiveHub
from .metrics import CONTENT_TYPE, Meter, family, merge
from .models import HealthOut, ReadyOut
from .problem import Problem
from .services import Services

#: Open to whoever may connect, because a supervisor asks them; they show no data.
OPEN: Final = ("/healthz", "/readyz")


def add(app: FastAPI, doors: Doors, hub: LiveHub, meter: Meter) -> None:
    services = doors.services

    @app.get("/healthz", response_model=HealthOut, tags=["health"])
    async def healthz() -> Response:
        """This process lives."""
        return reply({"ok": True})

    @app.get("/readyz", response_model=ReadyOut, tags=["health"])
    async def readyz() -> Response:
        """All processes report and the views have caught up with the journal."""
        waiting = waiting_for(services)
        if waiting:
            raise Problem(503, "; ".join(waiting), slug="not-ready", headers={"Retry-After": "1"}, ready=False, waiting_for=waiting)
        return reply({"ready": True, "waiting_for": []})

    @doors.get("/metrics", "metrics", None, purpose="monitoring", media_type="text/plain")
    def metrics() -> Response:
        """Prometheus text of all processes."""
        texts = [own_metrics(services, hub), meter.text(), *(heard.report.metrics for heard in services.board.heard.values())]
        return Response(merge(texts), media_type=CONTENT_TYPE)


def waiting_for(services: Services) -> list[str]:
    """What keeps the node from being ready, one sentence each."""
    words = list(services.not_ready())
    for process in services.processes:
        age = services.board.age(process)
        if age is None:
            words.append(f"{process} has not reported yet")
        elif not services.board.fresh(process):
            words.append(f"{process} was last heard {age:.0f} s ago")
    return words


def own_metrics(services: Services, hub: LiveHub) -> str:
    recent, board, counters = services.recent, services.board, hub.counters
    usage = resource.getrusage(resource.RUSAGE_SELF)
    frames = [({"event": event}, float(counters[event])) for event in ("alert", "events", "feeds", "clock")]
    cut_off = [({"reason": reason}, float(counters[reason])) for reason in ("stalled", "closed")]
    ages = [({"process": process}, board.age(process) or 0.0) for process in board.heard]
    up = [({"process": process}, float(board.fresh(process))) for process in services.processes]
    alerts = [({"state": state}, float(count)) for state, count in services.alerts.counts().items()]
    families: tuple[tuple[str, str, str, list[tuple[dict[str, str], float]]], ...] = (
        ("events_total", "counter", "Events read from the journal since this process started.", [({}, recent.total)]),
        ("events_kept", "gauge", "Events the view holds.", [({}, recent.rows)]),
        ("events_kept_bytes", "gauge", "Memory of the events the view holds.", [({}, recent.nbytes)]),
        ("journal_clock_timestamp_seconds", "gauge", "Journal clock, city time.", [({}, recent.clock / 1e6)]),
        ("alerts", "gauge", "Alerts in the view, by state.", alerts),
        ("stream_viewers", "gauge", "Viewers of the live stream.", [({}, len(hub.viewers))]),
        ("stream_frames_total", "counter", "Frames taken by viewers of the live stream.", frames),
        ("stream_events_skipped_total", "counter", "Events left out of conflated frames, over all viewers.", [({}, counters["skipped"])]),
        ("stream_conflated_total", "counter", "Times a viewer was given only the newest state of alerts.", [({}, counters["conflated"])]),
        ("stream_cut_off_total", "counter", "Viewers that were cut off, by reason.", cut_off),
        ("process_up", "gauge", "Whether the process has reported lately.", up),
        ("process_report_age_seconds", "gauge", "Time since the process reported.", ages),
        ("resident_memory_bytes", "gauge", "Resident memory of this process.", [({}, _resident())]),
        ("cpu_seconds_total", "counter", "Processor time of this process.", [({}, usage.ru_utime + usage.ru_stime)]),
    )
    return "".join(family(f"tocsin_serve_{name}", kind, words, samples) for name, kind, words, samples in families)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
