"""Histories by key, as far as a question needs them: only the keys of what was near the place asked about."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from tocsin.correlate.series.keys import Keyer, KeyValue
from tocsin.correlate.series.sample import NEVER, Found, Sample
from tocsin.correlate.series.track import Machine
from tocsin.model.explanation import Clause
from tocsin.model.plan import Key
from tocsin.model.predicate import Selector

from .facts import Facts, Mask
from .fold import Folded, Learnt, fold
from .scene import Candidate, Scene

#: Samples of one answer's histories; keys beyond it are left out, and the answer says so.
SAMPLES_MAX: Final = 300_000
Ask = tuple[Selector, bool]


@dataclass(frozen=True, slots=True)
class History:
    """One key's samples with what its machine finds in them. `text`: the key as people write it. `rows`: seq -> row of the facts."""

    text: str
    folded: Folded
    rows: dict[int, int]
    machine: Machine

    def row(self, sample: Sample) -> int:
        """The row of a sample."""
        return self.rows[sample.seq]


def heard(of: Selector) -> Selector:
    """All samples of a selector, whether they pass or not."""
    return Selector(of.kind, dimension=of.dimension)


def histories(
    scene: Scene, key: Key, asks: Sequence[Ask], machine: Callable[[str], Machine], *, placed: bool = False, more: tuple[str, ...] = ()
) -> Iterator[History]:
    """The histories that something near the place belongs to. `asks`: as the engine asks (flag i: passes asks[i]). `placed`: events without
    coordinates are no samples. `more`: fields the machine needs."""
    facts = scene.facts
    mask = _any(facts, asks) & scene.standing
    if placed:
        mask &= facts.placed
    keyer = Keyer(key, lambda code: facts.names[code])
    near = scene.near(mask, scene.since, scene.at)
    wanted = _keys(facts, keyer, near)
    rows = np.flatnonzero(mask)
    if key.by == "source" and len(wanted):
        rows = rows[np.isin(facts.columns.source[rows], np.array(sorted(wanted), np.int64))]
    if len(rows) > SAMPLES_MAX:
        scene.note(f"only the newest {SAMPLES_MAX:,} of {len(rows):,} samples were looked at")
        rows = rows[-SAMPLES_MAX:]
    width = len(keyer.fields)
    own: dict[KeyValue, list[Sample]] = {}
    for sample in facts.samples(rows, facts.flags(rows, asks), (*keyer.fields, *more)):
        for one in keyer.keys(sample, sample.more[:width]):
            if one in wanted:
                own.setdefault(one, []).append(sample._replace(more=sample.more[width:]) if width else sample)
    places = dict(zip(facts.seq[rows].tolist(), rows.tolist(), strict=True))
    learnt = learnt_of(scene, rows)
    for one, samples in own.items():
        text = keyer.text(one)
        made = machine(text)
        yield History(text, fold(made, samples, learnt), places, made)


def _any(facts: Facts, asks: Sequence[Ask]) -> Mask:
    mask = np.zeros(len(facts), np.bool_)
    for of, valued in asks:
        mask |= facts.passing(of, valued)
    return mask


def _keys(facts: Facts, keyer: Keyer, rows: np.ndarray) -> set[KeyValue]:
    """Keys of some rows."""
    width = len(keyer.fields)
    return {key for sample in facts.samples(rows, None, keyer.fields) for key in keyer.keys(sample, sample.more[:width])}


def matches(scene: Scene, history: History, tell: Callable[[Found], Sequence[Clause]]) -> list[Candidate]:
    """The matches of a history in the stretch and near the place asked about."""
    return [
        matched(scene, history.folded, found, history.row(found.anchor), partial(tell, found))
        for found in history.folded.found
        if scene.start <= found.time <= scene.at and scene.here(found.anchor.lon, found.anchor.lat)
    ]


def learnt_of(scene: Scene, rows: np.ndarray) -> Learnt:
    """When rows were learnt."""
    at = dict(zip(scene.facts.seq[rows].tolist(), scene.facts.ingest[rows].tolist(), strict=True))
    return Learnt(at, scene.watermark, scene.plan.delay)


def matched(scene: Scene, folded: Folded, found: Found, row: int, tell: Callable[[], Sequence[Clause]]) -> Candidate:
    """A match of a history as a candidate."""
    guarded = bool(scene.rule.unless or scene.rule.only)  # only then it matters when it was found
    cause, clock = folded.known(found) if guarded else (NEVER, NEVER)
    lon, lat = scene.place(row)
    return Candidate(row, found.time, lon, lat, True, 0.0, tell, cause, clock)


def in_stretch(scene: Scene, history: History) -> Iterator[tuple[int, Sample]]:
    """Samples of a history in the stretch and near the place, that no match was found at, with their index."""
    fired = {found.anchor.seq for found in history.folded.found if not found.deadline}
    samples, near = history.folded.samples, scene.vicinity
    low, high = bisect_left(samples, (scene.start,)), bisect_left(samples, (scene.at + 1,))
    rows = [history.rows[sample.seq] for sample in samples[low:high]]
    for i in np.flatnonzero(near[rows] if near is not None else np.ones(len(rows), np.bool_)).tolist():
        sample = samples[low + i]
        if sample.seq not in fired and scene.here(sample.lon, sample.lat):
            yield low + i, sample
