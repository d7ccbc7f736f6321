"""CloudEvents 1.0.2 in structured JSON: one event, or a batch as a JSON array (CNCF CloudEvents, JSON format 1.0.2).

An event is identified by its `source` and `id` together (specification 3.1.1), so both make the id here. `kind` is the `type`: a type that
is not written as a kind (`com.example.Smoke`) needs a `table`. From `data`, members named lon, lat, value, unit, severity and text are
taken when they are there and nothing else is declared. `data_base64` is not looked into.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tocsin.feeds import mapping, records
from tocsin.feeds.contract import Decoded
from tocsin.kernel.fault import Skippable
from tocsin.model.feed import FeedSpec, FieldMap

from . import lines, options
from .json_records import Elements
from .options import Options

OPTIONS: Final[Options] = {}
FLAT: Final = False
_REQUIRED: Final = ("id", "source", "type")
_DEFAULTS: Final[Mapping[str, FieldMap]] = {
    "id": FieldMap(template="{source} {id}"),
    "kind": FieldMap(path="type"),
    "source": FieldMap(path="source"),
    "event_time": FieldMap(path="time"),
    "lon": FieldMap(path="data.lon"),
    "lat": FieldMap(path="data.lat"),
    "value": FieldMap(path="data.value", unit_path="data.unit"),
    "severity": FieldMap(path="data.severity"),
    "text": FieldMap(path="data.text"),
}


def defaults(spec: FeedSpec) -> Mapping[str, FieldMap]:
    """The context attributes, and what `data` holds under our own names."""
    if "unit" in spec.mapping:
        return {**_DEFAULTS, "value": FieldMap(path="data.value")}
    return _DEFAULTS


def decode(body: bytes, spec: FeedSpec) -> Decoded:
    """One event per CloudEvent. Raises Skippable when the message is neither a CloudEvent nor a batch of them."""
    options.read(spec, OPTIONS)
    recipe = mapping.recipe(spec, defaults(spec))
    return records.decode(recipe, CloudEvents(lines.without_bom(body), (), "event"))


class CloudEvents(Elements):
    """Elements that are CloudEvents 1.0."""

    def load(self, number: int) -> Any:
        event = super().load(number)
        if not isinstance(event, dict):
            raise Skippable("a CloudEvent must be an object")
        version = event.get("specversion")
        if version != "1.0":
            found = "no specversion" if version is None else "another specversion"
            raise Skippable(f"{found}; a CloudEvent says specversion 1.0", "specversion")
        for name in _REQUIRED:
            if not isinstance(event.get(name), str) or not event[name]:
                raise Skippable(f"{name} is required by CloudEvents and must be a text", name)
        return event
