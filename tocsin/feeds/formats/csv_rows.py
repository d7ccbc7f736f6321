"""CSV rows (RFC 4180): a header line or declared columns, any delimiter and encoding, line breaks inside quotes.

Records are cut as bytes, so that one row that is not valid in its encoding, or a quote that is never closed, costs that row only.
Fields are stripped of spaces round them; an empty field is a missing one.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from tocsin.feeds import mapping, records
from tocsin.feeds.contract import Decoded
from tocsin.feeds.options import Option
from tocsin.kernel.fault import Misconfigured, Problem, Skippable, nearest
from tocsin.model.feed import FeedSpec, FieldMap

from . import lines, options
from .lines import Line
from .options import Options

OPTIONS: Final[Options] = {
    "delimiter": Option("text", "one character between fields", ","),
    "quote": Option("text", "one character round fields; `none` when a quote is a plain character", '"'),
    "encoding": Option("text", "how the bytes are written: utf-8, latin-1, cp1252, utf-16, ...", "utf-8"),
    "columns": Option("texts", "names of the columns, when the first line is a record already"),
    "longest_row": Option("size", "a row of more bytes is refused", lines.LONGEST),
}
FLAT: Final = True
_WIDE: Final = ("utf-16", "utf-32", "utf-7")  # a line end is not one byte


class Row(NamedTuple):
    """`line`: where it starts, from 1. `text`: its bytes without the line end. `size`: as in `Line`. `open`: its quote never closes."""

    line: int
    text: bytes
    size: int = 0
    open: bool = False


def defaults(_: FeedSpec) -> Mapping[str, FieldMap]:
    """Nothing is mapped that the feed does not map."""
    return {}


def problems(spec: FeedSpec) -> list[str]:
    """What is wrong with the options beyond their kinds."""
    chosen = options.read(spec, OPTIONS)
    found = []
    if len(chosen["delimiter"]) != 1 or chosen["delimiter"] in '"\r\n':
        found.append(f"format option delimiter: {chosen['delimiter']!r} is not one character; write for example ';' or '\\t'")
    if chosen["quote"] != "none" and (len(chosen["quote"]) != 1 or chosen["quote"] in (chosen["delimiter"], "\r", "\n")):
        found.append(f"format option quote: {chosen['quote']!r} is not one character of its own; write one, or `none`")
    try:
        "".encode(chosen["encoding"])
        b"".decode(chosen["encoding"])
        codecs.lookup(chosen["encoding"]).incrementaldecoder(errors="strict")
    except (LookupError, TypeError, UnicodeError):
        found.append(f"format option encoding: {chosen['encoding']!r} is not a text encoding, as utf-8, latin-1 or cp1252 are")
    return found


def decode(body: bytes, spec: FeedSpec) -> Decoded:
    """One event per row. Raises Skippable when the message as a whole is not text in its encoding, its header is unreadable or has no
    column that the mapping names."""
    recipe = mapping.recipe(spec, flat=True)
    wrong = problems(spec)
    if wrong:
        raise Misconfigured(Problem(spec.file, spec.line, f"feed {spec.name}: {message}") for message in wrong)
    rows = Rows(body, options.read(spec, OPTIONS))
    rows.must_have({path[0] for field in recipe.columns for path in field.reads()})
    return records.decode(recipe, rows)


class Rows:
    """The rows of a body as records."""

    def __init__(self, body: bytes, chosen: Mapping[str, Any]) -> None:
        self._quote = None if chosen["quote"] == "none" else chosen["quote"]
        self._delimiter = chosen["delimiter"]
        self._longest = chosen["longest_row"]
        text, self._encoding = _narrow(body, codecs.lookup(chosen["encoding"]).name)
        cut = lines.split(lines.without_bom(text), self._longest, blank=True)
        opening = None
        if self._quote is not None:
            quote, delimiter = (re.escape(mark.encode(self._encoding)) for mark in (self._quote, self._delimiter))
            opening = re.compile(rb"(?:^|%b)%b(?:[^%b]|%b%b)*$" % (delimiter, quote, quote, quote, quote))
        self._header = b""
        self._columns: list[str] = list(chosen["columns"] or ())
        rows = _rows(cut, (self._quote or "").encode(self._encoding), opening, self._fits)
        if not self._columns and (first := next(rows, None)) is not None:
            self._header = first.text.removesuffix(b"\r")
            self._columns = self._read_header(first)
        self._rows = list(rows)

    def must_have(self, columns: set[str]) -> None:
        """Raises Skippable for a column that the header does not have: a misspelt one would be empty in every row, unnoticed."""
        for name in sorted(columns - set(self._columns)):
            if self._columns:
                raise Skippable(f"there is no column {name!r}; {nearest(name, self._columns)}", "the header")

    def __len__(self) -> int:
        return len(self._rows)

    def raw(self, number: int) -> bytes:
        """The row with the header before it, if the feed has one: it can be decoded again by itself."""
        row = self._rows[number].text
        return self._header + b"\n" + row if self._header else row

    def size(self, number: int) -> int:
        row = self._rows[number]
        return row.size and row.size + len(self._header)

    def where(self, number: int) -> str:
        return f"line {self._rows[number].line}"

    def load(self, number: int) -> dict[str, str]:
        row = self._rows[number]
        if row.size:
            raise Skippable(f"a row of {row.size} bytes; at most {self._longest} are read (format option longest_row)")
        if row.open:
            raise Skippable("a quote is opened and never closed")
        fields = self._fields(row)
        if len(fields) != len(self._columns):
            raise Skippable(f"{len(fields)} fields; the header has {len(self._columns)} columns")
        return dict(zip(self._columns, map(str.strip, fields), strict=True))

    def _fields(self, row: Row) -> list[str]:
        try:
            text = row.text.decode(self._encoding)
        except UnicodeDecodeError as error:
            raise Skippable(f"not {self._encoding}: {error.reason} (byte {error.start})") from None
        if self._quote is None:
            return text.removesuffix("\r").split(self._delimiter)
        try:
            found = list(csv.reader([text], delimiter=self._delimiter, quotechar=self._quote, strict=True))
        except csv.Error as error:
            raise Skippable(f"not a CSV row: {error}") from None
        return found[0]

    def _fits(self, row: Row) -> bool:
        """Whether joined lines make one row; any do as long as the columns are not known."""
        if row.size or len(row.text) > self._longest:
            return False
        try:
            return not self._columns or len(self._fields(row)) == len(self._columns)
        except Skippable:
            return False

    def _read_header(self, row: Row) -> list[str]:
        try:
            columns = [name.strip() for name in self._fields(row)]
        except Skippable as fault:
            raise Skippable(str(fault), f"line {row.line}, the header") from None
        twice = {name for name in columns if columns.count(name) > 1 and name}
        if twice:
            raise Skippable(f"two columns have one name: {', '.join(sorted(twice))}", f"line {row.line}, the header")
        return columns


def _rows(cut: Sequence[Line], quote: bytes, opening: re.Pattern[bytes] | None, fits: Callable[[Row], bool]) -> Iterator[Row]:
    """Lines to rows: while a quoted field is open, the row goes on up to the next line with an odd number of quotes. Where that makes
    no row, the quote was never meant to stay open, and only its own line is lost. A quote inside an unquoted field (`5" pipe`)
    opens nothing."""
    odd = [bool(quote) and not line.size and line.text.count(quote) % 2 == 1 for line in cut]
    closes = _next_odd(odd)
    at = 0
    while at < len(cut):
        line, end = cut[at], closes[at]
        at += 1
        if not line.size and not line.text.strip():
            continue
        if not odd[at - 1] or opening is None or not opening.search(line.text):
            yield Row(line.number, line.text, line.size)
        elif end is not None and fits(row := _join(cut[at - 1 : end + 1])):
            yield row
            at = end + 1
        else:
            yield Row(line.number, line.text, open=True)


def _join(parts: Sequence[Line]) -> Row:
    """The lines of one row; over-long when one of them is."""
    text = b"\n".join(part.text for part in parts)
    size = len(text) + sum(part.size - len(part.text) for part in parts if part.size)
    return Row(parts[0].number, text, size if any(part.size for part in parts) else 0)


def _next_odd(odd: Sequence[bool]) -> list[int | None]:
    """For every line, the next one after it with an odd number of quotes."""
    following: list[int | None] = [None] * len(odd)
    nearest: int | None = None
    for at in range(len(odd) - 1, -1, -1):
        following[at] = nearest
        if odd[at]:
            nearest = at
    return following


def _narrow(body: bytes, encoding: str) -> tuple[bytes, str]:
    """Bytes whose lines end with one byte, and their encoding; wide encodings are rewritten as UTF-8 as a whole."""
    if encoding in ("utf-8", "utf-8-sig"):
        return body, "utf-8"
    if not encoding.startswith(_WIDE):
        return body, encoding
    try:
        return body.decode(encoding).encode(), "utf-8"
    except UnicodeError as error:
        raise Skippable(f"not {encoding}: {error}") from None
