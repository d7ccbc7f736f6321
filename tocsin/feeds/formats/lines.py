"""A body cut into lines, with a limit on how long one may be: a line of 100 MB is found, not copied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tocsin.feeds.records import bounded

BOM = b"\xef\xbb\xbf"
LONGEST = 1 << 20  # bytes, by default


class Line(NamedTuple):
    """`number` counts from 1. `text`: without its line end; of an over-long line only the beginning. `size`: all its bytes when it is
    over-long, else 0."""

    number: int
    text: bytes
    size: int = 0


def split(body: bytes, longest: int, blank: bool = False) -> list[Line]:
    """Lines that hold anything but space (with `blank`: all). Of a line longer than `longest` bytes only the first `longest` are copied. Raises Skippable
    when there are too many (`records.MOST`)."""
    bounded(body.count(b"\n"))
    if len(body) <= longest:
        return [Line(number, text) for number, text in enumerate(body.split(b"\n"), 1) if blank or (text and not text.isspace())]
    return list(_split(body, longest, blank))


def _split(body: bytes, longest: int, blank: bool) -> Iterator[Line]:
    start, number = 0, 0
    while start < len(body):
        end = body.find(b"\n", start)
        end = len(body) if end < 0 else end
        number += 1
        text = body[start : min(end, start + longest)]
        if end - start > longest:
            yield Line(number, text, end - start)
        elif blank or (text and not text.isspace()):
            yield Line(number, text)
        start = end + 1


def without_bom(body: bytes) -> bytes:
    """The body without a UTF-8 byte order mark."""
    return body.removeprefix(BOM)
