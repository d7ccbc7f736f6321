"""The compiled way: plain NDJSON straight to columns, without a Python object for any value. Gives the columns `typed.py` would, or gives up.

The compiled code is loaded in the background when the first large body has come, because a node with little to read is better off
without the memory it takes. Until then, and whenever a body holds anything unusual, the ordinary way is taken.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from . import paths, scan_doors
from .mapping import Field, Recipe
from .times import EPOCH_SCALE

log = logging.getLogger(__name__)

_WORDS: Final = np.frombuffer(b"truenullfalse", np.uint8)
_TEXTS: Final = frozenset({"string", "kind"})
_NEWLINE: Final = 0x0A
_SAMPLE: Final = b'{"a":"b","c":-1.5e0,"d":null,"e":true}\n{"a":"x"}\n'


@dataclass(slots=True)
class _Compiled:
    """Whether the compiled code is loaded."""

    ready: bool = False
    loading: threading.Thread | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


_compiled: Final = _Compiled()


def load() -> None:
    """Loads the compiled code now: a moment from the cache, some seconds where nothing is cached yet."""
    sample = _Keys((("a",), ("c",), ("d",)), np.array([scan_doors.TEXT, scan_doors.NUMBER, scan_doors.TEXT], np.int8))
    assert sample.columns(_SAMPLE) is not None
    _compiled.ready = True


def _load_behind() -> None:
    try:
        load()
    except Exception:
        log.exception("the compiled reader of NDJSON could not be loaded; bodies go on being read the ordinary way")


def _loaded() -> bool:
    """Whether it can be used; sees to it that it will be."""
    if not _compiled.ready:
        with _compiled.lock:
            if _compiled.loading is None:
                _compiled.loading = threading.Thread(target=_load_behind, name="load kernels", daemon=True)
                _compiled.loading.start()
    return _compiled.ready


class Scanner:
    """For one mapping whose every path is a key of the record."""

    def __init__(self, keys: _Keys) -> None:
        self._keys = keys

    def read(self, body: bytes) -> tuple[int, Mapping[paths.Path, pa.Array]] | None:
        """The number of records and their columns by path: strings, or float64 for numbers. None when the body must be read the ordinary
        way. `body` must be UTF-8."""
        return self._keys.columns(body) if _loaded() else None


def scanner_for(recipe: Recipe) -> Scanner | None:
    """None when a mapping needs more than texts and numbers at keys of the record."""
    kinds: dict[paths.Path, int] = {}
    for known in recipe.columns:
        kind = _kind(known)
        for path in known.reads():
            if kind is None or len(path) != 1 or kinds.setdefault(path, kind) != kind:
                return None
    if not kinds or not recipe.fields[0].path:
        return None
    return Scanner(_Keys(tuple(kinds), np.array(list(kinds.values()), np.int8)))


def _kind(known: Field) -> int | None:
    """TEXT or NUMBER (0, 1) for a field that can be read so."""
    if known.fixed:
        return 0
    if not known.path or known.table is not None:
        return None
    if known.type in _TEXTS:
        return 0
    if known.type == "number":
        return 1
    if known.type in ("time", "until"):
        return int(len(known.formats) == 1 and known.formats[0] in EPOCH_SCALE)
    return None


class _Keys:
    """Keys to look for. `kinds`: TEXT or NUMBER of each."""

    def __init__(self, wanted: tuple[paths.Path, ...], kinds: NDArray[np.int8]) -> None:
        self._wanted, self._kinds = wanted, kinds
        names = [path[0].encode() for path in wanted]
        self._names = np.frombuffer(b"".join(names), np.uint8)
        self._cuts = np.cumsum([0, *map(len, names)]).astype(np.int64)

    def columns(self, body: bytes) -> tuple[int, dict[paths.Path, pa.Array]] | None:
        codes = np.frombuffer(body, np.uint8)
        most = int(np.count_nonzero(codes == _NEWLINE)) + 1
        shape = (len(self._wanted), most)
        here, numbers = np.zeros(shape, np.int8), np.empty(shape, np.float64)
        begins, ends = np.empty(shape, np.int32), np.empty(shape, np.int32)
        count = scan_doors.scan(codes, self._names, self._cuts, self._kinds, _WORDS, here, begins, ends, numbers)
        if count == scan_doors.GIVEN_UP:
            return None
        made = {}
        for at, path in enumerate(self._wanted):
            present = here[at, :count]
            missing = _bits(present)
            if self._kinds[at] == scan_doors.TEXT:
                made[path] = _texts(codes, begins[at, :count], ends[at, :count], present, missing)
            else:
                made[path] = pa.Array.from_buffers(pa.float64(), count, [missing, pa.py_buffer(numbers[at, :count])])
        return count, made


def _bits(present: NDArray[np.int8]) -> Any:
    """Arrow's validity bits, None when nothing is missing."""
    return None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))


def _texts(
    body: NDArray[np.uint8],
    begins: NDArray[np.int32],
    ends: NDArray[np.int32],
    present: NDArray[np.int8],
    missing: Any,
) -> pa.Array:
    if missing is not None:
        ends = np.where(present, ends, begins)
    offsets = np.empty(begins.size + 1, np.int32)
    out = np.empty(int((ends - begins).sum()), np.uint8)
    scan_doors.gather(body, begins, ends, offsets, out)
    return pa.Array.from_buffers(pa.string(), begins.size, [missing, pa.py_buffer(offsets), pa.py_buffer(out)])
