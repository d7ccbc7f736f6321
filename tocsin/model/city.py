"""A checked city directory: everything the stages need, as plain objects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .feed import FeedSpec
from .mirror import Mirror
from .plan import Plan


@dataclass(frozen=True, slots=True)
class Layer:
    """A map layer on disk. `kind`: points, polygons or tiles (PMTiles). `name_field`: property that names a feature."""

    name: str
    title: str
    kind: str
    path: Path
    licence: str
    name_field: str = "name"
    places: bool = False  # used to say "near X" in headlines


@dataclass(frozen=True, slots=True)
class Exercise:
    """Recorded time played as if it were now: the node's clock runs `speed` times real time from `start` (microseconds)."""

    start: int
    end: int
    speed: float
    title: str


@dataclass(frozen=True, slots=True)
class City:
    name: str
    title: str
    timezone: str
    centre: tuple[float, float]  # lon, lat; origin of the engine's local projection
    zoom: float
    region: str  # journal subject token
    feeds: tuple[FeedSpec, ...]
    plan: Plan
    layers: tuple[Layer, ...]
    root: Path
    exercise: Exercise | None = None
    mirror: Mirror | None = None
    replicas: int = 1  # servers of an external cluster that keep each entry of the journal
