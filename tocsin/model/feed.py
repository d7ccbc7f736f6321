"""A feed as declared: transport + format + mapping, and what the law asks of it (DESIGN law 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldMap:
    """Where one event field comes from.

    `path`: dotted path into the record (`properties.mag`, `geometry.coordinates.0`; a CSV column name). `constant`: used
    when there is no path. `template`: text with {path} holes, instead of a path. `table`: translation of the found text,
    `default` when the table has no row (or the path is missing). `as_type`: string, number, integer, boolean, time.
    `formats`: strptime formats, or `epoch_s`, `epoch_ms`, `iso` (the default), tried in order. `zone`: IANA zone the written
    time is *really* in; it overrides a wrong offset in the text. `unit`: UCUM unit of a number.
    """

    path: str | None = None
    constant: Any = None
    template: str | None = None
    table: Mapping[str, Any] | None = None
    default: Any = None
    as_type: str = "string"
    formats: tuple[str, ...] = ()
    zone: str | None = None
    unit: str | None = None
    unit_path: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A chosen transport or format with its options: `{csv: {delimiter: ";"}}` -> Choice("csv", {"delimiter": ";"})."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FeedSpec:
    """One declared feed. Spans in microseconds. `mapping` keys are event fields; `attrs` keys the feed's own attributes."""

    name: str
    title: str
    purpose: str
    owner: str
    retention: int
    sensitivity: str  # public, internal, restricted
    transport: Choice
    format: Choice
    mapping: Mapping[str, FieldMap]
    attrs: Mapping[str, FieldMap] = field(default_factory=dict)
    personal: tuple[str, ...] = ()  # paths dropped before anything is written
    expected_every: int | None = None  # a gap longer than 3x this makes the feed stale
    lateness: int | None = None
    skew: int | None = None
    priority: int = 2  # 1 highest; what is shed first under overload has the highest number
    shift: int = 0  # exercise: added to every event time, and marked
    licence: str = ""
    file: str = ""
    line: int = 0
