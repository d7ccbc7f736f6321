"""Names of a feed's sources to the engine's codes, all names of a batch at once: no Python object for a name that is known."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from .kernels.doors import LIBRARY, find_names, hang_names, hash_names

_SEED: Final = secrets.randbits(63)  # where a name is kept says nothing about its code


Code = Callable[[str | None], int]


class PlainNames:
    """The same as `Names` for a process that runs no kernels, and has few names to look up."""

    def __init__(self, code: Code) -> None:
        self._code = code
        self._known: dict[str | None, int] = {}

    @property
    def nobody(self) -> int:
        return self._of(None)

    def codes(self, names: pa.Array) -> NDArray[np.int32]:
        asked = names.to_pylist()
        known = list(map(self._known.get, asked))
        return np.array(list(map(self._of, asked)) if None in known else known, np.int32)

    def _of(self, name: str | None) -> int:
        if name not in self._known:
            self._known[name] = self._code(name)
        return self._known[name]


def names_for(code: Code) -> Names | PlainNames:
    """The quicker way where the kernels are loaded."""
    return Names(code) if LIBRARY.loaded else PlainNames(code)


class Names:
    """`code`: gives a name that was not seen before its code, None is no name."""

    def __init__(self, code: Code) -> None:
        self._code = code
        self._nobody: int | None = None
        self._count = 0
        self._slots = np.full(64, -1, np.int32)
        self._hashes, self._codes = np.empty(32, np.uint64), np.empty(32, np.int32)
        self._ends, self._text = np.zeros(33, np.int64), np.empty(1024, np.uint8)

    @property
    def nobody(self) -> int:
        """The code of no name."""
        if self._nobody is None:
            self._nobody = self._code(None)
        return self._nobody

    def codes(self, names: pa.Array) -> NDArray[np.int32]:
        """One code per name of a string array; new names get theirs in its order."""
        raw, offsets = _parts(names)
        asked, found = np.empty(len(names), np.uint64), np.empty(len(names), np.int32)
        hash_names(raw, offsets, _SEED, asked)
        find_names(raw, offsets, asked, self._slots, self._hashes, self._ends, self._text, self._codes, found)
        if names.null_count:
            found[names.is_null().to_numpy(zero_copy_only=False)] = -1
        new = np.flatnonzero(found < 0)
        if len(new):
            fresh = names.take(pa.array(new)).to_pylist()
            found[new] = [self.nobody if name is None else self._code(name) for name in fresh]
            named = new[[name is not None for name in fresh]]
            self._enter(names.take(pa.array(named)), asked[named], found[named])
        return found

    def _enter(self, names: pa.Array, hashes: NDArray[np.uint64], codes: NDArray[np.int32]) -> None:
        """Takes new names in."""
        raw, offsets = _parts(names)
        lengths = np.diff(offsets.astype(np.int64))
        first, stop = self._count, self._count + len(names)
        begin = int(self._ends[first])
        self._hashes, self._codes = _room(self._hashes, stop), _room(self._codes, stop)
        self._ends = _room(self._ends, stop + 1)
        self._ends[first + 1 : stop + 1] = begin + np.cumsum(lengths)
        self._text = _room(self._text, int(self._ends[stop]))
        self._text[begin : self._ends[stop]] = raw[offsets[0] : offsets[-1]]
        self._hashes[first:stop], self._codes[first:stop] = hashes, codes
        self._count = stop
        if 2 * stop > len(self._slots):
            self._slots = np.full(1 << (2 * stop).bit_length(), -1, np.int32)
            first = 0
        hang_names(self._slots, self._hashes, first, stop)


def _parts(names: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The bytes, and where each text begins and ends."""
    _, cuts, text = names.buffers()
    offsets = np.frombuffer(cuts, np.int32, len(names) + 1, 4 * names.offset) if len(names) else np.zeros(1, np.int32)
    return np.frombuffer(text, np.uint8) if text is not None and text.size else np.empty(0, np.uint8), offsets


def _room(array: NDArray[Any], needed: int) -> NDArray[Any]:
    """The array, or a larger one that begins with it."""
    if needed <= len(array):
        return array
    larger = np.zeros(max(needed, 2 * len(array)), array.dtype)
    larger[: len(array)] = array
    return larger
