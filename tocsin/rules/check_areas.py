"""Areas that rules name: exactly one way to name them, and a sector that has a direction."""

from __future__ import annotations

from tocsin.model.plan import Area, Sector

from .build_area import AREAS
from .findings import Looked


def check_area(one: Looked, table: str, area: Area) -> None:
    """The area of an `inside`. `table`: path of the table that names it."""
    found = [name for name in AREAS if one.wrote(f"{table}.{name}")]
    if len(found) != 1:
        what = f"{' and '.join(found)} exclude one another" if found else f"one of {', '.join(AREAS)} is missing"
        one.bad(f"{table}.{found[1]}" if found else table, f"{what}; write exactly one, as in area: weather.warning")
        return
    if one.wrote(f"{table}.valid_for") and found != ["area"]:
        one.bad(
            f"{table}.valid_for",
            f"belongs to area; {found[0]} has its own" if found != ["zone"] else "areas of a layer always count; leave it out",
        )
    if not isinstance(area, Sector):
        return
    sector = f"{table}.sector"
    both = one.wrote(f"{sector}.bearing"), one.wrote(f"{sector}.downwind")
    if both == (True, True):
        one.bad(f"{sector}.downwind", "bearing and downwind exclude one another; write exactly one")
    elif both == (False, False):
        one.bad(sector, "one of bearing, downwind is missing; write for example bearing: attrs.azimuth")
