"""The configuration in force: what was put into the journal last, not what lies in the city directory by now.

Every process of a node starts from it and follows it, so an edit that was not put in force changes nothing, whatever restarts; and a
replay finds at every entry the rules that were in force there.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tocsin.config.bundle import Bundle, decode, pinned, texts_of
from tocsin.journal.changes import append_change, first_change, newest_change
from tocsin.journal.connection import Journal
from tocsin.journal.reader import fetch
from tocsin.kernel.fault import Fatal, Misconfigured, Problem
from tocsin.model.city import City, Layer

from .layout import Layout

if TYPE_CHECKING:
    from tocsin.config.load import Report
    from tocsin.correlate.recent import Entry
    from tocsin.correlate.setting import Configure, Setting

_SETTLED: Final = 0.05  # seconds; clocks of file systems are coarser than ours
_remembered: dict[tuple[str, Path], City] = {}


@dataclass(frozen=True, slots=True)
class InForce:
    """`entry`: stream sequence of the journal entry that put the city in force, 0 for none; `version`: of its bundle."""

    city: City
    entry: int
    version: str


def gather(root: Path) -> tuple[Bundle, Report]:
    """The city directory as it is now, read once, and everything there is to say about it."""
    from tocsin.config.load import load_city

    try:
        bundle = Bundle(texts_of(root))
    except (OSError, Misconfigured):
        load_city(root)  # says what is wrong and where
        raise
    return bundle, bundle.read(root)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A city directory, read once: its city with the layer files as they lie there, and the bundle to put in force. `pinned`: the city
    with the layer files that the bundle names, as `opened` would give it; None where it must be read again, for files were being written."""

    city: City
    bundle: Bundle
    pinned: City | None


def load(root: Path) -> tuple[City, Bundle, bool]:
    """The city directory, its texts, and whether the city was surely read from these. Raises Misconfigured."""
    from tocsin.config.load import load_city

    began = time.time()
    try:
        before = texts_of(root)
    except (OSError, Misconfigured):
        load_city(root)  # says what is wrong and where
        raise
    city = load_city(root)
    return city, Bundle(before), texts_of(root) == before and _older(city.layers, began - _SETTLED)


def prepare(city: City, bundle: Bundle, surely: bool, layout: Layout) -> Prepared:
    """Keeps the layer files as they are now. The last three are what `load` gave and the node's layout."""
    whole = pinned(bundle, city, layout.contents)
    files = {city.root / name: layout.contents / file for name, file in whole.files().items()}
    layers = tuple(replace(layer, path=files.get(layer.path, layer.path)) for layer in city.layers)
    return Prepared(city, whole, replace(city, layers=layers) if surely else None)


def _older(layers: Iterable[Layer], instant: float) -> bool:
    return all(layer.path.stat().st_ctime < instant for layer in layers)


def remember(version: str, city: City) -> None:
    """This is what a configuration says, so that `opened` need not read it again."""
    _remembered.clear()
    _remembered[version, city.root] = city


async def put(journal: Journal, bundle: Bundle) -> tuple[int, bool]:
    """Puts a configuration in force unless it is already. Returns the journal entry, and whether it is new."""
    newest = await newest_change(journal)
    if newest is not None and newest.content == bundle.encode():
        return newest.seq, False
    return await append_change(journal, bundle.encode()), True


def opened(entry: Entry, root: Path, layout: Layout) -> InForce:
    """The configuration of a journal entry. Raises Fatal when it cannot be had any more."""
    bundle = decode(entry.content)
    lost = [name for name, file in bundle.files().items() if not (layout.contents / file).is_file()]
    if lost:
        raise Fatal(
            f"the configuration of journal entry {entry.seq} needs the layer file {lost[0]} as it was; it has gone from {layout.contents}"
        )
    known = _remembered.get((bundle.version, root))
    if known is not None:
        return InForce(known, entry.seq, bundle.version)
    report = bundle.read(root, layout.contents, in_force=True)
    if report.city is None:
        problems = "\n".join(str(problem) for problem in report.problems)
        raise Fatal(f"the configuration of journal entry {entry.seq} is not valid for this version of Tocsin:\n{problems}")
    return InForce(report.city, entry.seq, bundle.version)


async def current(journal: Journal, root: Path, layout: Layout) -> InForce:
    """What is in force now. Raises Fatal when nothing is."""
    newest = await newest_change(journal)
    if newest is None:
        raise Fatal("no configuration was ever put into this journal; start the node with 'tocsin run'")
    return opened(newest, root, layout)


async def at_entry(journal: Journal, seq: int, root: Path, layout: Layout) -> InForce:
    """What the entry `seq` put in force; 0: what the journal begins with. A journal older than such entries begins with its first one,
    or, when it has none, with the city directory."""
    entry = await fetch(journal, seq) if seq else await first_change(journal)
    if entry is None:
        from tocsin.config.load import load_city

        return InForce(load_city(root), 0, "")
    found = opened(entry, root, layout)
    return found if seq else InForce(found.city, 0, found.version)


def setting(found: InForce) -> Setting:
    """What correlate must know of a configuration."""
    from tocsin.correlate.corrections import correcting
    from tocsin.correlate.setting import Setting
    from tocsin.geo.layers import load_layers
    from tocsin.geo.places import PlaceNames

    city = found.city
    return Setting(
        city.plan,
        PlaceNames(load_layers(layer for layer in city.layers if layer.places).values()).name,
        correcting(city.feeds),
        {feed.name: feed.skew for feed in city.feeds if feed.skew is not None},
        found.entry,
        found.version,
        {feed.name: feed.lateness for feed in city.feeds if feed.lateness is not None},
    )


def configure(root: Path, layout: Layout) -> Configure:
    """How the correlator reads entries that change the configuration."""

    async def read(entry: Entry) -> Setting:
        return setting(opened(entry, root, layout))

    return read


def unlike(before: City, after: City) -> list[Problem]:
    """What a running node cannot change: it must be stopped and started for that."""
    words = "cannot change while the node runs; stop it and start it again"
    problems = []
    if before.region != after.region:
        problems.append(Problem("city.yaml", 0, f"region: {before.region!r} is part of every journal subject and {words}"))
    if before.exercise != after.exercise:
        problems.append(Problem("city.yaml", 0, f"exercise: the clock of the node {words}"))
    devices = [{feed.name: feed for feed in city.feeds if feed.transport.name == "mqtt"} for city in (before, after)]
    for name in sorted(devices[0].keys() ^ devices[1].keys()):
        feed = devices[0].get(name) or devices[1][name]
        problems.append(Problem(feed.file, feed.line, f"feed {name}: the logins of devices (transport mqtt) {words}"))
    return problems
