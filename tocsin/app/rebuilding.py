"""`tocsin archive rebuild`: a damaged or lost catalogue, made again while the node is stopped."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from tocsin.archive.catalog import Catalog
from tocsin.archive.rebuild import ASIDE, Rebuilt, rebuild
from tocsin.kernel.fault import DamagedStore, Fatal

from .layout import Layout


def made_again(arguments: argparse.Namespace, show: Callable[[argparse.Namespace, dict[str, Any], str], None]) -> int:
    """Raises Fatal where there is nothing to be made again, or the node runs; Retriable, OSError."""
    from .archive import Progress

    layout = Layout((arguments.data or arguments.city / "var").resolve())
    if not layout.archive.is_dir():
        raise Fatal(f"there is no archive in {layout.archive}; name its data directory with --data")
    with layout.lock():  # no node runs meanwhile
        _refuse_sound(layout)
        progress = Progress(arguments.json)
        try:
            done = rebuild(layout.archive, progress)
        finally:
            progress.end()
    show(arguments, asdict(done), _words(done))
    return 1 if done.lost or done.unreadable else 0


def _refuse_sound(layout: Layout) -> None:
    """Raises Fatal."""
    try:
        catalog = Catalog(layout.archive, write=False)
    except DamagedStore:
        return
    except FileNotFoundError:
        raise Fatal(f"there is no archive in {layout.archive}, and no file of one") from None
    try:
        catalog.check()
    except DamagedStore:
        return
    finally:
        catalog.close()
    raise Fatal(f"the catalogue of {layout.archive} is sound; 'tocsin archive verify --repair' mends files that are not")


def _words(done: Rebuilt) -> str:
    lines = [f"the catalogue is made again: {done.rows:,} events in {done.files} files"]
    lines += [f"{done.doubles:,} rows were in files that were just being replaced, and count once"] if done.doubles else []
    lines += [f"UNREADABLE {name}: {why} (it lies in {ASIDE}/ now)" for name, why in sorted(done.unreadable.items())]
    lines += [f"LOST, whole or in part: what the catalogue said of {', '.join(sorted(done.lost))}"] if done.lost else []
    lines += (
        ["the holds could not be read, so everything is held: place them again, then release the hold that says so"] if done.held else []
    )
    lines.append(f"the node takes in again what the journal holds after entry {done.position:,}; run 'tocsin archive verify' now")
    return "\n".join(lines)
