"""Query parameters of the archive's routes: texts into a checked filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import Query

from tocsin.model.archive import Box
from tocsin.model.asking import Filter
from tocsin.model.time import parse_span

from .params import parse_bbox, parse_instant, parse_kinds
from .problem import BadParameter

Text = Annotated[str, Query(description='words that all occur in text, attributes, source or id; "in quotes" for a phrase', max_length=400)]
Severity = Annotated[int | None, Query(ge=0, le=4, description="at least this CAP severity")]
Sources = Annotated[list[str], Query(description="exact source, repeatable")]
Format = Annotated[str, Query(description="json, csv, arrow, parquet (GeoParquet 1.1), gpkg (GeoPackage) or fgb (FlatGeobuf)")]
Confirm = Annotated[bool, Query(description="read it although it is much")]
PageCursor = Annotated[str | None, Query(description="`next` of the page before", max_length=60)]
#: Names in one parameter that repeats.
_NAMES_MOST: Final = 100


def filter_of(
    bbox: str | None, start: str | None, end: str | None, kind: Sequence[str], feed: Sequence[str], source: Sequence[str] = (),
    severity: int | None = None, text: str = "",
) -> Filter:  # fmt: skip
    """Raises BadParameter."""
    first, last = parse_instant("from", start), parse_instant("to", end)
    if first is not None and last is not None and first >= last:
        raise BadParameter("from", start, f"an instant before `to` ({end})")
    for name, values in (("kind", kind), ("feed", feed), ("source", source)):
        if len(values) > _NAMES_MOST:
            raise BadParameter(name, f"{len(values)} values", f"at most {_NAMES_MOST}")
    box = parse_bbox(bbox)
    place = None if box is None else Box(box.west, box.south, box.east, box.north)
    return Filter(first, last, place, parse_kinds(kind), tuple(feed), tuple(source), severity, text)


def parse_length_of_time(parameter: str, text: str) -> int:
    """A span in µs, zero too. Raises BadParameter."""
    try:
        span = parse_span(text)
    except ValueError:
        span = -1
    if span < 0:
        raise BadParameter(parameter, text, "a span of time that is not negative, like 30 min or 1 h 30 min, below 4,500 years")
    return span
