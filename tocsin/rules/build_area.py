"""The values of an area's keys to its node in the plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tocsin.model import plan
from tocsin.model.links import ANYWHERE

from .selectors import selector

#: The ways to name an area, of which exactly one is written.
AREAS: Final = ("area", "zone", "around", "sector")


def area(v: Mapping[str, Any]) -> plan.Area:
    """The area that was written; without any an empty one, which `check` refuses."""
    if v["around"]:
        one = v["around"]
        return plan.Around(selector(one["of"]), one["within"], one["valid_for"])
    if v["sector"]:
        return _sector(v["sector"])
    if v["zone"]:
        zones: plan.Zones = v["zone"]
        return zones
    return plan.WarnedArea(selector(v["area"]), v["valid_for"]) if v["area"] else plan.Zones("")


def _sector(v: Mapping[str, Any]) -> plan.Sector:
    wind = v["downwind"]
    if wind is None:
        return plan.Sector(selector(v["of"]), v["within"], v["width"], v["bearing"] or "", v["valid_for"], v["turn"])
    return plan.Sector(
        selector(v["of"]),
        v["within"],
        v["width"],
        wind["bearing"],
        v["valid_for"],
        v["turn"] + 180.0,
        selector(wind["of"]),
        ANYWHERE if wind["within"] is None else wind["within"],
        wind["valid_for"],
    )
