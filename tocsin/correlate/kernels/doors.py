"""The kernels that Python calls. They are kept as machine code under a hash of all their sources, and loaded at the first call."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tocsin.kernel.machine import FLOAT, INT, Array, Arrays, Library, Spec

from . import layout

_TABLES: Final = dict(layout.TABLES)
_I8, _I4, _F8, _U8, _U1 = (Array(np.dtype(name)) for name in ("i8", "i4", "f8", "u8", "u1"))
_COLUMNS: Final = Arrays((_I8, _I8, _I4, _I4, _F8, _F8, _F8, Array(np.dtype("u8"), 2), _I8))  # as `correlate.columns.Columns` begins


def _spec(function: str, *takes: Any, gives: int = 0) -> Spec:
    return Spec(f"{__package__}.{function}", takes, gives)


LIBRARY: Final = Library(
    "kernels",
    Path(__file__).parent.glob("*.py"),
    {
        "enter": _spec("drive:enter", INT, INT, _COLUMNS, gives=1),
        "enter_none": _spec("drive:enter_none", INT, INT),
        "run": _spec("drive:run", INT, gives=3),
        "start_watches": _spec("drive:start_watches", INT, _I8, _I8, INT),
        "restore_answered": _spec("drive:restore_answered", INT, gives=1),
        "bury": _spec("recent:bury", INT, _I8, gives=1),
        "compact": _spec("recent:compact", INT, _I4, INT, gives=1),
        "relink": _spec("recent:relink", INT),
        "living": _spec("recent:living", INT, gives=1),
        "rehang": _spec("alerts:rehang", INT),
        "forget": _spec("verdicts:forget", INT),
        "rehang_verdicts": _spec("verdicts:rehang", INT),
        "withdraw_verdicts": _spec("verdicts:withdraw_verdicts", INT, _I8),
        "left_aside": _spec("match:left_aside", INT, _I8, _I4, _F8, _I8),
        "refill_track_states": _spec("match:refill", *2 * (Array(_TABLES["track_states"]),)),
        "refill_watched": _spec("match:refill", *2 * (Array(_TABLES["watched"]),)),
        "refill_latest": _spec("match:refill", *2 * (Array(_TABLES["latest"]),)),
        "gather": _spec("gathered:gather", INT, Array(layout.GATHERED), Array(layout.TOLD), INT, gives=2),
        "hash_names": _spec("names:hash_names", _U1, _I4, INT, _U8),
        "find_names": _spec("names:find_names", _U1, _I4, _U8, _I4, _U8, _I8, _U1, _I4, _I4),
        "hang_names": _spec("names:hang_names", _I4, _U8, INT, INT),
        "outside": _spec("outside:outside", INT, INT, INT, INT, INT, FLOAT, FLOAT, INT, INT, gives=2),
        "outside_back": _spec("outside:outside_back", *7 * (INT,)),
        "outside_more": _spec("outside:outside_more", *8 * (INT,)),
    },
)

enter, enter_none, run = (LIBRARY.door(name) for name in ("enter", "enter_none", "run"))
start_watches, restore_answered = (LIBRARY.door(name) for name in ("start_watches", "restore_answered"))
bury, compact, living, relink = (LIBRARY.door(name) for name in ("bury", "compact", "living", "relink"))
rehang, forget = (LIBRARY.door(name) for name in ("rehang", "forget"))
rehang_verdicts, withdraw_verdicts = (LIBRARY.door(name) for name in ("rehang_verdicts", "withdraw_verdicts"))
hash_names, find_names, hang_names = (LIBRARY.door(name) for name in ("hash_names", "find_names", "hang_names"))
gather, left_aside = LIBRARY.door("gather"), LIBRARY.door("left_aside")
outside, outside_back, outside_more = (LIBRARY.door(name) for name in ("outside", "outside_back", "outside_more"))
_refills: Final = {_TABLES[name]: LIBRARY.door(f"refill_{name}") for name in ("track_states", "watched", "latest")}


def refill(old: NDArray[Any], new: NDArray[Any]) -> None:
    """Puts the keys of an open-addressing table (`track_states`, `watched` or `latest`) into an empty one."""
    _refills[old.dtype](old, new)
