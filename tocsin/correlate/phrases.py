"""Pieces of sentences: an event, a distance, a span, a condition, as reasons write them."""

from __future__ import annotations

from typing import Final

from tocsin.model.alert import Evidence
from tocsin.model.predicate import Selector
from tocsin.model.time import HOUR, MINUTE, SECOND, format_span

from .headline import number, unit_words

_TEXT_MAX: Final = 80


def metres(distance: float) -> str:
    """`38 m`, `1.2 km`."""
    if distance < 999.5:
        return f"{distance:.0f} m"
    return f"{distance / 1000:.1f}".removesuffix(".0") + " km"


def rounded(us: int) -> int:
    """A span as people would say it: to a tenth of a second below ten, to seconds below an hour, to minutes above."""
    step = SECOND // 10 if us < 10 * SECOND else SECOND if us < HOUR else MINUTE
    return (us + step // 2) // step * step


def span(us: int) -> str:
    """`40 min`, `0 s`."""
    return format_span(rounded(us)) if rounded(us) else "0 s"


def second(us: int) -> int:
    """An instant without its fraction of a second."""
    return us // SECOND * SECOND


def thing(event: Evidence, valued: bool = True) -> str:
    """An event in few words: kind and source, its value or its text."""
    name = event.kind.rsplit(".", 1)[-1].replace("_", " ")
    words = f"{name} {event.source or event.id}".strip()
    if event.value is not None:
        return f"{words} at {number(event.value)} {unit_words(event.unit)}".rstrip() if valued else words
    text = " ".join((event.text or "").split())
    if not text:
        return words
    short = text if len(text) <= _TEXT_MAX else text[: _TEXT_MAX - 1] + "…"
    return short if (event.source or event.id) in short else f"{words}: {short}"


def written(selector: Selector) -> str:
    """A condition as it was written, its kind in front."""
    text = selector.text.strip()
    if not text or text == selector.kind:
        return selector.kind
    return text if text.startswith(selector.kind) else f"{selector.kind} where {text}"
