"""Legal holds: what retention must leave alone, because an incident is still being looked into."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tocsin.kernel.fault import Fatal
from tocsin.model.archive import Box
from tocsin.model.time import to_iso

from .catalog import Catalog
from .rows import instants, numbers
from .tombstones import Signer


@dataclass(frozen=True, slots=True)
class Hold:
    """Rows with an event time in [start, stop), in the box or without a place, of these feeds. None and () mean: any. `alert`: the id of the one
    whose surroundings these are."""

    id: int
    reason: str
    by: str
    placed: int
    released: int | None
    start: int | None
    stop: int | None
    box: Box | None
    feeds: tuple[str, ...]
    alert: str | None = None

    def covers(self, table: pa.Table) -> NDArray[np.bool_]:
        """Which rows (with feed, event_time, lon, lat) are held."""
        time_ = instants(table.column("event_time"))
        held: NDArray[np.bool_] = np.ones(len(table), bool)
        if self.start is not None:
            held &= time_ >= self.start
        if self.stop is not None:
            held &= time_ < self.stop
        if self.feeds:
            held &= pc.is_in(table.column("feed").cast(pa.string()), pa.array(self.feeds)).to_numpy()
        if self.box is not None:
            lon, lat = numbers(table.column("lon")), numbers(table.column("lat"))
            west, south, east, north = self.box
            across = (lon >= west) & (lon <= east) if west <= east else (lon >= west) | (lon <= east)
            held &= np.isnan(lon) | np.isnan(lat) | (across & (lat >= south) & (lat <= north))
        return held

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "reason": self.reason,
            "by": self.by,
            "placed": to_iso(self.placed),
            "released": None if self.released is None else to_iso(self.released),
            "from": None if self.start is None else to_iso(self.start),
            "to": None if self.stop is None else to_iso(self.stop),
            "box": None if self.box is None else list(self.box),
            "feeds": list(self.feeds),
            "alert": self.alert,
        }


def holds(catalog: Catalog, *, released: bool = False) -> list[Hold]:
    """Those in force; with `released` all there ever were."""
    found = catalog.connection.execute(
        "SELECT id, reason, by, placed, released, start, stop, west, south, east, north, feeds FROM hold ORDER BY id"
    ).fetchall()
    alerts = _alerts(catalog)
    every = [replace(_hold(*row), alert=alerts.get(row[0])) for row in found]
    return [one for one in every if released or one.released is None]


def _alerts(catalog: Catalog) -> dict[int, str]:
    """The alerts that holds were placed around. Only the signed record has them: a hold's table is as older versions know it."""
    return dict(
        catalog.connection.execute(
            "SELECT json_extract(text, '$.hold.id'), json_extract(text, '$.hold.alert') FROM tombstone"
            " WHERE json_extract(text, '$.what') = 'hold' AND json_extract(text, '$.hold.alert') IS NOT NULL"
        ).fetchall()
    )


def _hold(number: int, reason: str, by: str, placed: int, released: int | None, start: int | None, stop: int | None, *rest: Any) -> Hold:
    box = None if rest[0] is None else Box(*rest[:4])
    return Hold(number, reason, by, placed, released, start, stop, box, tuple(json.loads(rest[4])))


def place(
    catalog: Catalog, signer: Signer, reason: str, by: str, start: int | None, stop: int | None, box: Box | None, feeds: tuple[str, ...],
    alert: str | None = None,
) -> Hold:  # fmt: skip
    """From the next retention run on. Raises Fatal when it would hold everything for ever."""
    if start is None and stop is None and box is None and not feeds:
        raise Fatal("a hold needs a time, a place or a feed; without any it would keep everything for ever")
    now = time.time_ns() // 1000
    with catalog.change() as connection:
        cursor = connection.execute(
            "INSERT INTO hold (reason, by, placed, start, stop, west, south, east, north, feeds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (reason, by, now, start, stop, *(box or (None,) * 4), json.dumps(feeds)),
        )
        hold = Hold(cursor.lastrowid or 0, reason, by, now, None, start, stop, box, feeds, alert)
        signer.write(connection, {"what": "hold", "hold": hold.to_json(), "at": to_iso(now)})
    return hold


def release(catalog: Catalog, signer: Signer, number: int, by: str) -> None:
    """Retention goes on with what it covered. Raises Fatal when there is no such hold in force."""
    known = {one.id for one in holds(catalog)}
    if number not in known:
        raise Fatal(f"there is no hold {number} in force; known: {', '.join(map(str, sorted(known))) or 'none'}")
    now = time.time_ns() // 1000
    with catalog.change() as connection:
        connection.execute("UPDATE hold SET released = ? WHERE id = ?", (now, number))
        signer.write(connection, {"what": "release", "hold": number, "by": by, "at": to_iso(now)})
