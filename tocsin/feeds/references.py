"""What an Update or Cancel speaks of: the first report of its chain (SEMANTICS 7)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import times
from .unfit import Unfit


def earliest(references: Iterable[tuple[Any, Any]]) -> str | None:
    """The identifier of the reference that was sent first; of (identifier, sent) pairs without a readable time the one listed first."""
    best: tuple[int, str] | None = None
    listed: str | None = None
    for identifier, sent in references:
        if not isinstance(identifier, str) or not identifier:
            continue
        listed = listed or identifier
        try:
            at = times.instant(sent)
        except Unfit:
            continue
        if best is None or at < best[0]:
            best = (at, identifier)
    return best[1] if best else listed
