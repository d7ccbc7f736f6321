"""GeoJSON (RFC 7946): a Feature or FeatureCollection; one event per feature, its geometry as place and area without being asked.

Paths start at the feature: `properties.mag`, `geometry.coordinates.2`. Two sources have a `profile` that maps them completely:

    nws   api.weather.gov alerts: CAP fields in `properties`. Update and Cancel refer to the earliest report of `references`; the end is
          `ends` (when the hazard ends), else `expires` (when the message does). Alerts whose status is not Actual are refused.
    usgs  earthquake.usgs.gov summary feeds: magnitude as value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tocsin.feeds import geometry, mapping, records
from tocsin.feeds.contract import Decoded
from tocsin.feeds.json_text import elements, load, member
from tocsin.feeds.mapping import Recipe
from tocsin.feeds.options import Option
from tocsin.feeds.references import earliest
from tocsin.feeds.unfit import Unfit
from tocsin.kernel.fault import Misconfigured, Problem, Skippable, nearest
from tocsin.model.feed import FeedSpec, FieldMap

from . import lines, options
from .options import Options

OPTIONS: Final[Options] = {
    "profile": Option("text", "a source that is mapped completely by itself: nws or usgs"),
    "statuses": Option("texts", "with profile nws: alert statuses that are let in (Actual, Exercise, System, Test, Draft)", ("Actual",)),
}
FLAT: Final = False
_GEOMETRY: Final[Mapping[str, FieldMap]] = {
    "id": FieldMap(path="id"),
    "lon": FieldMap(path="place.lon"),
    "lat": FieldMap(path="place.lat"),
    "area": FieldMap(path="place.area"),
}
_PROFILES: Final[Mapping[str, Mapping[str, FieldMap]]] = {
    "nws": {
        "id": FieldMap(path="properties.id"),
        "kind": FieldMap(constant="weather.warning"),
        "source": FieldMap(path="properties.senderName"),
        "event_time": FieldMap(path="alert.time"),
        "valid_until": FieldMap(path="alert.until"),
        "severity": FieldMap(path="properties.severity"),
        "action": FieldMap(path="properties.messageType"),
        "refers_to": FieldMap(path="alert.refers_to"),
        "text": FieldMap(path="alert.title"),
    },
    "usgs": {
        "kind": FieldMap(constant="seismic.quake"),
        "source": FieldMap(path="properties.net"),
        "event_time": FieldMap(path="properties.time", formats=("epoch_ms",)),
        "value": FieldMap(path="properties.mag", unit="{magnitude}"),
        "text": FieldMap(path="properties.title"),
    },
}


def defaults(spec: FeedSpec) -> Mapping[str, FieldMap]:
    """The geometry, the feature's id, and what the profile maps."""
    profile = spec.format.options.get("profile")
    return {**_GEOMETRY, **_PROFILES.get(str(profile), {})}


def problems(spec: FeedSpec) -> list[str]:
    """A profile that does not exist."""
    profile = options.read(spec, OPTIONS)["profile"]
    if profile is None or profile in _PROFILES:
        return []
    return [f"format option profile: {profile!r} does not exist; {nearest(profile, _PROFILES)}"]


def decode(body: bytes, spec: FeedSpec) -> Decoded:
    """One event per feature. Raises Skippable when the message is not GeoJSON features."""
    wrong = problems(spec)
    if wrong:
        raise Misconfigured(Problem(spec.file, spec.line, f"feed {spec.name}: {message}") for message in wrong)
    chosen = options.read(spec, OPTIONS)
    recipe = mapping.recipe(spec, defaults(spec))
    return records.decode(recipe, Features(lines.without_bom(body), chosen["profile"], chosen["statuses"], recipe))


class Features:
    """The features of a message as records, with `place` (from the geometry) and, for NWS, `alert` beside `properties`."""

    def __init__(self, text: bytes, profile: str | None, statuses: tuple[str, ...], recipe: Recipe | None = None) -> None:
        self._recipe = recipe
        self._profile = profile
        self._statuses = statuses
        name = member(text, "type")
        kind = load(name) if name is not None else None
        if kind == "Feature":
            self._cut = [text]
        elif kind == "FeatureCollection":
            self._cut = elements(text, ("features",))
        else:
            raise Skippable("not a GeoJSON Feature or FeatureCollection", "type")

    def __len__(self) -> int:
        return len(self._cut)

    def raw(self, number: int) -> bytes:
        return self._cut[number]

    def size(self, _: int) -> int:
        return 0  # a feature is always kept whole

    def where(self, number: int) -> str:
        return f"feature {number + 1}"

    def load(self, number: int) -> Any:
        feature = load(self._cut[number])
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            raise Skippable("not a GeoJSON Feature", "type")
        if self._recipe is not None:
            self._recipe.drop_personal(feature)  # before anything is derived from it
        try:
            place = geometry.from_geojson(feature.get("geometry"))
        except Unfit as unfit:
            raise Skippable(unfit.reason(self._recipe is not None and self._recipe.quote), "geometry") from None
        feature["place"] = {"lon": place.lon, "lat": place.lat, "area": place.area}
        if self._profile == "nws":
            feature["alert"] = _nws(feature.get("properties"), self._statuses)
        return feature


def _nws(properties: Any, statuses: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(properties, dict):
        raise Skippable("an alert has properties", "properties")
    status = properties.get("status")
    if status not in statuses:
        raise Skippable(f"status is not {' or '.join(statuses)}: not a real alert (format option statuses lets it in)", "properties.status")
    cancels = properties.get("messageType") == "Cancel"
    effective = None if cancels else properties.get("effective")
    references = properties.get("references")
    pairs = [
        (one.get("identifier"), one.get("sent")) for one in (references if isinstance(references, list) else []) if isinstance(one, dict)
    ]
    if properties.get("messageType") in ("Update", "Cancel") and not pairs:
        raise Skippable("an Update or Cancel must say in `references` what it speaks of", "properties.references")
    return {
        "time": effective or properties.get("sent"),
        "until": properties.get("ends") or properties.get("expires"),
        "refers_to": earliest(pairs),
        "title": properties.get("headline") or properties.get("event"),
    }
