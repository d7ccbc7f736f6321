"""Whether events belong together: fields they agree in, fields no two agree in (`model/links.py`)."""

from __future__ import annotations

from collections.abc import Sequence

from .sample import Link, Sample


def equal(a: Link, b: Link) -> bool:
    """Equal values; a missing one agrees with nothing, numbers and texts are never equal."""
    return a is not None and b is not None and isinstance(a, str) == isinstance(b, str) and a == b


def agree(same: Sequence[str], differs: Sequence[str], a: Sample, b: Sample, start: int) -> bool:
    """Two samples whose `more` holds the fields `same`, then `differs`, from place `start` on."""
    pairs = list(zip(a.more[start:], b.more[start:], strict=True))
    n = len(same)
    return all(equal(x, y) for x, y in pairs[:n]) and not any(equal(x, y) for x, y in pairs[n : n + len(differs)])
