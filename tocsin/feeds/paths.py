"""Dotted paths into a decoded record: how a mapping points at `properties.mag` or `geometry.coordinates.0`.

A segment made of digits indexes a list (or is the key of an object that has it). A key that itself contains dots is written in
double quotes: `parameters."TIME...MOT...LOC"`.
"""

from __future__ import annotations

import re
from typing import Any

Path = tuple[str, ...]

_SEGMENT = re.compile(r'"([^"]+)"|([^."]+)')


def parse(text: str) -> Path:
    """`a."b.c".0` -> ("a", "b.c", "0"). Raises ValueError for an empty segment or a quote that is not closed."""
    segments: list[str] = []
    position = 0
    while True:
        match = _SEGMENT.match(text, position)
        if match is None:
            raise ValueError(f"{text!r} is not a path; write keys with dots between them, as in properties.mag or geometry.coordinates.0")
        segments.append(match[1] or match[2])
        position = match.end()
        if position == len(text):
            return tuple(segments)
        if text[position] != ".":
            raise ValueError(f'{text!r} is not a path; a quoted key stands between dots, as in a."b.c".d')
        position += 1


def resolve(record: Any, path: Path) -> Any:
    """What the path leads to; None when any step of it is missing."""
    for segment in path:
        if isinstance(record, dict):
            record = record.get(segment)
        elif isinstance(record, list) and segment.isdecimal() and int(segment) < len(record):
            record = record[int(segment)]
        else:
            return None
    return record


def remove(record: Any, path: Path) -> None:
    """Delete what the path leads to, in place. Meeting a list where the path names a key, it goes into every element:
    `patients.name` removes the name of each of the patients."""
    head, rest = path[0], path[1:]
    if isinstance(record, dict):
        if not rest:
            record.pop(head, None)
        elif head in record:
            remove(record[head], rest)
    elif isinstance(record, list):
        if not head.isdecimal():
            for element in record:
                remove(element, path)
        elif int(head) < len(record):
            if rest:
                remove(record[int(head)], rest)
            else:
                record[int(head)] = None


def related(one: Path, other: Path) -> bool:
    """Whether one path leads into the other when list positions are left out of account."""
    short, long = sorted((_keys(one), _keys(other)), key=len)
    return long[: len(short)] == short


def _keys(path: Path) -> Path:
    return tuple(segment for segment in path if not segment.isdecimal())
