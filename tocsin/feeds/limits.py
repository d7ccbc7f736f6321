"""What is too large for the house: a message to decode at once, an event to journal."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from .admission import MB
from .contract import Decoded, Reject

MAX_MESSAGE: Final = 16 * MB
#: Of one event's texts and geometry together. It must fit into one journal entry, and a NATS server takes 1 MB by default.
MAX_EVENT: Final = 900_000
#: Bytes of one event for one byte of its message: `1,` in a coordinate becomes a float64. (A template may repeat a text more often;
#: then the journal itself refuses the event.)
UNFOLDING: Final = 8
#: How much of a refused message is kept for people to look at.
KEPT_OF_LARGER: Final = 64 << 10


def without_giants(decoded: Decoded, body: bytes) -> Decoded:
    """Events that are too large become rejects; nearly always there are none, and nothing is copied."""
    events = decoded.events
    if len(body) * UNFOLDING <= MAX_EVENT or events.nbytes <= MAX_EVENT:
        return decoded
    sizes = _sizes(events)
    giants = np.flatnonzero(sizes > MAX_EVENT)
    if not giants.size:
        return decoded
    index = decoded.index or range(events.num_rows)
    rejects = [
        Reject(index[row], body[:KEPT_OF_LARGER], f"an event of {sizes[row]} bytes; at most {MAX_EVENT} can be journaled", size=len(body))
        for row in giants.tolist()
    ]
    rest = np.flatnonzero(sizes <= MAX_EVENT)
    return replace(
        decoded,
        events=events.take(pa.array(rest)),
        index=tuple(index[row] for row in rest.tolist()),
        rejects=tuple(sorted((*decoded.rejects, *rejects), key=lambda reject: reject.index)),
    )


def _sizes(events: pa.RecordBatch) -> NDArray[np.int64]:
    """Bytes of variable length per row."""
    total = np.zeros(events.num_rows, np.int64)
    columns = list(events.columns)
    while columns:
        column = columns.pop()
        if pa.types.is_struct(column.type):
            columns += column.flatten()
        elif pa.types.is_string(column.type) or pa.types.is_binary(column.type):
            total += pc.binary_length(column).fill_null(0).to_numpy(zero_copy_only=False)
        elif pa.types.is_dictionary(column.type):
            lengths = pc.binary_length(column.dictionary).fill_null(0)
            total += lengths.take(column.indices).fill_null(0).to_numpy(zero_copy_only=False)
    return total
