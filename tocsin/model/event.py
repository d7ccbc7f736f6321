"""The event: one immutable record and one Arrow schema, from a smoke reading to a warning polygon (DESIGN 5).

Events travel as Arrow record batches of one feed. `attrs` is a struct whose fields the feed declares; all other columns are
the same for every feed, in this order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

INSTANT: Final = pa.timestamp("us", tz="UTC")
KIND: Final = pa.dictionary(pa.int16(), pa.string())
SOURCE: Final = pa.dictionary(pa.int32(), pa.string())
UNIT: Final = pa.dictionary(pa.int16(), pa.string())

#: Columns of every batch, before `attrs`. `ingest_time` is null until the journal writer stamps it.
BASE_FIELDS: Final = (
    pa.field("id", pa.string(), nullable=False),  # feed-scoped; with `feed` the idempotency key
    pa.field("feed", KIND, nullable=False),
    pa.field("kind", KIND, nullable=False),  # dotted: call.fire, water.level
    pa.field("source", SOURCE),  # the thing that spoke, scoped to its feed
    pa.field("event_time", INSTANT, nullable=False),  # when it happened
    pa.field("ingest_time", INSTANT),  # when we learnt it
    pa.field("lon", pa.float64()),  # WGS 84 degrees; null matches no spatial condition
    pa.field("lat", pa.float64()),
    pa.field("area", pa.binary()),  # WKB polygon or multipolygon
    pa.field("valid_until", INSTANT),  # exclusive
    pa.field("value", pa.float64()),
    pa.field("unit", UNIT),  # UCUM code
    pa.field("severity", pa.int8()),  # Severity
    pa.field("action", pa.int8(), nullable=False),  # Action
    pa.field("refers_to", pa.string()),  # id (same feed) of the report this updates or cancels
    pa.field("text", pa.string()),
)
ATTR_TYPES: Final[Mapping[str, pa.DataType]] = {
    "string": pa.string(),
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "time": INSTANT,
}


def event_schema(attrs: Mapping[str, str] | None = None) -> pa.Schema:
    """The schema of one feed's batches. `attrs`: attribute name -> one of `ATTR_TYPES`; no attributes, no `attrs` column."""
    fields = list(BASE_FIELDS)
    if attrs:
        fields.append(pa.field("attrs", pa.struct([pa.field(name, ATTR_TYPES[kind]) for name, kind in attrs.items()])))
    return pa.schema(fields)
