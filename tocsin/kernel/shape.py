"""Tables of keys: what a configuration file may contain, declared once; reading, error messages, editor schema and reference come from it.

A `Kind` says what one value may be. Reading never stops at the first mistake: problems are collected in the `Place`, and what could
not be read becomes `BAD`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from .document import Node
from .fault import Problem, nearest

Schema = dict[str, Any]
#: A value that could not be read; the reason is among the problems.
BAD: Final[Any] = type("Bad", (), {"__repr__": lambda _: "BAD", "__bool__": lambda _: False})()


@dataclass(frozen=True, slots=True)
class Place:
    """Where reading is: the file, the path of keys inside it, and what was collected so far."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)  # dotted path -> line
    path: str = ""

    def at(self, key: str | int, line: int) -> Place:
        """The place of a key, or of the i-th item (counted from 1) of a list."""
        path = f"{self.path}[{key}]" if isinstance(key, int) else f"{self.path}.{key}" if self.path else key
        self.lines[path] = line
        return Place(self.file, self.problems, self.lines, path)

    def add(self, line: int, message: str) -> None:
        self.problems.append(Problem(self.file, line, f"{self.path}: {message}" if self.path else message))


class Kind:
    """What one value may be. Leaf kinds implement `parse`, which raises ValueError with a message that teaches."""

    def words(self) -> str:
        """For the reference: what to write."""
        return "any value"

    def read(self, node: Node, place: Place) -> Any:
        try:
            return self.parse(node)
        except ValueError as fault:
            place.add(node.line, str(fault))
            return BAD

    def parse(self, node: Node) -> Any:
        return node.scalar()

    def schema(self) -> Schema:
        return {}


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a table. `about`: what it is for, one sentence without a full stop; the reference and messages quote it."""

    name: str
    kind: Kind
    about: str
    required: bool = False
    default: Any = None
    example: str = ""


@dataclass(frozen=True)
class Table(Kind):
    """A table with known keys -> dict with every key (defaults filled in). `later`: keys of later versions, refused as such."""

    fields: tuple[Field, ...]
    later: tuple[str, ...] = ()
    what: str = "table"

    def words(self) -> str:
        return "a table: " + ", ".join(f"`{each.name}`" for each in self.fields)

    def read(self, node: Node, place: Place) -> Any:
        known = {each.name: each for each in self.fields}
        if not isinstance(node.value, Mapping):
            place.add(node.line, f"{node.what()} stands where a table is expected; its keys: {', '.join(known)}")
            return BAD
        before = len(place.problems)
        values: dict[str, Any] = {name: each.default for name, each in known.items()}
        for key, child in node.value.items():
            if key not in known:
                place.add(child.line, self._unknown(key, known))
            elif not child.empty:
                values[key] = known[key].kind.read(child, place.at(key, child.line))
        for name, each in known.items():
            found = node.value.get(name)
            if each.required and (found is None or found.empty):
                state = "missing" if found is None else "empty"
                place.add(node.line if found is None else found.line, f"{name!r} is {state}: {each.about}")
        return values if len(place.problems) == before else BAD

    def _unknown(self, key: str, known: Mapping[str, Field]) -> str:
        if key in self.later:
            return f"{key!r} is not supported yet; this version has: {', '.join(sorted(known))}"
        return f"unknown key {key!r}; {nearest(key, known)}"

    def schema(self) -> Schema:
        properties = {each.name: each.kind.schema() | {"description": each.about} for each in self.fields}
        required = [each.name for each in self.fields if each.required]
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which of several tables was written: `{cluster: {...}}` -> Chosen("cluster", {...})."""

    name: str
    values: Mapping[str, Any]
    line: int


@dataclass(frozen=True)
class Variant(Kind):
    """A table with exactly one key, which names one of several tables -> `Chosen`. `bare`: the name alone will do, too."""

    tables: Mapping[str, Table]
    noun: str
    later: tuple[str, ...] = ()
    bare: bool = False

    def words(self) -> str:
        return f"one {self.noun}: " + ", ".join(f"`{name}`" for name in sorted(self.tables))

    def read(self, node: Node, place: Place) -> Any:
        names = ", ".join(sorted(self.tables))
        if isinstance(node.value, str) and self.bare and not node.empty:
            node = Node(node.line, {node.value: Node(node.line, {})})
        if not isinstance(node.value, Mapping):
            place.add(
                node.line, f"{node.what()} stands where one {self.noun} is expected, as in {{{min(self.tables)}: {{...}}}}; known: {names}"
            )
            return BAD
        if len(node.value) != 1:
            found = ", ".join(node.value) or "none"
            place.add(node.line, f"exactly one {self.noun} is expected, found {found}; known: {names}")
            return BAD
        ((name, child),) = node.value.items()
        if name not in self.tables:
            late = f"{self.noun} {name!r} is not supported yet; this version has: {names}"
            place.add(child.line, late if name in self.later else f"unknown {self.noun} {name!r}; {nearest(name, self.tables)}")
            return BAD
        body = Node(child.line, {}) if child.empty else child
        values = self.tables[name].read(body, place.at(name, child.line))
        return BAD if values is BAD else Chosen(name, values, child.line)

    def schema(self) -> Schema:
        one = [
            {"type": "object", "properties": {name: table.schema()}, "required": [name], "additionalProperties": False}
            for name, table in sorted(self.tables.items())
        ]
        return {"oneOf": [*one, {"type": "string", "enum": sorted(self.tables)}] if self.bare else one}


@dataclass(frozen=True)
class ListOf(Kind):
    """A list of one kind -> tuple. `single`: one value without the list will do, too."""

    kind: Kind
    low: int = 0
    high: int = 100_000
    single: bool = False

    def words(self) -> str:
        return f"a list; each: {self.kind.words()}" + ("; one alone needs no list" if self.single else "")

    def read(self, node: Node, place: Place) -> Any:
        if not isinstance(node.value, tuple):
            if self.single:
                value = self.kind.read(node, place)
                return BAD if value is BAD else (value,)
            place.add(node.line, f"{node.what()} stands where a list is expected")
            return BAD
        if not self.low <= len(node.value) <= self.high:
            place.add(node.line, f"a list of {len(node.value)}; from {self.low} to {self.high} are read")
            return BAD
        values = tuple(self.kind.read(child, place.at(index, child.line)) for index, child in enumerate(node.value, 1))
        return BAD if any(value is BAD for value in values) else values

    def schema(self) -> Schema:
        many: Schema = {"type": "array", "items": self.kind.schema(), "minItems": self.low}
        return {"anyOf": [self.kind.schema(), many]} if self.single else many


@dataclass(frozen=True)
class Short(Kind):
    """A table, or one scalar as its short form."""

    scalar: Kind
    table: Kind

    def words(self) -> str:
        return f"{self.scalar.words()}; or {self.table.words()}"

    def read(self, node: Node, place: Place) -> Any:
        return (self.scalar if isinstance(node.value, str) else self.table).read(node, place)

    def schema(self) -> Schema:
        return {"anyOf": [self.scalar.schema(), self.table.schema()]}


@dataclass(frozen=True)
class Keyed(Kind):
    """A table whose keys are free within limits -> dict. `check` returns what is wrong with a key, or an empty text."""

    kind: Kind
    check: Callable[[str], str]
    names: Sequence[str] = ()

    def words(self) -> str:
        return f"a table of {self.kind.words()}"

    def read(self, node: Node, place: Place) -> Any:
        if not isinstance(node.value, Mapping):
            place.add(node.line, f"{node.what()} stands where a table is expected")
            return BAD
        before = len(place.problems)
        values: dict[str, Any] = {}
        for key, child in node.value.items():
            wrong = self.check(key)
            if wrong:
                place.add(child.line, wrong)
            else:
                values[key] = self.kind.read(child, place.at(key, child.line))
        return values if len(place.problems) == before else BAD

    def schema(self) -> Schema:
        if not self.names:
            return {"type": "object", "additionalProperties": self.kind.schema()}
        return {"type": "object", "properties": {name: self.kind.schema() for name in self.names}, "additionalProperties": False}


@dataclass(frozen=True)
class AsWritten(Kind):
    """Checked like `kind`, but kept as it was written: whoever uses it converts it."""

    kind: Kind

    def words(self) -> str:
        return self.kind.words()

    def parse(self, node: Node) -> Any:
        self.kind.parse(node)
        return node.value

    def schema(self) -> Schema:
        return self.kind.schema()
