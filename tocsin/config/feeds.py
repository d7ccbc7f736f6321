"""Feed files: YAML in, `FeedSpec` out, every problem with its line; what a single key cannot show is checked here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tocsin.kernel.document import Document, read_file, read_text
from tocsin.kernel.fault import Problem
from tocsin.kernel.shape import BAD, Chosen, Place
from tocsin.model.exercise import is_exercise
from tocsin.model.feed import Choice, FeedSpec, FieldMap

from .feed_keys import FEED, SELF_DESCRIBING, STORES_RAW, TIMES, TRANSPORTS

_HOLE = re.compile(r"\{([^{}]*)\}")
_KIND = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*", re.ASCII)


def read_feeds(path: Path, name: str) -> tuple[list[FeedSpec], list[Problem]]:
    """The feeds of a file (one a document) and everything wrong in it. `name`: what messages call the file."""
    return _feeds(*read_file(path, name), name)


def parse_feeds(text: str, name: str = "feed") -> tuple[list[FeedSpec], list[Problem]]:
    """Like `read_feeds`, for text."""
    return _feeds(*read_text(text, name), name)


def _feeds(documents: list[Document], problems: list[Problem], name: str) -> tuple[list[FeedSpec], list[Problem]]:
    feeds: list[FeedSpec] = []
    found: list[Problem] = []
    for document in documents:
        place = Place(name)
        values = FEED.read(document.root, place)
        if values is not BAD:
            spec = _spec(values, place)
            _Checker(spec, place).check()
            if not place.problems:
                feeds.append(spec)
        found += sorted(place.problems, key=lambda one: one.line)
    return feeds, found + problems


def _spec(values: Mapping[str, Any], place: Place) -> FeedSpec:
    named = {key: values[key] for key in ("purpose", "owner", "retention", "sensitivity", "licence", "personal", "expected_every")}
    return FeedSpec(
        name=values["feed"],
        title=values["title"] or values["feed"],
        transport=_choice(values["transport"]),
        format=_choice(values["format"]),
        mapping={name: _field_map(one, name) for name, one in values["mapping"].items()},
        attrs={name: _field_map(one, "") for name, one in values["attrs"].items()},
        file=place.file,
        line=place.lines["feed"],
        **named,
        **{key: values[key] for key in ("lateness", "skew", "priority", "shift")},
    )


def _choice(chosen: Chosen) -> Choice:
    """Only what was written: transports and formats know their own defaults."""
    return Choice(chosen.name, {name: value for name, value in chosen.values.items() if value is not None})


def _field_map(one: str | Mapping[str, Any], event_field: str) -> FieldMap:
    as_type = "time" if event_field in TIMES else "number" if event_field in ("lon", "lat", "value") else "string"
    if isinstance(one, str):
        return FieldMap(path=one, as_type=as_type)
    return FieldMap(
        path=one["from"],
        constant=one["constant"],
        template=one["template"],
        table=one["table"],
        default=one["default"],
        as_type=one["as"] or as_type,
        formats=one["formats"],
        zone=one["zone"],
        unit=one["unit"],
        unit_path=one["unit_from"],
    )


def paths_read(one: FieldMap) -> tuple[str, ...]:
    """Every path of the record a field looks at."""
    holes = tuple(_HOLE.findall(one.template)) if one.template else ()
    return tuple(path for path in (one.path, one.unit_path) if path) + holes


class _Checker:
    """One feed's keys against one another."""

    def __init__(self, spec: FeedSpec, place: Place) -> None:
        self.spec = spec
        self.place = place

    def bad(self, path: str, message: str) -> None:
        lines = self.place.lines
        inner = path
        while inner not in lines and "." in inner:
            inner = inner.rpartition(".")[0]
        self.place.problems.append(Problem(self.spec.file, lines.get(inner, self.spec.line), f"{path}: {message}"))

    def check(self) -> None:
        if is_exercise(f"{self.spec.name}."):
            self.bad("feed", f"{self.spec.name!r} is kept for exercises; name the feed otherwise")
        self.required()
        self.personal()
        for path, name, one in self.fields():
            self.source(path, one)
            self.time(path, name, one)
            self.number(path, name, one)
        self.kinds()

    def fields(self) -> Iterator[tuple[str, str, FieldMap]]:
        """(path of the key, event field or empty for an attribute, its map)."""
        for name, one in self.spec.mapping.items():
            yield f"mapping.{name}", name, one
        for name, one in self.spec.attrs.items():
            yield f"attrs.{name}", "", one

    def required(self) -> None:
        if self.spec.format.name in SELF_DESCRIBING or "profile" in self.spec.format.options:
            return
        examples = {"kind": "kind: {constant: fire.smoke}", "event_time": "event_time: time"}
        for name, example in examples.items():
            if name not in self.spec.mapping:
                self.bad(
                    "mapping",
                    f"{name!r} is missing, and {self.spec.format.name} records do not say it by themselves; write for example {example}",
                )

    def personal(self) -> None:
        personal = self.spec.personal
        if not personal:
            return
        if self.spec.transport.name in STORES_RAW:
            others = ", ".join(sorted(set(TRANSPORTS) - set(STORES_RAW)))
            why = "stores every message as it came, before personal fields can be dropped"
            self.bad(
                "transport", f"{self.spec.transport.name} {why}; use one of {others}, or have the sender leave {', '.join(personal)} out"
            )
        for path, _, one in self.fields():
            for read in paths_read(one):
                hit = next((name for name in personal if read == name or read.startswith(name + ".")), None)
                if hit is not None:
                    self.bad(path, f"reads {read!r}, which is declared personal and dropped before anything is written; leave it out here")

    def source(self, path: str, one: FieldMap) -> None:
        ways = [name for name, way in (("from", one.path), ("template", one.template), ("constant", one.constant)) if way is not None]
        if not ways:
            self.bad(path, "nothing says where it comes from; write from, template or constant")
        elif len(ways) > 1:
            self.bad(path, f"{' and '.join(ways)} exclude each other; keep one")
        elif ways == ["constant"] and (one.table is not None or one.default is not None):
            self.bad(path, "a constant is never translated; leave table and default out")
        elif one.template is not None and not _HOLE.search(one.template):
            self.bad(path, f"the template {one.template!r} has no {{path}} in it; write constant for fixed text")

    def time(self, path: str, name: str, one: FieldMap) -> None:
        is_time = name in TIMES or (not name and one.as_type == "time")
        if not is_time and (one.formats or one.zone):
            self.bad(path, "formats and zone are for times" + ("" if name else "; write as: time"))
        elif one.zone is None and one.formats and all("%" in form and "%z" not in form for form in one.formats):
            known = ", ".join(one.formats)
            self.bad(path, f"{known} says no offset from UTC, and every time would be refused; write zone, as in zone: America/Los_Angeles")

    def number(self, path: str, name: str, one: FieldMap) -> None:
        if name and name not in TIMES and one.as_type not in ("string", "number"):
            self.bad(path, f"as is for attributes; {name} has a type of its own")
        has_unit = one.unit is not None or one.unit_path is not None
        if name == "value":
            if not has_unit and "unit" not in self.spec.mapping:
                self.bad(
                    path,
                    "has no unit, and a number without a unit passes no rule; write unit, as in {from: pm25, unit: ug/m3}, or unit: 1 for a plain number",
                )
            if has_unit and "unit" in self.spec.mapping:
                self.bad("mapping.unit", "the unit is given twice, here and with mapping.value; keep one")
        elif has_unit and (name or one.as_type not in ("number", "integer")):
            self.bad(path, "only value and attributes that are numbers have a unit" + ("" if name else "; write as: number"))

    def kinds(self) -> None:
        one = self.spec.mapping.get("kind")
        if one is None:
            return
        written = [one.constant, one.default, *(one.table or {}).values()]
        for kind in dict.fromkeys(value for value in written if value is not None):
            if not isinstance(kind, str) or not _KIND.fullmatch(kind):
                self.bad(
                    "mapping.kind", f"{kind!r} is not a kind; kinds are small letters, digits, '-' and '_', parted by dots, as in call.fire"
                )
