"""Query parameters: texts into checked values; a mistake says which parameter, what was found and what is valid."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import Query

from tocsin.model.time import EARLIEST, LATEST, from_iso

from .block import Box
from .problem import BadParameter, one_of

_DIGITS: Final = re.compile(r"\d{1,18}")
_KIND: Final = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")

Bbox = Annotated[
    str | None,
    Query(description="west,south,east,north in degrees; west > east crosses the antimeridian", examples=["-122.5,47.4,-122.2,47.8"]),
]
Instant = Annotated[str | None, Query(description="ISO 8601 with an offset or Z", examples=["2017-07-04T21:05:00Z"])]
From = Annotated[str | None, Query(alias="from", description="first event time, inclusive; ISO 8601", examples=["2017-07-04T21:00:00Z"])]
To = Annotated[str | None, Query(alias="to", description="last event time, exclusive; ISO 8601", examples=["2017-07-04T22:00:00Z"])]
Kinds = Annotated[list[str], Query(description="dotted prefix, repeatable: `call` covers `call.fire`")]
Names = Annotated[list[str], Query(description="exact name, repeatable")]
Limit = Annotated[int, Query(ge=1, le=1000, description="items at most")]
Cursor = Annotated[str | None, Query(description="`next` of the page before")]


def parse_bbox(text: str | None) -> Box | None:
    if text is None:
        return None
    valid = "four numbers west,south,east,north in degrees with south <= north, like -122.5,47.4,-122.2,47.8"
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise BadParameter("bbox", text, valid) from None
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise BadParameter("bbox", text, valid)
    return Box(west, south, east, north)


def parse_instant(parameter: str, text: str | None) -> int | None:
    """Microseconds. A `+` of the offset that came as a space is taken for what it was meant to be."""
    if text is None:
        return None
    try:
        moment = from_iso(text.replace(" ", "+") if text.count(" ") == 1 and "T" in text else text)
    except (ValueError, OverflowError):
        raise BadParameter(parameter, text, "an instant in ISO 8601 with an offset or Z, like 2017-07-04T21:05:00Z") from None
    if not EARLIEST <= moment < LATEST:
        raise BadParameter(parameter, text, "an instant from 1980 to 2098, like 2017-07-04T21:05:00Z")
    return moment


def parse_kinds(values: Sequence[str]) -> tuple[str, ...]:
    for value in values:
        if not _KIND.fullmatch(value):
            raise BadParameter("kind", value, "a dotted prefix of a kind, like call or call.fire; repeat the parameter for several")
    return tuple(values)


def parse_seq(parameter: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not _DIGITS.fullmatch(text):
        raise BadParameter(parameter, text, "a sequence number as given by this API")
    return int(text)


def parse_choices(parameter: str, values: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Each value one of `known`; several may stand in one value, with commas."""
    words = tuple(word for value in values for word in value.split(",") if word)
    for word in words:
        if word not in known:
            raise BadParameter(parameter, word, one_of(word, known))
    return words
