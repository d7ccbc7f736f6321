"""How far a feed has been read, kept in the data directory: written only after what was read is durable in the journal."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from tocsin.kernel import durable

T = TypeVar("T", bound=msgspec.Struct)


class Position:
    """One JSON file, replaced as a whole: a crash leaves the old position or the new one, never half of one."""

    def __init__(self, data: Path, feed: str) -> None:
        self.path = data / "positions" / f"{feed}.json"

    def load(self, kind: type[T]) -> T | None:
        """None when there is none, or none that can be read: the feed starts over, and ids tell what is known."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=kind)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def save(self, place: msgspec.Struct) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        durable.replace(self.path, msgspec.json.encode(place))
