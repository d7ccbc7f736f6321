"""Which class of the archive a row belongs to: events, readings or positions.

By its feed's declaration: a feed whose kinds are all under `asset` says positions; one that maps `value` and neither `text` nor `area` says readings;
all others say events. Rows of a feed that is not declared (any more) are told by what they have: a kind under `asset`, else a value, else neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tocsin.model.archive import CLASSES
from tocsin.model.feed import FeedSpec

EVENTS, READINGS, POSITIONS = range(len(CLASSES))
_MOVING: Final = "asset"


def class_of(spec: FeedSpec) -> int:
    """Index into CLASSES."""
    kind = spec.mapping.get("kind")
    said = [] if kind is None else [kind.constant, kind.default, *(kind.table or {}).values()]
    kinds = [str(one) for one in said if one is not None]
    if kinds and all(one == _MOVING or one.startswith(_MOVING + ".") for one in kinds):
        return POSITIONS
    return READINGS if "value" in spec.mapping and not {"text", "area"} & spec.mapping.keys() else EVENTS


def classes_of(specs: Iterable[FeedSpec]) -> dict[str, int]:
    return {spec.name: class_of(spec) for spec in specs}


def row_classes(table: pa.Table, declared: Mapping[str, int]) -> NDArray[np.int8]:
    """Index into CLASSES for every row of a table with feed, kind and value."""
    feeds = table.column("feed").combine_chunks()
    feeds = feeds if pa.types.is_dictionary(feeds.type) else feeds.dictionary_encode()
    known = np.array([declared.get(name, -1) for name in feeds.dictionary.to_pylist()], np.int8)
    found: NDArray[np.int8] = known[feeds.indices.to_numpy()]
    rows = np.flatnonzero(found < 0)
    if len(rows):
        some = table.take(pa.array(rows))
        moving = pc.starts_with(some.column("kind").cast(pa.string()), pattern=_MOVING + ".").to_numpy()
        valued = pc.is_valid(some.column("value")).to_numpy()
        found[rows] = np.where(moving, POSITIONS, np.where(valued, READINGS, EVENTS))
    return found
