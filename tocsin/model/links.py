"""What makes events belong together: fields they agree in, keys whose history is kept apart, zones of a layer.

A *field* is `source`, `feed`, `text`, `id` or `attrs.<name>`. Two events agree in `source` when their feeds and their sources are equal (a
source is scoped to its feed, SEMANTICS 8), in any other field when the values are equal; a field that is missing agrees with nothing
and differs from everything. Numbers and texts are never equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

#: `within` of a rule that asks for no distance: events without coordinates pass, too.
ANYWHERE: Final = math.inf


#: Metadata of a field of the plan that came with the second edition of the language. While it has its default it is left out of a
#: rule's version, so that rules which do not use it keep theirs.
SINCE_2: Final[Mapping[str, int]] = MappingProxyType({"since": 2})
#: Metadata of a field that does not count for a rule's version, because another one stands for it (a digest).
UNHASHED: Final[Mapping[str, bool]] = MappingProxyType({"unhashed": True})


@dataclass(frozen=True, slots=True)
class Zone:
    """One area of a layer. `name`: unique in its layer. `wkb`: valid polygon or multipolygon, lon/lat in degrees, cut at the
    antimeridian; its edge belongs to it; edges are straight in lon/lat, as GeoJSON has them (RFC 7946, 3.1.1)."""

    name: str
    wkb: bytes


@dataclass(frozen=True, slots=True)
class Zones:
    """The areas of a layer, or those of them that a rule names (`only`). `digest`: hash of names and shapes, part of the rule's version;
    empty until the layer is read."""

    layer: str
    digest: str = ""
    only: tuple[str, ...] = ()
    zones: tuple[Zone, ...] = field(default=(), metadata=UNHASHED, repr=False)


@dataclass(frozen=True, slots=True)
class Key:
    """Whose history an operator keeps apart. `by`:

    - `source`: every source of every feed; events without a source are one key of their feed.
    - `feed`: every feed.
    - `fields`: events that agree in all of `fields`; an event that lacks one has no key and is no sample.
    - `cell`: cells of about `size` metres: row = floor(lat x M / size) with M metres to a degree (6,371,008.8 x pi / 180), column =
      floor(lon x M x cos(latitude of the row's middle) / size), lon in [-180, 180). An event without coordinates has no key.
    - `zone`: every one of `zones` that covers the event (several when they overlap); outside of all of them it has no key.
    - `all`: one key.

    A key as text (in baselines, alerts, metrics): `feed/source`, `feed`, the fields' values joined by `/`, `row:column`, the zone's name,
    `all`.
    """

    by: str = "source"
    fields: tuple[str, ...] = ()
    size: float = 0.0
    zones: Zones | None = None


#: The keys operators have when a rule names none.
BY_SOURCE: Final = Key()
ALL_TOGETHER: Final = Key("all")
