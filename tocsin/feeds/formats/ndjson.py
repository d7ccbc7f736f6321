"""NDJSON: one JSON object a line (newline-delimited JSON, RFC 8259 objects). The fast way in for sensors: see `feeds/typed.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from tocsin.feeds import mapping, paths, records
from tocsin.feeds.contract import Decoded
from tocsin.feeds.json_text import load
from tocsin.feeds.options import Option
from tocsin.feeds.typed import SMALL, TypedReader, reader_for
from tocsin.kernel.fault import Skippable
from tocsin.model.feed import FeedSpec, FieldMap

from . import lines, options
from .options import Options

OPTIONS: Final[Options] = {
    "longest_line": Option("size", "a line of more bytes is refused", lines.LONGEST),
}
FLAT: Final = False
_NEWLINE, _OPEN, _CLOSE = 0x0A, 0x7B, 0x7D
_PIECE: Final = 1 << 20  # bytes looked at together, so that a huge body needs no huge mask


def defaults(_: FeedSpec) -> Mapping[str, FieldMap]:
    """Nothing is mapped that the feed does not map."""
    return {}


def decode(body: bytes, spec: FeedSpec) -> Decoded:
    """One event per line; empty lines are skipped. A bad line is a reject, the others go on."""
    recipe = mapping.recipe(spec)
    found = Lines(lines.without_bom(body), options.read(spec, OPTIONS)["longest_line"])
    reader = reader_for(recipe) if len(body) > SMALL else None
    if reader is None:
        return records.decode(recipe, found)
    scanned = found.scan(reader)
    if scanned is not None:
        count, columns = scanned
        records.bounded(count)
        made, bad = reader.scanned(count, columns)
        return records.decode_columns(recipe, found, made, np.flatnonzero(~bad), np.arange(count), count)
    return records.decode_typed(recipe, reader, found, found.read(reader))


def decode_carefully(body: bytes, spec: FeedSpec) -> Decoded:
    """The same answer without the fast way: what tests compare it with."""
    return records.decode(mapping.recipe(spec), Lines(lines.without_bom(body), options.read(spec, OPTIONS)["longest_line"]))


class Lines:
    """The lines of a body as records; cut only when somebody asks for a single one."""

    def __init__(self, body: bytes, longest: int) -> None:
        self._body = body
        self._longest = longest
        self._lines: list[lines.Line] | None = None

    @property
    def lines(self) -> list[lines.Line]:
        if self._lines is None:
            self._lines = lines.split(self._body, self._longest)
        return self._lines

    def __len__(self) -> int:
        return len(self.lines)

    def raw(self, number: int) -> bytes:
        return self.lines[number].text.removesuffix(b"\r")

    def size(self, number: int) -> int:
        return self.lines[number].size

    def where(self, number: int) -> str:
        return f"line {self.lines[number].number}"

    def load(self, number: int) -> Any:
        line = self.lines[number]
        if line.size:
            raise Skippable(f"a line of {line.size} bytes; at most {self._longest} are read (format option longest_line)")
        record = load(line.text)
        if not isinstance(record, dict | list):
            raise Skippable("a record must be an object")
        return record

    def scan(self, reader: TypedReader) -> tuple[int, Mapping[paths.Path, pa.Array]] | None:
        """How many lines there are and their columns, by the compiled reader; None when they must be read the ordinary way."""
        if reader.scanner is None or len(self._body) > self._longest or not _utf8(self._body):
            return None
        return reader.scanner.read(self._body)

    def read(self, reader: TypedReader) -> list[Any]:
        """Every line through the typed decoder at once, or else one by one; None for a line that it refuses."""
        count = _plain(self._body, self._longest)
        if count:
            try:
                read: list[Any] = reader.decoder.decode_lines(self._body)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                read = []
            if len(read) == count:
                return read
        return [None if line.size else reader.read(line.text) for line in self.lines]


def _plain(body: bytes, longest: int) -> int:
    """How many lines there are, if every one begins with `{` and ends with `}`, else 0. A bare `}`, line end, `{` never stands inside one
    JSON value, so as many values as lines means one value a line, and reading them all at once is the same as one by one."""
    size = len(body) - body.endswith(b"\n")
    if not body.startswith(b"{") or body[size - 1] != _CLOSE:
        return 0
    codes = np.frombuffer(body, np.uint8, size)
    ends = np.concatenate([np.flatnonzero(codes[at : at + _PIECE] == _NEWLINE) + at for at in range(0, size, _PIECE)])
    if not ((codes[ends - 1] == _CLOSE).all() and (codes[ends + 1] == _OPEN).all()):
        return 0
    if len(body) > longest and np.diff(ends, prepend=-1, append=size).max() - 1 > longest:
        return 0
    return len(ends) + 1 if _utf8(body) else 0


def _utf8(body: bytes) -> bool:
    try:
        return body.isascii() or bool(body.decode())
    except UnicodeDecodeError:
        return False
