"""The busiest map tiles."""

from __future__ import annotations

import pyarrow as pa

from tocsin.model.archive import Holdings
from tocsin.model.asking import Answer, Cells

from .amounts import cell_key, grouped, rollup_for, want_rollup
from .engine import Session
from .grid import tile_box, unmorton
from .rows import Limits, allow, plan_of
from .series import means
from .where import is_open, want_of


def top_cells(session: Session, holdings: Holdings, asked: Cells, limits: Limits) -> Answer:
    """Columns `x`, `y` of the tile, `west`, `south`, `east`, `north`, `rows`, `values`, `mean`, `low`, `high`, `severity`; most rows first."""
    key = cell_key(asked.zoom)
    wanted = asked.filter
    basis = rollup_for(wanted, (key,), None) if asked.rollups else ""
    want = want_rollup(wanted) if basis else want_of(wanted)
    with holdings.rollup(want, basis) if basis else holdings.look(want) as look:
        plan = plan_of(look, basis or "raw", is_open(want))
        allow(plan, limits, asked.confirmed)
        found = grouped(session, look, wanted, (key,), basis=basis, more="cell IS NOT NULL")
        reaches = look.reaches
    ordered = found.table.sort_by([("rows", "descending"), ("cell", "ascending")])
    top = ordered.slice(0, asked.limit)
    tiles = [unmorton(code) for code in top["cell"].to_pylist()]
    boxes = [tile_box(asked.zoom, x, y) for x, y in tiles]
    columns: dict[str, object] = {"x": pa.array([x for x, _ in tiles], pa.int64()), "y": pa.array([y for _, y in tiles], pa.int64())}
    columns |= {name: pa.array([getattr(box, name) for box in boxes], pa.float64()) for name in ("west", "south", "east", "north")}
    columns |= {"rows": top["rows"], "values": top["values"], "mean": means(top["total"], top["values"])}
    columns |= {name: top[name] for name in ("low", "high", "severity")}
    return Answer(pa.table(columns), plan, reaches, found.sql, cut=len(ordered) > asked.limit)
