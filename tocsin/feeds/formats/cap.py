"""CAP 1.2 and 1.1 (OASIS Common Alerting Protocol): one message, one event. XML attacks are refused, and so is what the schema cannot see.

The record a mapping sees has the message's elements by their names (`sender`, `note`, ...), the chosen language's first most severe info
block as `info` (`info.event`, `info.headline`, `info.parameter.NAME`, `info.eventCode.NAME`), and `alert` with what has been worked out:

    alert.time       sent for a Cancel, else the earliest `effective` of the blocks, else sent
    alert.until      the latest `expires`
    alert.refers_to  identifier of the earliest message in `references`
    alert.title      the headline, else the event
    alert.places     the area descriptions, joined by "; "
    alert.lon, lat, area   all polygons and circles as one MultiPolygon; a circle of radius 0 is only a point

Blocks in other languages say the same again and are left out (`language`, else the language of the first block counts).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.etree.ElementTree import Element

from tocsin.feeds import mapping, records
from tocsin.feeds.contract import Decoded
from tocsin.feeds.mapping import Recipe
from tocsin.feeds.options import Option
from tocsin.feeds.references import earliest
from tocsin.feeds.unfit import Unfit
from tocsin.feeds.xml_text import load
from tocsin.kernel.fault import Skippable
from tocsin.model.feed import FeedSpec, FieldMap
from tocsin.model.severity import Severity

from . import cap_area, cap_check, options
from .options import Options

OPTIONS: Final[Options] = {
    "language": Option("text", "which info blocks count, as a language tag or its beginning: en, fr-CA"),
    "statuses": Option("texts", "message statuses that are let in (Actual, Exercise, System, Test, Draft)", ("Actual",)),
    "largest": Option("size", "a message of more bytes is refused", 4 << 20),
}
FLAT: Final = False
_NAMESPACES: Final = ("urn:oasis:names:tc:emergency:cap:1.2", "urn:oasis:names:tc:emergency:cap:1.1")
_KINDS: Final = {
    "Met": "weather.warning", "Geo": "geo.warning", "Fire": "fire.warning", "Health": "health.warning", "Env": "environment.warning",
    "Transport": "transport.warning", "Infra": "infrastructure.warning", "CBRNE": "cbrne.warning", "Safety": "safety.warning",
    "Security": "security.warning", "Rescue": "rescue.warning",
}  # fmt: skip
_DEFAULTS: Final[Mapping[str, FieldMap]] = {
    "id": FieldMap(path="identifier"),
    "kind": FieldMap(path="info.category", table=_KINDS, default="public.warning"),
    "source": FieldMap(path="sender"),
    "event_time": FieldMap(path="alert.time"),
    "valid_until": FieldMap(path="alert.until"),
    "lon": FieldMap(path="alert.lon"),
    "lat": FieldMap(path="alert.lat"),
    "area": FieldMap(path="alert.area"),
    "severity": FieldMap(path="info.severity"),
    "action": FieldMap(path="msgType"),
    "refers_to": FieldMap(path="alert.refers_to"),
    "text": FieldMap(path="alert.title"),
}
_ENGLISH: Final = "en-US"  # the schema's default
_NAMED: Final = ("parameter", "eventCode", "geocode")  # pairs of valueName and value


def defaults(_: FeedSpec) -> Mapping[str, FieldMap]:
    """Everything; a feed maps only what it wants otherwise, its `kind` above all."""
    return _DEFAULTS


def decode(body: bytes, spec: FeedSpec) -> Decoded:
    """One event. Raises Skippable for what is not a CAP message at all; a message that breaks CAP's rules is a reject."""
    chosen = options.read(spec, OPTIONS)
    recipe = mapping.recipe(spec, defaults(spec))
    root = load(body, chosen["largest"])
    namespace, _, name = root.tag.rpartition("}")
    if name != "alert" or namespace.removeprefix("{") not in _NAMESPACES:
        raise Skippable("not a CAP alert; the root element must be `alert` in the namespace of CAP 1.2 (or 1.1)")
    return records.decode(recipe, Messages(body, root, recipe, chosen))


class Messages:
    """One CAP message as the only record."""

    def __init__(self, body: bytes, root: Element, recipe: Recipe, chosen: Mapping[str, Any]) -> None:
        self._body = body
        self._root = root
        self._recipe = recipe
        self._language: str | None = chosen["language"]
        self._statuses: Sequence[str] = chosen["statuses"]

    def __len__(self) -> int:
        return 1

    def raw(self, _: int) -> bytes:
        return self._body

    def size(self, _: int) -> int:
        return 0  # the message is always kept whole

    def where(self, _: int) -> str:
        return "alert"

    def load(self, _: int) -> Any:
        message = _tree(self._root)
        cap_check.message(message, self._statuses)
        infos = _blocks(message, self._language)
        worst = max(infos, key=lambda info: Severity[info["severity"].upper()], default={})
        self._recipe.drop_personal(message)
        try:
            place = cap_area.place([area for info in infos for area in info.get("area", [])])
        except Unfit as unfit:
            raise Skippable(unfit.reason(self._recipe.quote), "area") from None
        return {
            **{name: value for name, value in message.items() if name != "info"},
            "info": {**worst, "category": (worst.get("category") or [None])[0]},
            "alert": {
                "time": _start(message, infos),
                "until": _last([info["expires"] for info in infos if info.get("expires")]),
                "refers_to": earliest((identifier, sent) for _, identifier, sent in cap_check.references(message)),
                "title": worst.get("headline") or worst.get("event"),
                "places": "; ".join(area["areaDesc"] for info in infos for area in info.get("area", [])),
                "lon": place.lon,
                "lat": place.lat,
                "area": place.area,
            },
        }


def _tree(element: Element) -> dict[str, Any]:
    """Child elements by name: text, a list for what may repeat, a mapping for valueName/value pairs, nested for info and area."""
    made: dict[str, Any] = {}
    for child in element:
        name = child.tag.rpartition("}")[2] if isinstance(child.tag, str) else ""
        if name in ("info", "area"):
            made.setdefault(name, []).append(_tree(child))
        elif name in _NAMED:
            pair = _tree(child)
            made.setdefault(name, {}).setdefault(pair.get("valueName", ""), pair.get("value", ""))
        elif name in cap_check.REPEATED:
            made.setdefault(name, []).append((child.text or "").strip())
        elif name and not len(child):
            made.setdefault(name, (child.text or "").strip())
    return made


def _blocks(message: Mapping[str, Any], language: str | None) -> list[dict[str, Any]]:
    """The info blocks of one language; all blocks when none is in the asked one, because a warning must not be lost for that."""
    infos: list[dict[str, Any]] = message.get("info", [])
    wanted = (language or (infos[0].get("language") or _ENGLISH if infos else "")).lower()
    return [info for info in infos if (info.get("language") or _ENGLISH).lower().startswith(wanted)] or infos


def _start(message: Mapping[str, Any], infos: Sequence[Mapping[str, Any]]) -> str:
    effective = [info["effective"] for info in infos if info.get("effective")]
    sent: str = message["sent"]
    return sent if message["msgType"] == "Cancel" or not effective else min(effective, key=cap_check.when)


def _last(times: Sequence[str]) -> str | None:
    return max(times, key=cap_check.when, default=None)
