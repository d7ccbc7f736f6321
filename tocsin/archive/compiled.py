"""The archive's compiled functions, as Python calls them; compiled once, by `tocsin warm-up` or when a large table is first met."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.kernel.machine import INT, Array, Library, Spec

#: Rows; fewer cost less without having the machine code ready.
MANY: Final = 50_000
_BYTES, _PLACES, _TIMES, _FORMS, _WORDS = (Array(np.dtype(name)) for name in ("u1", "i4", "i8", "i1", "u8"))
_HERE: Final = Path(__file__)
LIBRARY: Final = Library(
    "archive",
    [_HERE, _HERE.with_name("forms_kernel.py"), _HERE.with_name("words_kernel.py")],
    {
        "spelled": Spec(
            "tocsin.archive.forms_kernel:spelled",
            (_BYTES, _PLACES, _BYTES, _PLACES, _PLACES, _TIMES, _FORMS, INT, INT, INT),
            gives=1,
            frees=True,
        ),
        "worded": Spec("tocsin.archive.words_kernel:worded", (_BYTES, _PLACES, _WORDS, _WORDS, _WORDS), gives=1, frees=True),
    },
)
spelled = LIBRARY.door("spelled")
worded = LIBRARY.door("worded")


def bytes_of(array: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The bytes of all texts, and where each begins, as they lie in memory."""
    _, places, content = array.buffers()
    begins = np.frombuffer(places, np.int32, len(array) + 1, array.offset * 4)
    return np.frombuffer(content, np.uint8) if content is not None and content.size else np.zeros(1, np.uint8), begins
