"""YAML files as trees whose every value knows its line: the ground under messages of the form `file:line: what is wrong`.

Only what configuration needs is read: tables, lists and scalars with YAML 1.2 core meaning (`true`, `false`, `null`, numbers;
`no`, `on` and `12:30` are text). Anchors, aliases, tags and repeated keys are refused, so a small file cannot unfold into a large
one and no text can name a Python object. Nothing is constructed from the file but strings, numbers, tuples and dicts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .fault import Problem

Scalar = str | int | float | bool | None

MAX_BYTES = 16 << 20
MAX_DEPTH = 32
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a document. `line` counts from 1: the key's line for tables and lists, its own for scalars.

    `value`: text of a scalar, a tuple of nodes, or a dict of key -> node. `plain`: a scalar written without quotes, which may
    therefore mean a number, true, false or nothing.
    """

    line: int
    value: str | tuple[Node, ...] | Mapping[str, Node]
    plain: bool = False

    @property
    def empty(self) -> bool:
        """Nothing was written (or `null`)."""
        return isinstance(self.value, str) and self.plain and _WORDS.get(self.value, 0) is None

    def scalar(self) -> Scalar:
        """A scalar as YAML 1.2 core means it. Raises ValueError for tables and lists."""
        if not isinstance(self.value, str):
            raise ValueError(f"{self.what()} stands where one value is expected")
        if not self.plain:
            return self.value
        if self.value in _WORDS:
            return _WORDS[self.value]
        if _INTEGER.fullmatch(self.value):
            return int(self.value)
        return float(self.value) if _FLOAT.fullmatch(self.value) else self.value

    def what(self) -> str:
        """What was found, for messages."""
        if isinstance(self.value, str):
            return "nothing" if self.empty else repr(self.value if len(self.value) <= 60 else self.value[:57] + "...")
        return "a list" if isinstance(self.value, tuple) else "a table"


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file. `text`: as written, without the `---` around it."""

    root: Node
    text: str


def read_file(path: Path, name: str) -> tuple[list[Document], list[Problem]]:
    """The documents of a file; `name` is what messages call it. Unreadable files are problems, not exceptions."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return [], [Problem(name, 0, f"is larger than {MAX_BYTES >> 20} MB; split it")]
        body = path.read_bytes()
    except OSError as fault:
        return [], [Problem(name, 0, f"cannot be read: {fault.strerror or fault}")]
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        return [], [not_utf8(name, body, fault)]
    return read_text(text, name)


def not_utf8(name: str, body: bytes, fault: UnicodeDecodeError) -> Problem:
    line = body.count(b"\n", 0, fault.start) + 1
    return Problem(name, line, f"byte 0x{body[fault.start]:02x} is not UTF-8; save the file as UTF-8")


def read_text(text: str, name: str) -> tuple[list[Document], list[Problem]]:
    """Like `read_file`, for text. Documents before a mistake are returned with it; empty documents are left out."""
    composer = _Composer(text)
    documents: list[Document] = []
    try:
        for document in composer.documents():
            documents.append(document)  # noqa: PERF402 - those before a fault are kept
    except _Refused as fault:
        return documents, [Problem(name, fault.line, str(fault))]
    except yaml.MarkedYAMLError as fault:
        return documents, [_syntax(fault, text, name)]
    except (yaml.reader.ReaderError, UnicodeEncodeError):
        found = _CONTROL.search(text)
        line = text.count("\n", 0, found.start()) + 1 if found else 0
        return documents, [Problem(name, line, "is not YAML: a control character, which YAML does not allow")]
    return documents, []


def _syntax(fault: yaml.MarkedYAMLError, text: str, name: str) -> Problem:
    mark = fault.problem_mark
    if mark is None:
        return Problem(name, 0, f"is not YAML: {fault.problem}")
    line = text.split("\n")[mark.line : mark.line + 1]
    if line and line[0][mark.column : mark.column + 1] == "\t":
        return Problem(name, mark.line + 1, "is not YAML: a tab stands where the indentation is; indent with spaces")
    hint = "text that contains ': ', ' #', {, [ or a comma needs quotes"
    context = (
        f" {fault.context} that begins on line {fault.context_mark.line + 1}"
        if fault.context_mark and fault.context_mark.line < mark.line
        else ""
    )
    return Problem(name, mark.line + 1, f"is not YAML: {fault.problem}{context}; {hint}")


class _Refused(Exception):
    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class _Composer:
    """Events of the YAML parser -> nodes."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)

    def documents(self) -> Iterator[Document]:
        lines = [line + "\n" for line in self.text.split("\n")]
        for event in self.events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            start = next(self.events)
            root = self.node(start, None, 0)
            end = next(self.events)
            if not root.empty:
                yield Document(root, _between(lines, start.start_mark.line, end.start_mark.line))

    def node(self, event: Any, key_line: int | None, depth: int) -> Node:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise _Refused(line, "anchors and aliases (&name, *name) are not read; write the value out, or quote the text")
        if event.tag is not None:
            raise _Refused(line, f"tags ({event.tag}) are not read; write the plain value, or quote the text")
        if isinstance(event, yaml.ScalarEvent):
            return Node(line, event.value, event.style in (None, ""))
        if depth >= MAX_DEPTH:
            raise _Refused(line, f"is nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(key_line or line, tuple(self.items(depth + 1)))
        return Node(key_line or line, self.table(depth + 1))

    def items(self, depth: int) -> Iterator[Node]:
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                return
            yield self.node(event, None, depth)

    def table(self, depth: int) -> Mapping[str, Node]:
        entries: dict[str, Node] = {}
        lines: dict[str, int] = {}
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            line = event.start_mark.line + 1
            key = self.node(event, None, depth).value
            if not isinstance(key, str):
                raise _Refused(line, "a key must be plain text; text with { or [ in front needs quotes")
            if key in entries:
                raise _Refused(line, f"the key {key!r} is written twice; the first is on line {lines[key]}")
            lines[key] = line
            entries[key] = self.node(next(self.events), line, depth)
        return entries


def _between(lines: list[str], first: int, last: int) -> str:
    """The document's own lines, without the comments and blank lines that trail it."""
    chosen = lines[first : max(last, first + 1)]
    while chosen and (not chosen[-1].strip() or chosen[-1].lstrip().startswith("#") or chosen[-1].startswith(("---", "..."))):
        chosen.pop()
    return "".join(chosen)
