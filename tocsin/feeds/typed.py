"""The fast way: records read straight into typed columns (msgspec structs made from the mapping's paths), checked column by column.

It never decides what is wrong with a record: whatever does not pass is left to the careful way (`Recipe.row`), record by record, so
that both give the same events and the same reasons. A mapping that needs more than plain values at plain paths has no fast way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import pyarrow as pa

from . import paths, vectors
from .columns import Columns
from .mapping import Field, Recipe
from .scan import Scanner, scanner_for
from .shape import SCALAR, Getter, Shape, getter
from .vectors import Mask

#: What JSON may hold at a path, by the type it becomes; anything else fails the typed reading and goes the careful way.
_LEAF: Final[dict[str, Any]] = {
    "number": float | str | None, "integer": int | float | str | None, "boolean": bool | int | str | None,
    "time": int | float | str | None, "until": int | float | str | None,
}  # fmt: skip
#: Bytes of a message up to which the careful way is as fast: columns of a few values cost as much as columns of hundreds.
SMALL: Final = 4096
_CACHE: Final[dict[int, tuple[Recipe, TypedReader | None]]] = {}
_CACHED: Final = 1024


@dataclass(frozen=True, slots=True)
class TypedReader:
    """`type`: the struct to give a decoder. `columns(rows, ids)` gives the columns and a mask of the rows that must go the careful
    way; `ids` are given when the records carry none (`makes_ids`)."""

    recipe: Recipe
    type: type[msgspec.Struct]
    decoder: msgspec.json.Decoder[Any]
    getters: Mapping[paths.Path, Getter]
    scanner: Scanner | None = None  # a faster way still, for plain NDJSON

    def read(self, text: bytes) -> Any:
        """One record, or None when it must go the careful way."""
        try:
            text.isascii() or text.decode()  # what is skipped is not checked by msgspec
            return self.decoder.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None

    @property
    def makes_ids(self) -> bool:
        id_field = self.recipe.fields[0]
        return not id_field.fixed and not id_field.reads()

    def columns(self, rows: Sequence[Any], ids: Sequence[str | None] | None = None) -> tuple[Columns, Mask]:
        """The columns of the rows, and which of them must go the careful way."""

        def found(known: Field) -> list[Any]:
            if known.path:
                return self.getters[known.path](rows)
            return vectors.filled(known, [self.getters[path](rows) for path in known.reads()])

        return vectors.build(self.recipe, len(rows), found, ids)

    def scanned(self, count: int, columns: Mapping[paths.Path, pa.Array]) -> tuple[Columns, Mask]:
        """The same from what `scanner` read."""

        def found(known: Field) -> list[Any] | pa.Array:
            column = columns[known.path]
            return column.to_pylist() if known.type in ("time", "until") and pa.types.is_string(column.type) else column

        return vectors.build(self.recipe, count, found)


def reader_for(recipe: Recipe) -> TypedReader | None:
    """The fast way for this mapping, made once; None when it has none."""
    known = _CACHE.get(id(recipe))
    if known is None or known[0] is not recipe:
        if len(_CACHE) >= _CACHED:
            _CACHE.clear()
        known = _CACHE[id(recipe)] = (recipe, _make(recipe))
    return known[1]


def _make(recipe: Recipe) -> TypedReader | None:
    if any(known.type == "area" and not known.fixed for known in recipe.columns):
        return None
    root = Shape()
    reads = [(path, _LEAF.get(known.type, SCALAR)) for known in recipe.columns for path in known.reads()]
    for path, leaf in reads:
        if any(paths.related(path, one) for one in recipe.personal) or not root.plant(path, leaf):
            return None
    try:
        struct = root.build()
    except TypeError:  # msgspec has no type for this mixture
        return None
    if not isinstance(struct, type):  # the records are lists
        return None
    getters = {path: getter(root, path) for path, _ in reads}
    return TypedReader(recipe, struct, msgspec.json.Decoder(struct), getters, scanner_for(recipe))
