"""JSON: an array of records, one record, or records at a declared path inside an object (`records: data.items`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from tocsin.feeds import mapping, paths, records
from tocsin.feeds.contract import Decoded
from tocsin.feeds.json_text import elements, load, wrap
from tocsin.feeds.options import Option
from tocsin.feeds.typed import SMALL, TypedReader, reader_for
from tocsin.kernel.fault import Skippable
from tocsin.model.feed import FeedSpec, FieldMap

from . import lines, options
from .options import Options

OPTIONS: Final[Options] = {
    "records": Option("text", "dotted path of the array of records, when it is not the whole message"),
}
FLAT: Final = False


def defaults(_: FeedSpec) -> Mapping[str, FieldMap]:
    """Nothing is mapped that the feed does not map."""
    return {}


def decode(body: bytes, spec: FeedSpec) -> Decoded:
    """One event per record. Raises Skippable when the message is not JSON or has no records where they should be."""
    recipe = mapping.recipe(spec)
    path = records_path(spec)
    text = lines.without_bom(body)
    reader = reader_for(recipe) if len(body) > SMALL else None
    if reader is None:
        return records.decode(recipe, Elements(text, path))
    found = Elements(text, path)
    read = _read_at_once(reader, text, path)
    if read is None:
        read = [reader.read(element) for element in found.cut]
    return records.decode_typed(recipe, reader, found, read)


def decode_carefully(body: bytes, spec: FeedSpec) -> Decoded:
    """The same answer without the fast way: what tests compare it with."""
    return records.decode(mapping.recipe(spec), Elements(lines.without_bom(body), records_path(spec)))


def records_path(spec: FeedSpec) -> paths.Path:
    """The declared path of the records; empty: the whole message."""
    written = options.read(spec, OPTIONS)["records"]
    return paths.parse(written) if written else ()


class Elements:
    """The elements of a JSON array as records, each with its own bytes; cut only when somebody asks for a single one."""

    def __init__(self, text: bytes, path: paths.Path, word: str = "record") -> None:
        self._text = text
        self._path = path
        self._word = word
        self._cut: Sequence[bytes] | None = None

    @property
    def cut(self) -> Sequence[bytes]:
        if self._cut is None:
            self._cut = elements(self._text, self._path)
        return self._cut

    def __len__(self) -> int:
        return len(self.cut)

    def raw(self, number: int) -> bytes:
        """The record in an envelope of its own, when it needs one to be decoded again by itself."""
        element = self.cut[number].strip()
        return wrap(element if element.startswith(b"{") else b"[%s]" % element, self._path)

    def size(self, _: int) -> int:
        return 0  # an element is always kept whole

    def where(self, number: int) -> str:
        return f"{self._word} {number + 1}"

    def load(self, number: int) -> Any:
        record = load(self.cut[number])
        if not isinstance(record, dict | list):
            raise Skippable("a record must be an object")
        return record


def _read_at_once(reader: TypedReader, text: bytes, path: paths.Path) -> list[Any] | None:
    try:
        text.isascii() or text.decode()
        found = _whole_message(reader.type, path).decode(text)
        for _ in path:
            found = found.inner
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return list(found)


@lru_cache(maxsize=1024)
def _whole_message(record: type[msgspec.Struct], path: paths.Path) -> msgspec.json.Decoder[Any]:
    """A decoder for the array of records inside its envelope; one that fits nothing when the path leads through a list."""
    shape: Any = list[record]  # type: ignore[valid-type]
    for segment in reversed(path):
        shape = msgspec.defstruct("Envelope", [("inner", shape)], rename={"inner": segment})
    return msgspec.json.Decoder(shape)
