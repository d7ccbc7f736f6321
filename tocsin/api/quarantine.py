"""`/quarantine`: records that could not be decoded, with the reason and the raw bytes; ask ingest to try one again."""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import Query, Response

from .doors import Doors, reply
from .eventjson import Json, iso
from .models import AnyJson, QuarantineDetail, QuarantineList
from .params import Limit
from .problem import BadParameter, Problem, one_of
from .services import QuarantineEntry


def add(doors: Doors) -> None:
    services = doors.services

    @doors.get("/api/v1/quarantine", "quarantine", QuarantineList)
    async def records(feed: Annotated[str | None, Query(description="name of a feed")] = None, limit: Limit = 100) -> Response:
        """Newest first, without the raw bytes."""
        found = await services.quarantine.list(feed, limit)
        feeds = [spec.name for spec in services.city.feeds]
        if feed is not None and feed not in feeds and not found:  # records outlive feeds
            raise BadParameter("feed", feed, one_of(feed, feeds))
        return reply({"items": [record_json(entry) for entry in found]})

    @doors.get("/api/v1/quarantine/{record}", "quarantine", QuarantineDetail, problems={404: "no such record"})
    async def record(record: str) -> Response:
        """One record with its raw bytes."""
        entry = await services.quarantine.get(record)
        if entry is None:
            raise _unknown(record)
        return reply({**record_json(entry), **_raw(entry.raw)})

    @doors.post(
        "/api/v1/quarantine/{record}/retry",
        "quarantine",
        AnyJson,
        problems={404: "no such record", 503: "ingest does not answer"},
    )
    async def retry(record: str) -> Response:
        """Decodes the record again with the feed's present declaration; the reply is the receipt of ingest."""
        if await services.quarantine.get(record) is None:
            raise _unknown(record)
        return reply(await services.retry_record(record))


def _unknown(record: str) -> Problem:
    return Problem(404, f"There is no record {record[:80]!r} in quarantine; it may have expired.")


def record_json(entry: QuarantineEntry) -> Json:
    return {
        "id": entry.id,
        "feed": entry.feed,
        "received": iso(entry.received),
        "expires": iso(entry.expires),
        "seen": entry.seen,
        "size": entry.size,
        "state": entry.state,
        "personal": entry.personal,
        "reason": entry.reason,
        "where": entry.where,
        "origin": entry.origin,
        "content_type": entry.content_type,
        "whole": entry.whole,
    }


def _raw(raw: bytes | None) -> Json:
    """As text where it is UTF-8, else as base64."""
    if raw is None:
        return {"raw": None, "raw_encoding": None}
    try:
        return {"raw": raw.decode(), "raw_encoding": "utf-8"}
    except UnicodeDecodeError:
        return {"raw": base64.b64encode(raw).decode(), "raw_encoding": "base64"}
