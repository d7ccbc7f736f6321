"""Is everything in the bucket what the published catalogue says? Every object is read and held against its SHA-256, and the signed record against its key."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed

from tocsin.archive.catalog import Filed
from tocsin.archive.retention import paths
from tocsin.archive.rollup import STEPS
from tocsin.archive.tombstones import check as check_chain
from tocsin.archive.tombstones import entries
from tocsin.archive.verify import Report

from . import head as heads
from .mirrored import Mirrored

TOGETHER = 4


def verify(mirror: Mirrored, say: Callable[[str, float], None] = lambda _what, _share: None) -> Report:
    """Nothing is kept on this machine, and nothing is changed there. Raises Retriable, Fatal."""
    report = Report()
    found = mirror.catalog.files()
    total, done = sum(one.file.size for one in found) or 1, 0
    pool = ThreadPoolExecutor(TOGETHER, "mirror")
    try:
        running = {pool.submit(_wrong_with, mirror, one): one for one in found}
        for future in as_completed(running):
            one, why = running[future], future.result()
            done += one.file.size
            name = _name(mirror, one)
            say(name, done / total)
            report.files, report.bytes = report.files + 1, report.bytes + one.file.size
            if why is not None:
                report.damaged[name] = why
            elif one.file.tier not in STEPS:
                report.rows += one.file.rows
    finally:
        pool.shutdown(cancel_futures=True)
    report.record = check_chain(mirror.catalog)
    told = entries(mirror.catalog)
    report.entries = len(told)
    known = {mirror.head.catalog, *(_name(mirror, one) for one in found)}
    there = {name for name in mirror.bucket.sizes() if heads.ours(name)} - known - set(mirror.head.leaving)
    lapsed = set(paths(told))
    report.undead = sorted(there & lapsed)
    report.strange = sorted(there - lapsed)
    return report


def _name(mirror: Mirrored, one: Filed) -> str:
    return str(one.file.path.relative_to(mirror.cache.files))


def _wrong_with(mirror: Mirrored, one: Filed) -> str | None:
    if one.damaged is not None:
        return f"was damaged on the node when it was to be sent: {one.damaged}"
    try:
        size, sha256 = mirror.bucket.read(_name(mirror, one))
    except FileNotFoundError:
        return "is not there"
    if size != one.file.size:
        return f"has {size:,} bytes, {one.file.size:,} were written"
    if sha256 != one.file.sha256:
        return f"its SHA-256 is {sha256[:12]}…, {one.file.sha256[:12]}… was written: bytes have changed"
    return None
