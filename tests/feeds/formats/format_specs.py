"""Feeds for tests in one line each, and what a decoded batch says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tocsin.feeds.contract import Decoded
from tocsin.model.feed import Choice, FeedSpec, FieldMap


def maps(**fields: Any) -> dict[str, FieldMap]:
    """A text is short for a path."""
    return {name: FieldMap(path=one) if isinstance(one, str) else one for name, one in fields.items()}


def feed(
    format_: str,
    mapping: Mapping[str, FieldMap] | None = None,
    options: Mapping[str, Any] | None = None,
    attrs: Mapping[str, FieldMap] | None = None,
    personal: tuple[str, ...] = (),
    shift: int = 0,
) -> FeedSpec:
    return FeedSpec(
        name="test.feed",
        title="Test",
        purpose="tests",
        owner="nobody",
        retention=1,
        sensitivity="public",
        transport=Choice("webhook"),
        format=Choice(format_, options or {}),
        mapping=mapping or {},
        attrs=attrs or {},
        personal=personal,
        shift=shift,
    )


def same(one: Decoded, other: Decoded) -> None:
    """The two answers are the same in every respect."""
    assert one.events.schema == other.events.schema
    assert one.events.to_pylist() == other.events.to_pylist()
    assert one.events.equals(other.events)
    assert tuple(one.index) == tuple(other.index)
    assert one.rejects == other.rejects
    one.events.validate(full=True)


def jsonl(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


#: A record that decodes with BASIC.
READING = {"id": "a1", "type": "fire.smoke", "sensor": "s1", "time": "2025-12-15T21:05:00Z", "lon": -122.3, "lat": 47.6, "value": 12.5}
BASIC = maps(
    id="id", kind="type", source="sensor", event_time="time", lon="lon", lat="lat", value=FieldMap(path="value", unit="ug/m3"), text="note"
)
