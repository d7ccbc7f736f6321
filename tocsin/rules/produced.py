"""What the feeds of a city produce, as far as their declarations tell: what rules are held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tocsin.model.feed import FeedSpec, FieldMap
from tocsin.model.predicate import covers

#: Formats whose records name their own kinds, values and units.
SELF_DESCRIBING: Final = frozenset({"cloudevents", "cap", "arrow"})
_PLACE: Final = frozenset({"lon", "lat", "area"})


@dataclass(frozen=True, slots=True)
class Produced:
    """One feed's events. None: not known before records come. No units: its events carry no value. `fields`: event fields that are filled."""

    feed: str
    kinds: frozenset[str] | None
    units: frozenset[str] | None
    attrs: Mapping[str, str]
    fields: frozenset[str] | None = None
    expected: int | None = None  # microseconds between two records, when declared

    def makes(self, kind: str) -> bool:
        """Whether events of a kind may come from it."""
        return self.kinds is None or any(covers(kind, one) for one in self.kinds)

    def lacks(self, name: str) -> bool:
        """Whether its events certainly have no such field."""
        return self.fields is not None and name not in self.fields


def produced(spec: FeedSpec) -> Produced:
    """What a feed produces, as far as its declaration tells."""
    own = spec.format.name in SELF_DESCRIBING or "profile" in spec.format.options
    kind = spec.mapping.get("kind")
    attrs = {name: one.as_type for name, one in spec.attrs.items()}
    given = frozenset(spec.mapping) | (_PLACE if spec.format.name == "geojson" else frozenset())
    return Produced(spec.name, _values(kind) if kind else None, _units(spec, own), attrs, None if own else given, spec.expected_every)


def _units(spec: FeedSpec, own: bool) -> frozenset[str] | None:
    value, unit = spec.mapping.get("value"), spec.mapping.get("unit")
    if unit is not None:
        return _values(unit)
    if value is not None and value.unit is not None and value.unit_path is None:
        return frozenset({value.unit})
    if own or (value is not None and value.unit_path is not None):
        return None
    return frozenset()


def _values(one: FieldMap) -> frozenset[str] | None:
    """Every text a field can have, or None when it is taken from the record as it is."""
    default = {str(one.default)} if one.default is not None else set()
    if one.table is not None:
        return frozenset({str(value) for value in one.table.values()} | default)
    if one.path is None and one.template is None:
        return frozenset({str(one.constant)})
    return None
