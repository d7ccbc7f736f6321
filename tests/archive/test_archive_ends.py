"""The process is killed, or the power of its disk is cut, at every step there is: what was acknowledged is there once, nothing is unreadable.

The power cut is XFS's own: `xfs_io -x -c shutdown` throws away every page and log record that was not synced. The negative control leaves out the syncs and
must lose something, or this test is blind.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import re
import signal
import sqlite3
from pathlib import Path

import pyarrow as pa
import pytest
from archive_world import keeper, plain, rows
from life import Acks, expected, mounted, opened, run

from tocsin.archive.sweep import parquet_files
from tocsin.archive.verify import verify
from tocsin.kernel.fault import TocsinError

SOURCES = Path(__file__).parents[2] / "tocsin" / "archive"
STEPS = sorted({name for path in SOURCES.glob("*.py") for name in re.findall(r'\bstep\("([a-z.]+)"\)', path.read_text())})
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["life", "archive_world"])


def child(folder, acks, source, name=None, mount=None, careless=False):
    """Returns whether it was killed on the way."""
    process = CONTEXT.Process(target=run, args=(folder, acks, source, name, mount, careless))
    process.start()
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def judge(folder: Path, acks: Path) -> None:
    """What must be there is, once; what is there else may be; every file is sound and known."""
    opened(folder).close()  # starting sweeps up
    must, may = expected(Acks(acks))
    found = [row if row["seq"] > 0 else {**row, "seq": 0} for row in plain(rows(folder))]
    for row in must:
        assert row in found
    assert len(found) == len({(row["seq"], row["id"], row["event_time"]) for row in found})
    assert all(row in must or row in may for row in found)
    with contextlib.closing(keeper(folder)) as kept:
        report = verify(kept.catalog)
        assert report.sound, report
        assert {one.file.path for one in kept.catalog.files("1")} == set(parquet_files(folder))


def test_every_step_is_known():
    assert len(STEPS) >= 20
    assert {name.split(".")[0] for name in STEPS} == {
        "append",
        "shelf",
        "publish",
        "flush",
        "import",
        "compact",
        "outline",
        "retention",
        "sweep",
        "rebuild",
    }


@pytest.mark.crash
def test_killed_at_every_step(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"fifty readings")
    for name in STEPS:
        folder, acks = tmp_path / name / "archive", tmp_path / f"{name}.acks"
        assert child(folder, acks, source, name), f"{name} was never reached"
        assert not child(folder, acks, source)  # and goes on
        judge(folder, acks)
        assert "let-go" in Acks(acks).words()


#: Where a missing sync would show; all the others are cut at in the long tests.
TELLING = ("append.done", "publish.renamed", "flush.entered", "import.done", "compact.entered", "retention.done", "rebuild.published")


@pytest.mark.root
@pytest.mark.crash
@pytest.mark.parametrize(
    "names", [TELLING, pytest.param(tuple(sorted(set(STEPS) - set(TELLING))), marks=pytest.mark.soak)], ids=["telling", "others"]
)
def test_power_cut_at_every_step(tmp_path, names):
    source, image, mount = tmp_path / "source", tmp_path / "disk", tmp_path / "mnt"
    source.write_bytes(b"fifty readings")
    for name in names:
        folder, acks = mount / name, tmp_path / f"{name}.acks"
        with mounted(image, mount):
            assert child(folder, acks, source, name, mount), f"{name} was never reached"
        with mounted(image, mount):
            judge(folder, acks)


@pytest.mark.root
@pytest.mark.crash
def test_the_harness_sees_an_archive_that_does_not_sync(tmp_path):
    source, image, mount = tmp_path / "source", tmp_path / "disk", tmp_path / "mnt"
    source.write_bytes(b"fifty readings")
    with mounted(image, mount):
        assert child(mount / "archive", tmp_path / "acks", source, "import.done", mount, careless=True)
    assert "3" in Acks(tmp_path / "acks").words()
    with mounted(image, mount), pytest.raises((AssertionError, OSError, sqlite3.Error, pa.ArrowException, TocsinError)):
        judge(mount / "archive", tmp_path / "acks")
