"""Histories as a snapshot keeps them: numbers of samples as columns, the rest as plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from .sample import Found, Sample
from .track import Ticket, Track

_INTEGERS = ("time", "seq", "source", "flags")
_FLOATS = ("value", "lon", "lat")


def tuples(value: Any) -> Any:
    """JSON has lists only; states, keys and links are tuples."""
    return tuple(tuples(part) for part in value) if isinstance(value, list | tuple) else value


def save_samples(samples: Iterable[Sample]) -> dict[str, Any]:
    """Samples -> columns."""
    kept = list(samples)
    state: dict[str, Any] = {name: np.array([getattr(sample, name) for sample in kept], np.int64) for name in _INTEGERS}
    state |= {name: np.array([getattr(sample, name) for sample in kept], np.float64) for name in _FLOATS}
    return state | {"more": [[i, sample.more] for i, sample in enumerate(kept) if sample.more]}


def load_samples(state: Mapping[str, Any]) -> list[Sample]:
    """Columns -> samples."""
    more: dict[int, Any] = {i: tuples(values) for i, values in state["more"]}
    columns = (state[name].tolist() for name in ("time", "seq", "source", "value", "lon", "lat", "flags"))
    return [Sample(*row)._replace(more=more.get(i, ())) for i, row in enumerate(zip(*columns, strict=True))]


def save_found(found: Found) -> list[Any]:
    """A match as plain values."""
    return list(found)


def load_found(saved: Any) -> Found:
    """Plain values -> a match."""
    anchor, time, deadline, evidence, born, label, rests = saved
    plain = tuples(evidence), tuples(born), label, tuple(rests)
    return Found(Sample(*tuples(anchor)), time, bool(deadline), *plain)


def save_ticket(ticket: Ticket) -> dict[str, Any]:
    """A match given as plain values."""
    return {_TICKET: [ticket.number, ticket.slot, save_found(ticket.found), list(ticket.told)]}


def load_ticket(saved: Any) -> Ticket:
    """Plain values -> a match given."""
    number, slot, found, told = saved[_TICKET]
    return Ticket(number, slot, load_found(found), tuple(told))


def disowned(saved: Any) -> Any:
    """A saved history whose matches are nobody's alerts any more: they are not given again, and nothing more is said of them."""
    if isinstance(saved, Mapping):
        if _TICKET in saved:
            return {_TICKET: [-1, -1, *saved[_TICKET][2:]]}
        return {key: disowned(value) for key, value in saved.items()}
    return [disowned(one) for one in saved] if isinstance(saved, list) else saved


_TICKET = "ticket"


class Packer:
    """Collects tracks."""

    def __init__(self) -> None:
        self._rows: list[list[Any]] = []
        self._samples: list[Sample] = []

    def track(self, track: Track) -> None:
        """Adds a track."""
        found = [save_found(one) for one in track.found]
        given = [save_ticket(ticket) for ticket in track.given.values()]
        row = [track.key, track.base, track.tail, track.passed, track.floor, len(track.samples), track.states, found, given]
        self._rows.append(row)
        self._samples += track.samples

    def columns(self) -> dict[str, Any]:
        """What was collected."""
        return {"rows": self._rows, "samples": save_samples(self._samples)}


class Unpacker:
    """Gives tracks back in the order they were collected in."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        self._rows = state["rows"]
        self._samples = load_samples(state["samples"])

    def tracks(self, new: Callable[[Any], Track]) -> Iterator[Track]:
        """The tracks; `new`: an empty one for a key."""
        first = 0
        for saved_key, base, tail, passed, floor, n, states, found, given in self._rows:
            track = new(tuples(saved_key))
            track.base, track.tail = tuples(base), tuples(tail)
            track.samples, track.states = self._samples[first : first + n], [tuples(state) for state in states]
            track.floor = floor
            track.passed, track.found = passed, [load_found(one) for one in found]
            tickets = [load_ticket(saved) for saved in given]
            track.given = {ticket.found.identity: ticket for ticket in tickets}
            first += n
            yield track
