"""Removing what nobody needs: files that were replaced and are no longer looked at, and what a crash left behind."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

from tocsin.kernel.fault import Retriable
from tocsin.model.archive import CLASSES

from .catalog import Catalog
from .disk import remove
from .leases import Leases
from .locks import held
from .steps import step

log = logging.getLogger(__name__)


def sweep(catalog: Catalog) -> int:
    """Bytes removed. What is still being looked at stays for the next time. Raises OSError."""
    return retired(catalog) + orphans(catalog)


def retired(catalog: Catalog, *, whoever_looks: bool = False) -> int:
    """Files that were replaced. `whoever_looks`: also those that somebody may still be reading."""
    oldest = 2**62 if whoever_looks else Leases(catalog.folder / "leases").oldest()
    found = catalog.files("gone IS NOT NULL AND gone <= ?", (oldest,))
    for one in found:
        remove(one.file.path, catalog.folder)
        step("sweep.removed")
    if found:
        with catalog.change() as connection:
            connection.executemany("DELETE FROM file WHERE id = ?", [(one.id,) for one in found])
    return sum(one.file.size for one in found)


def orphans(catalog: Catalog) -> int:
    """Files that were never entered: their writer died. While anybody is publishing, none is touched."""
    try:
        with held(catalog.folder, "publish"):
            known = {one.file.path for one in catalog.files("1")}
            lost = [path for path in parquet_files(catalog.folder) if path not in known]
            size = sum(path.stat().st_size for path in lost)
            for path in lost:
                log.warning("archive: %s was never entered in the catalogue; its writer died. Removed", path)
                remove(path, catalog.folder)
            return size
    except Retriable:
        return 0


def parquet_files(folder: Path) -> list[Path]:
    """Everything that lies in the archive's folders, entered or not."""
    found = []
    for part in (*CLASSES, "tmp"):
        with contextlib.suppress(FileNotFoundError):
            found += [path for path in (folder / part).rglob("*") if path.is_file()]
    return found
