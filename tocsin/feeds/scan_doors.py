"""The compiled functions of `scan_kernel.py` and `idtable_kernel.py` as Python calls them; their machine code is kept, so the compiler is not needed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from tocsin.kernel.machine import Array, Library, Spec

TEXT, NUMBER = 0, 1
#: What the scan says instead of a count of rows: read it the ordinary way.
GIVEN_UP: Final = -1

_BYTES, _KINDS, _CUTS, _PLACES = (Array(np.dtype(name)) for name in ("u1", "i1", "i8", "i4"))
_WORDS, _SLOTS = (Array(np.dtype(name)) for name in ("u8", "i8"))
_ROWS: Final = tuple(Array(np.dtype(name), 2) for name in ("i1", "i4", "i4", "f8"))

LIBRARY: Final = Library(
    "feeds",
    [Path(__file__), Path(__file__).with_name("scan_kernel.py"), Path(__file__).with_name("idtable_kernel.py")],
    {
        "scan": Spec("tocsin.feeds.scan_kernel:scan", (_BYTES, _BYTES, _CUTS, _KINDS, _BYTES, *_ROWS), gives=1, frees=True),
        "gather": Spec("tocsin.feeds.scan_kernel:gather", (_BYTES, _PLACES, _PLACES, _PLACES, _BYTES), gives=1, frees=True),
        "seek": Spec("tocsin.feeds.idtable_kernel:seek", (_WORDS, _WORDS, _SLOTS), gives=1),
    },
)
scan, gather, seek = (LIBRARY.door(name) for name in ("scan", "gather", "seek"))
