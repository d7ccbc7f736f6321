"""A feed's declared mapping, compiled once: which path of a record becomes which event field, and one record to one row.

The words of `FieldMap`, exactly. What is *found* is the value at `path` or the filled `template`; null and empty text count as
missing. A found value goes through `table`; when the table has no row for it, or nothing was found, `default` is used, and without a
default the field is null (for `id`, `kind` and `event_time`: the record is refused). In a template an empty hole leaves an empty
place; a template all of whose holes are empty is missing, and for `id`, `source` and `kind` one empty hole is enough. A number's
`unit_path` wins over its `unit`. Without a mapping for `id` the id is a hash of the record without its personal fields.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import pyarrow as pa

from tocsin.kernel.fault import Misconfigured, Problem, Skippable, nearest
from tocsin.model.event import ATTR_TYPES
from tocsin.model.feed import FeedSpec, FieldMap

from . import convert, geometry, paths, times
from .unfit import SAID, Unfit

#: Event fields a mapping may fill and the type each is converted to; `feed` and `ingest_time` are ours.
EVENT_TYPES: Final[Mapping[str, str]] = {
    "id": "string",
    "kind": "kind",
    "source": "string",
    "event_time": "time",
    "lon": "number",
    "lat": "number",
    "area": "area",
    "valid_until": "until",
    "value": "number",
    "unit": "string",
    "severity": "severity",
    "action": "action",
    "refers_to": "string",
    "text": "string",
}
LON: Final = list(EVENT_TYPES).index("lon")
LAT: Final = list(EVENT_TYPES).index("lat")
REQUIRED: Final = frozenset({"id", "kind", "event_time", "action"})
STORED: Final[Mapping[str, pa.DataType]] = {
    "string": pa.string(), "kind": pa.string(), "number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_(),
    "time": pa.int64(), "until": pa.int64(), "severity": pa.int8(), "action": pa.int8(), "area": pa.binary(),
}  # fmt: skip
_ALL_HOLES: Final = frozenset({"id", "source", "kind"})
_HOLE: Final = re.compile(r"\{([^{}]*)\}")
_CACHE: Final[dict[int, tuple[FeedSpec, Recipe]]] = {}
_CACHED: Final = 1024  # recipes; more feeds than one process has


@dataclass(frozen=True, slots=True)
class Field:
    """One compiled `FieldMap`. `parts`: text and paths of a template, in turn, text first. `fixed`: the same in every record."""

    name: str
    type: str
    convert: convert.Convert
    path: paths.Path = ()
    parts: tuple[str | paths.Path, ...] = ()
    table: Mapping[str, Any] | None = None
    default: Any = None  # converted
    fixed: bool = False
    formats: tuple[str, ...] = ()
    zone: str | None = None

    @property
    def label(self) -> str:
        """How a reason names this field: `lat (properties.lat)`."""
        return f"{self.name} ({'.'.join(self.path)})" if self.path else self.name

    def reads(self) -> tuple[paths.Path, ...]:
        """Every path this field looks at."""
        return (self.path,) if self.path else tuple(part for part in self.parts if isinstance(part, tuple))

    def value(self, record: Any) -> Any:
        """The canonical value, or None. Raises Unfit."""
        if self.path:
            return self.finish(paths.resolve(record, self.path))
        if self.parts:
            return self.finish(self.fill([paths.resolve(record, part) for part in self.parts if part.__class__ is tuple]))
        return self.default

    def fill(self, found: list[Any]) -> str | None:
        """A template with its holes filled, or None when it counts as missing."""
        holes = ["" if value is None else convert.text(value) for value in found]
        if not (all(holes) if self.name in _ALL_HOLES else any(holes)):
            return None
        filling = iter(holes)
        return "".join(part if isinstance(part, str) else next(filling) for part in self.parts)

    def finish(self, found: Any) -> Any:
        """Table, default and conversion of what was found."""
        if found is None or found == "":
            return self.default
        if self.table is None:
            return self.convert(found)
        return self.table.get(convert.text(found), self.default)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A compiled mapping. `fields` in event order, then attributes; `hash_missing`: an id that is not found is made from the record."""

    spec: FeedSpec
    fields: tuple[Field, ...]
    attrs: tuple[Field, ...]
    personal: tuple[paths.Path, ...]
    hash_missing: bool
    columns: tuple[Field, ...]  # both, in this order
    blank: tuple[Any, ...]  # a row with only what is the same in every record
    live: tuple[tuple[int, Field], ...]  # the other columns and where they stand in a row

    @property
    def quote(self) -> bool:
        """Whether reasons may show found values."""
        return not self.personal

    def row(self, record: Any) -> list[Any]:
        """One record -> one canonical value per column (and `id` first). Personal fields are removed from `record` in place.
        Raises Skippable."""
        self.drop_personal(record)
        row = list(self.blank)
        for at, field in self.live:
            try:
                found = field.value(record)
                if found is None and field.name in REQUIRED:
                    found = self._required(field, record)
            except Unfit as unfit:
                raise Skippable(unfit.reason(self.quote), field.label) from None
            row[at] = found
        self._check_place(row)
        return row

    def drop_personal(self, record: Any) -> None:
        """Remove every personal field, in place."""
        for path in self.personal:
            paths.remove(record, path)

    def _required(self, field: Field, record: Any) -> str:
        if field.name == "id" and self.hash_missing:
            return digest(record)
        missing = "the table has no row for it and there is no default" if field.table is not None else "nothing there"
        raise Skippable(f"{field.name} is required and missing: {missing}", field.label)

    def _check_place(self, row: list[Any]) -> None:
        lon, lat = row[LON], row[LAT]
        if lon is None and lat is None:
            return
        try:
            if lon is None or lat is None:
                raise Unfit(SAID, f"there is no {'longitude' if lon is None else 'latitude'}; a place needs both")
            geometry.position(lon, lat)
            geometry.not_null_island(lon, lat)
        except Unfit as unfit:
            raise Skippable(unfit.reason(self.quote), "lon, lat") from None


def digest(record: Any) -> str:
    """Stable id of a record that has none: 20 hex digits of its canonical JSON (keys sorted)."""
    return hashlib.blake2b(msgspec.json.encode(record, order="sorted"), digest_size=10).hexdigest()


def recipe(spec: FeedSpec, defaults: Mapping[str, FieldMap] | None = None, flat: bool = False) -> Recipe:
    """The compiled mapping of a feed, made once per `spec` object. `defaults`: what the format maps by itself; a field the feed maps
    replaces it. `flat`: paths are column names and are not split at dots. Raises Misconfigured with every problem found."""
    known = _CACHE.get(id(spec))
    if known is not None and known[0] is spec:
        return known[1]
    found: list[str] = []
    made = _compile(spec, {**(defaults or {}), **spec.mapping}, flat, found)
    if found:
        raise Misconfigured(Problem(spec.file, spec.line, f"feed {spec.name}: {message}") for message in found)
    if len(_CACHE) >= _CACHED:
        _CACHE.clear()
    _CACHE[id(spec)] = (spec, made)
    return made


def problems(spec: FeedSpec, defaults: Mapping[str, FieldMap] | None = None, flat: bool = False) -> list[str]:
    """Everything wrong with a feed's mapping, in words."""
    found: list[str] = []
    _compile(spec, {**(defaults or {}), **spec.mapping}, flat, found)
    return found


def _compile(spec: FeedSpec, mapping: Mapping[str, FieldMap], flat: bool, found: list[str]) -> Recipe:
    unknown = [name for name in mapping if name not in EVENT_TYPES]
    found.extend(f"mapping.{name}: there is no such event field; {nearest(name, EVENT_TYPES)}" for name in unknown)
    if "event_time" not in mapping:
        found.append("mapping.event_time is missing: say where the time is written, as in event_time: {path: time}")
    if "kind" not in mapping:
        found.append("mapping.kind is missing: say what the events are, as in kind: {constant: fire.smoke}")
    complete = _with_unit(mapping, found)
    fields = tuple(_field(name, type_, complete.get(name), flat, found) for name, type_ in EVENT_TYPES.items())
    attrs = tuple(_field(f"attrs.{name}", field_map.as_type, field_map, flat, found) for name, field_map in spec.attrs.items())
    personal = tuple(path for text in spec.personal if (path := _path(text, flat, "personal", found)))
    found.extend(
        f"{field.name} reads {'.'.join(path)!r}, which is declared personal and dropped before mapping"
        for field in fields + attrs
        for path in field.reads()
        if any(path[: len(one)] == one for one in personal)
    )
    columns = fields + attrs
    blank = tuple(field.default if field.fixed else None for field in columns)
    live = tuple((at, field) for at, field in enumerate(columns) if not field.fixed)
    return Recipe(spec, fields, attrs, personal, "id" not in spec.mapping, columns, blank, live)


def _with_unit(mapping: Mapping[str, FieldMap], found: list[str]) -> dict[str, FieldMap]:
    """The mapping with `unit` written out from the value's `unit` and `unit_path`, and `action` filled in."""
    complete = {"action": FieldMap(constant="report"), **mapping}
    for name, field_map in mapping.items():
        if field_map.unit and (message := _unit_problem(field_map.unit)):
            found.append(f"{name}: {message}")
    value = mapping.get("value")
    if value is not None and (value.unit or value.unit_path):
        if "unit" in mapping:
            found.append("mapping.unit is given twice: as mapping.unit and with mapping.value; keep one")
        written = FieldMap(path=value.unit_path, default=value.unit) if value.unit_path else FieldMap(constant=value.unit)
        complete["unit"] = written
    return complete


def _unit_problem(unit: str) -> str:
    from tocsin.model.units import UnitError, resolve

    try:
        resolve(unit)
    except UnitError as error:
        return str(error)
    return ""


def _field(name: str, type_: str, field_map: FieldMap | None, flat: bool, found: list[str]) -> Field:
    if field_map is None:  # an id that nobody maps is made from each record
        return Field(name, type_, convert.text, fixed=name != "id")
    if name.startswith("attrs.") and type_ not in ATTR_TYPES:
        found.append(f"{name}: {type_!r} is not a type; {nearest(type_, ATTR_TYPES)}")
        type_ = "string"
    converter = _converter(name, type_, field_map, found)
    parts = _template(name, field_map.template, flat, found)
    path = _path(field_map.path, flat, name, found) if field_map.path else ()
    if path and parts:
        found.append(f"{name}: path and template exclude each other")
    if not path and not parts:
        if name in REQUIRED and field_map.constant is None:
            found.append(f"{name}: give one of path, template or constant")
        return Field(name, type_, converter, default=_const(name, field_map.constant, converter, found), fixed=True)
    table = None
    if field_map.table is not None:
        table = {convert.text(key): _const(f"{name}: table", value, converter, found) for key, value in field_map.table.items()}
    default = _const(f"{name}: default", field_map.default, converter, found)
    return Field(name, type_, converter, path, parts, table, default, False, tuple(field_map.formats), field_map.zone)


def _converter(name: str, type_: str, field_map: FieldMap, found: list[str]) -> convert.Convert:
    if type_ not in ("time", "until"):
        if field_map.formats or field_map.zone:
            found.append(f"{name}: formats and zone are for times only")
        return convert.PLAIN[type_]
    found.extend(f"{name}: {message}" for message in times.problems(tuple(field_map.formats), field_map.zone))
    return (convert.time if type_ == "time" else convert.until)(tuple(field_map.formats), field_map.zone)


def _const(name: str, value: Any, converter: convert.Convert, found: list[str]) -> Any:
    if value is None:
        return None
    try:
        return converter(value)
    except Unfit as unfit:
        found.append(f"{name}: {unfit.reason(quote=True)}")
        return None


def _template(name: str, template: str | None, flat: bool, found: list[str]) -> tuple[str | paths.Path, ...]:
    if template is None:
        return ()
    pieces = _HOLE.split(template)
    if len(pieces) == 1:
        found.append(f"{name}: template {template!r} has no hole; write paths in braces, or use constant")
    return tuple(piece if i % 2 == 0 else _path(piece, flat, name, found) for i, piece in enumerate(pieces))


def _path(text: str, flat: bool, name: str, found: list[str]) -> paths.Path:
    if flat:
        return (text,)
    try:
        return paths.parse(text)
    except ValueError as error:
        found.append(f"{name}: {error}")
        return ("?",)
