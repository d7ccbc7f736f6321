"""Kinds of single values that only rules have: conditions, headlines, fields, keys of a history, zones, amounts with units, shares."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tocsin.kernel.document import Node
from tocsin.kernel.fault import nearest
from tocsin.kernel.scalar import Name, Text
from tocsin.kernel.shape import BAD, Field, Kind, ListOf, Place, Schema, Table
from tocsin.model.length import parse_length
from tocsin.model.links import Key, Zones
from tocsin.model.units import UnitError, resolve

from .amounts import Measured, difference
from .condition import Condition, Quantity
from .expression import parse_condition

#: What a headline may quote.
HOLES: Final[dict[str, str]] = {
    "count": "how many matches joined the alert",
    "sources": "how many different sources",
    "place": 'where, in words, as in "near Ballard"',
    "kind": "the anchor's kind",
    "value": "the anchor's value",
    "unit": "its unit",
    "source": "the anchor's (or the silent) source",
    "text": "the anchor's text",
    "eta": 'when it will be here, as in "13 Sep 20:26 to 22:26", local time',
}
LINK_FIELDS: Final = ("source", "feed", "text", "id", "attrs.<name>")
_ATTRIBUTE = re.compile(r"attrs\.[A-Za-z_][A-Za-z0-9_-]*")
_MEASURED = re.compile(r"\s*([-+]?\d{1,15}(?:\.\d{1,15})?(?:[eE][-+]?\d{1,2})?)\s*(.*?)\s*")
#: Cells smaller than this are places, larger ones are no places.
CELL_MIN: Final = 10.0
CELL_MAX: Final = 1_000_000.0


class ConditionKind(Kind):
    """A condition of the language."""

    def words(self) -> str:
        return "a condition, as in `fire.smoke where value >= 150 ug/m3`"

    def parse(self, node: Node) -> Condition:
        if not isinstance(node.value, str) or node.empty:
            raise ValueError(f"{node.what()} stands where a condition is expected, as in fire.smoke where value >= 150 ug/m3")
        return parse_condition(node.value)

    def schema(self) -> Schema:
        return {"type": "string", "pattern": r"^\s*[a-z][a-z0-9_.-]*(\s+where\s[\s\S]*)?\s*$"}


@dataclass(frozen=True)
class Headline(Kind):
    """A line with {holes}."""

    def words(self) -> str:
        return "a line of text with holes: " + ", ".join(f"`{{{name}}}`" for name in HOLES)

    def parse(self, node: Node) -> str:
        text: str = Text(high=300).parse(node)
        try:
            parts = list(string.Formatter().parse(text))
        except ValueError as fault:
            raise ValueError(f"{fault}; a brace that is meant as such is written twice: {{{{ or }}}}") from None
        for _, hole, form, conversion in parts:
            if hole is None:
                continue
            if hole not in HOLES:
                raise ValueError(f"unknown hole {{{hole}}}; {nearest(hole, HOLES)}")
            if form or conversion:
                raise ValueError(f"the hole {{{hole}}} takes no format; write {{{hole}}} alone")
        return " ".join(text.split())

    def schema(self) -> Schema:
        return {"type": "string", "maxLength": 300}


@dataclass(frozen=True)
class FieldName(Kind):
    """A field by which events belong together. `also`: further names that are possible here."""

    also: tuple[str, ...] = ()

    def words(self) -> str:
        return "a field: " + ", ".join(f"`{name}`" for name in (*self.also, *LINK_FIELDS))

    def parse(self, node: Node) -> str:
        text: str = Text(200).parse(node)
        if text not in (*self.also, *LINK_FIELDS[:-1]) and not _ATTRIBUTE.fullmatch(text):
            raise ValueError(f"unknown field {text!r}; {nearest(text, (*self.also, *LINK_FIELDS))}")
        return text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": rf"^({'|'.join((*self.also, *LINK_FIELDS[:-1]))}|attrs\.[A-Za-z_][A-Za-z0-9_-]*)$"}


class Percent(Kind):
    """`30 %` or 0.3 -> 0.3."""

    def words(self) -> str:
        return "a share, as in `30 %`"

    def parse(self, node: Node) -> float:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", str(node.value) if isinstance(node.value, str) else "")
        if match is None:
            raise ValueError(f"{node.what()} is not a share; write for example '30 %'")
        share = float(match[1]) / (100 if match[2] else 1)
        if not 0 < share <= 1:
            raise ValueError(f"{node.value!r} is not a share; it is more than 0 % and at most 100 %")
        return share

    def schema(self) -> Schema:
        return {"type": ["string", "number"]}


@dataclass(frozen=True)
class Amount(Kind):
    """`20 cm/h` -> Quantity; more than nothing unless `any_sign`. `example` shows a good one; `way`: how it will be read (`amounts.py`)."""

    example: str
    way: Callable[[Quantity], Measured] = difference
    any_sign: bool = False

    def words(self) -> str:
        return f"a number with its UCUM unit, as in `{self.example}`"

    def parse(self, node: Node) -> Quantity:
        match = _MEASURED.fullmatch(node.value) if isinstance(node.value, str) else None
        if match is None:
            raise ValueError(f"{node.what()} is not an amount; write a number with its unit, as in '{self.example}'")
        number, amount = float(match[1]), Quantity(float(match[1]), match[2])
        try:
            resolve(match[2] or "1")
            self.way(amount)
        except UnitError as fault:
            raise ValueError(str(fault)) from None
        if number <= 0 and not self.any_sign:
            raise ValueError(f"{node.value!r} is not more than nothing; write for example '{self.example}'")
        return amount

    def schema(self) -> Schema:
        return {"type": ["string", "number"]}


class Degrees(Kind):
    """`60 deg` -> 60.0, more than 0 and at most 360."""

    def words(self) -> str:
        return "an angle, as in `60 deg`"

    def parse(self, node: Node) -> float:
        match = re.fullmatch(r"\s*(\d{1,3}(?:\.\d{1,6})?)\s*(?:deg|°)\s*", node.value if isinstance(node.value, str) else "")
        if match is None or not 0 < float(match[1]) <= 360:
            raise ValueError(f"{node.what()} is not an angle of more than 0 and at most 360 degrees; write for example '60 deg'")
        return float(match[1])

    def schema(self) -> Schema:
        return {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(deg|°)\s*$"}


class ZoneKind(Kind):
    """`tunnels`, or `{layer: tunnels, only: [North]}` -> Zones without shapes yet."""

    _TABLE: Final = Table(
        (
            Field("layer", Name(), "a layer of polygons", True, example="tunnels"),
            Field("only", ListOf(Text(200), 1, 10_000), "names of its areas that count", default=(), example="[North portal]"),
        )
    )

    def words(self) -> str:
        return "a layer of polygons by its name; or a table: `layer`, `only` (names of its areas)"

    def read(self, node: Node, place: Place) -> Any:
        if isinstance(node.value, str):
            name = Name().read(node, place)
            return BAD if name is BAD else Zones(name)
        values = self._TABLE.read(node, place)
        return BAD if values is BAD else Zones(values["layer"], only=tuple(sorted(set(values["only"]))))

    def schema(self) -> Schema:
        return {"anyOf": [Name().schema(), self._TABLE.schema()]}


class Each(Kind):
    """Whose history is kept apart -> Key."""

    _WHOLE: Final = ("source", "feed", "all")

    def words(self) -> str:
        return "`source`, `feed`, `all`, a field or a list of fields, `{cell: 2 km}`, `{zone: LAYER}`"

    def read(self, node: Node, place: Place) -> Any:
        if isinstance(node.value, str) and node.value in self._WHOLE:
            return Key(node.value)
        if isinstance(node.value, Mapping):
            return self._table(node, node.value, place)
        found = ListOf(FieldName(), 1, 4, single=True).read(node, place)
        return BAD if found is BAD else Key("fields", found)

    def _table(self, node: Node, keys: Mapping[str, Node], place: Place) -> Any:
        if len(keys) != 1 or not keys.keys() <= {"cell", "zone"}:
            place.add(
                node.line, f"found {', '.join(keys) or 'nothing'}; valid is one of cell and zone, as in {{cell: 2 km}}, {{zone: districts}}"
            )
            return BAD
        ((name, child),) = keys.items()
        if name == "zone":
            zones = ZoneKind().read(child, place.at("zone", child.line))
            return BAD if zones is BAD else Key("zone", zones=zones)
        try:
            return Key("cell", size=_cell(child))
        except ValueError as fault:
            place.at("cell", child.line).add(child.line, str(fault))
            return BAD

    def schema(self) -> Schema:
        one = FieldName().schema()
        cell = {"type": "object", "properties": {"cell": {"type": "string"}, "zone": ZoneKind().schema()}, "additionalProperties": False}
        return {"anyOf": [{"enum": list(self._WHOLE)}, one, {"type": "array", "items": one, "minItems": 1, "maxItems": 4}, cell]}


def _cell(node: Node) -> float:
    if not isinstance(node.value, str):
        raise ValueError(f"{node.what()} stands where a length is expected, as in '2 km'")
    size = parse_length(node.value)
    if not CELL_MIN <= size <= CELL_MAX:
        raise ValueError(f"{node.value!r} is no size of a cell; from 10 m to 1000 km are possible")
    return size
