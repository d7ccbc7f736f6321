"""The keys of areas (what `inside` asks for) and of guards (`unless`, `while`), declared once."""

from __future__ import annotations

from typing import Final

from tocsin.kernel.scalar import Length, Number, Span
from tocsin.kernel.shape import Field, ListOf, Table, Variant
from tocsin.model.time import HOUR, SECOND

from .common_keys import CONDITION, DURING, FIELDS, RULES, VALID, VALID_MAX, WITHIN, ZONE
from .kinds import Degrees, FieldName

#: Positions and wind may be older than the window of a search.
KEEP: Final = Span(SECOND, VALID_MAX)
BEARING: Final = FieldName()

AROUND: Final = Table(
    (
        Field("of", CONDITION, "whose newest position is the middle of the circle", True, example="event.outdoor"),
        Field("within", WITHIN, "radius of the circle", True, example="6 mi"),
        Field("valid_for", VALID, "how long a position counts that names no end of its own", default=HOUR, example="10 min"),
    ),
)
WIND: Final = Table(
    (
        Field("of", CONDITION, "readings of the wind", True, example="weather.wind"),
        Field(
            "bearing", FieldName(also=("value",)), "the field that says, in degrees, from where it blows", True, example="attrs.direction"
        ),
        Field("within", Length(), "how near to the apex it must be measured; without it anywhere", example="20 km"),
        Field("valid_for", VALID, "how long a reading counts", default=HOUR, example="30 min"),
    ),
)
SECTOR: Final = Table(
    (
        Field("of", CONDITION, "the events at the apex", True, example="radiation.dose where value >= 1 uSv/h"),
        Field("within", WITHIN, "how far it reaches", True, example="10 km"),
        Field("width", Degrees(), "its whole angle", True, example="60 deg"),
        Field(
            "bearing",
            FieldName(also=("value",)),
            "the apex event's field that says where it looks, in degrees from north",
            example="attrs.azimuth",
        ),
        Field("downwind", WIND, "instead of bearing: whereto the wind blows"),
        Field("valid_for", VALID, "how long an apex event counts that names no end of its own", default=HOUR, example="30 min"),
        Field("turn", Number(-360, 360), "degrees to add to the bearing", default=0.0, example="90"),
    ),
)
#: Exactly one of `area`, `zone`, `around`, `sector` is written.
AREA_FIELDS: Final = (
    Field(
        "area", CONDITION, "events with an area, while they are valid and not cancelled", example="weather.warning where severity >= severe"
    ),
    Field("valid_for", VALID, "how long an area counts that names no end of its own", default=24 * HOUR, example="6 h"),
    Field("zone", ZONE, "instead: areas of a layer", example="burn-scars"),
    Field("around", AROUND, "instead: a circle round the newest position of something"),
    Field("sector", SECTOR, "instead: a slice of a circle: downwind, or a field of view"),
)

ACTIVE: Final = Table(
    (
        Field("of", CONDITION, "which events", True, example="ops.burn_permit"),
        Field("within", WITHIN, "how near to the anchor they must be, as in 1 km; needed without `same`", example="1 km"),
        Field("valid_for", VALID, "how long one counts that names no end of its own", default=24 * HOUR, example="8 h"),
        Field("same", FIELDS, "fields in which it agrees with the anchor", default=(), example="attrs.incident"),
    ),
)
INSIDE_GUARD: Final = Table(AREA_FIELDS)
ALERTS_GUARD: Final = Table(
    (
        Field("of", RULES, "rules whose alerts are meant", True, example="storm-surge"),
        Field("within", WITHIN, "how near to the anchor; without it anywhere", example="5 km"),
        Field("during", DURING, "how long before the anchor", True, example="2 h"),
        Field("same", FIELDS, "fields in which each agrees with the anchor", default=(), example="attrs.incident"),
    ),
)
GUARDS: Final = {"active": ACTIVE, "inside": INSIDE_GUARD, "all": ALERTS_GUARD, "any": ALERTS_GUARD}
GUARD: Final = ListOf(Variant(GUARDS, "exception", ("timer",)), 1, 16, single=True)
CIRCUMSTANCE: Final = ListOf(Variant(GUARDS, "circumstance", ("timer",)), 1, 16, single=True)
