"""The whole life of a small archive, in a process that may end at any step: append, flush, import, join, let go, make the catalogue again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from archive_world import DAY, FEEDS, START, batch, keeper, plain, spread

from tocsin.archive import catalog, disk
from tocsin.archive import keeper as keeper_module
from tocsin.archive.compact import compact
from tocsin.archive.importing import Importer
from tocsin.archive.keeper import Keeper
from tocsin.archive.rebuild import rebuild
from tocsin.archive.retention import Retention, declare
from tocsin.archive.rows import journal_rows
from tocsin.archive.steps import step
from tocsin.archive.tombstones import Signer
from tocsin.kernel.fault import DamagedStore

ENTRIES = 3
DIRECT = 1  # of the second entry: it goes into files at once, and takes along what is in the hot tail
NAMES = ("air", "fleet", "calls")


def entry(number: int):
    return number, batch(spread(30, number, 1, NAMES[number % 3], first=number * 100))


def imported():
    return journal_rows([(0, batch(spread(50, 99, 1, "air", first=9_000)))])


class Acks:
    """What was acknowledged, in a file that outlives the disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, word: str) -> None:
        with self.path.open("a") as file:
            file.write(word + "\n")

    def words(self) -> list[str]:
        return self.path.read_text().split() if self.path.exists() else []


def opened(folder: Path) -> Keeper:
    """As whoever is told that the catalogue is gone does it: a rebuild that was cut off is made again."""
    try:
        return keeper(folder)
    except DamagedStore:
        rebuild(folder)
        return keeper(folder)


def live(folder: Path, acks: Acks, source: Path) -> None:
    kept = opened(folder)
    for number in range(kept.position + 1, ENTRIES + 1):
        keeper_module.DIRECT_ROWS = DIRECT if number == 2 else 10_000
        kept.append([entry(number)], number)
        acks.add(str(number))
    kept.flush()
    importer = Importer(folder, FEEDS)
    taken = importer.begin("air", source)
    if not taken.done:
        importer.add(taken, imported())
        importer.finish(taken)
    acks.add("imported")
    compact(kept.catalog, START + 300 * DAY)
    with kept.catalog.change() as connection:
        connection.execute("DELETE FROM outline")  # as in an archive of an older version
    compact(kept.catalog, START + 300 * DAY)
    acks.add("letting-go")
    declare(kept.catalog, {"calls": 30 * DAY})
    Retention(kept.catalog, Signer(folder), START + 100 * DAY).run()
    acks.add("let-go")
    kept.close()
    rebuild(folder)


def run(folder: Path, acks: Path, source: Path, name: str | None, mount: Path | None, careless: bool) -> None:
    """In a child process. At step `name` it dies; with `mount` the power of that disk is cut in the same moment."""
    if careless:
        disk.sync = lambda _path: None
        catalog.SYNCHRONOUS = "OFF"

    def hook(here: str) -> None:
        if here == name:
            if mount is not None:
                subprocess.run(["xfs_io", "-x", "-c", "shutdown", mount], check=True, capture_output=True)
            os.kill(os.getpid(), signal.SIGKILL)

    step.hook = hook
    live(folder, Acks(acks), source)


def expected(acks: Acks) -> tuple[list[dict], list[dict]]:
    """Rows that must be there, and rows that may be there besides."""
    words = acks.words()
    done = {int(word) for word in words if word.isdigit()}
    rows = {number: plain(journal_rows([entry(number)])) for number in range(1, ENTRIES + 1)}
    must, may = [], []
    for number, found in rows.items():
        gone = "letting-go" in words and NAMES[number % 3] == "calls"
        if "let-go" in words and gone:
            continue
        (must if number in done and not gone else may).extend(found)
    old = [{**row, "seq": 0} for row in plain(imported())]
    (must if "imported" in words else may).extend(old)
    return must, may


@contextlib.contextmanager
def mounted(image: Path, mount: Path):
    mount.mkdir(exist_ok=True)
    if not image.exists():
        with image.open("wb") as out:
            out.truncate(320 << 20)
        subprocess.run(["mkfs.xfs", "-q", "-f", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, mount], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", mount], check=True)
