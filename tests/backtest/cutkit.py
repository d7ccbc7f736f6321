"""A whole journal as a back-test in parts: each part sees what lies near it, goes through bytes, and one run tells what all of them found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from pastkit import PLACE, cut_up, fetching, ticks_of
from runkit import Journal

from tocsin.correlate.engine import Sizes
from tocsin.correlate.past.cut.seen import Finds, PartEngine, PartPast
from tocsin.correlate.past.cut.tell import Teller
from tocsin.correlate.past.cut.ways import Cut, everywhere, matched, owned, way_of
from tocsin.correlate.past.facts import PastFacts
from tocsin.correlate.past.run import Past
from tocsin.correlate.setting import Setting
from tocsin.correlate.shards.assign import Way
from tocsin.correlate.shards.matches import Matches, decode
from tocsin.correlate.shards.regions import Regions
from tocsin.model.plan import Plan

SMALL = Sizes(ring=3, heads=3, sources=2, pending=2)


def told_in_parts(plan: Plan, table: pa.Table, journal: Journal, regions: Regions, seed: int = 1, **options: Any) -> Past:
    """The same as `pastkit.past`, in parts."""
    corrects, attrs = options.get("corrects"), options.get("attrs", {})
    setting = Setting(plan, lambda _lon, _lat: PLACE, corrects, options.get("skews") or {}, lateness=options.get("lateness") or {})
    share = way_of(plan)
    assert share.way != Way.WHOLE, share.why
    found, facts, heard = [], [], []
    for number in range(regions.count):
        cut = Cut(share.way, number, regions.count, regions, share.reach)
        matches, some, clocks = one_part(setting, cut, table, journal, seed, attrs)
        found.append((number, decode(matches.encode())))
        facts.append(some)
        heard.append(clocks)
    known = pa.concat_tables(facts)
    run = Teller(
        setting, PastFacts(fetching(table), attrs), found, heard, 0, ticks=ticks_of(journal), attrs=attrs, sizes=SMALL
    )  # fmt: skip
    run.begin(journal.entries[0].ingest)
    anchors = set(np.concatenate([matches.rows["anchor"] for _, matches in found]).tolist())
    mine = [seq in anchors for seq in table.column("seq").to_pylist()]
    assert {seq for seq, own in zip(table.column("seq").to_pylist(), mine, strict=True) if own} <= set(known.column("seq").to_pylist())
    kept = pa.array(np.array(mine, np.bool_) | np.concatenate([everywhere(one, corrects) for one in table.to_batches()]))
    for batch in cut_up(table.filter(kept), seed + 1) if len(table.filter(kept)) else ():
        run.take(batch)
    run.move(max(entry.ingest for entry in journal.entries))
    run.finish()
    return run


def one_part(setting: Setting, cut: Cut, table: pa.Table, journal: Journal, seed: int, attrs: Any) -> tuple[Matches, pa.Table, Any]:
    engines: list[PartEngine] = []

    def engine(plan: Plan, corrects: frozenset[str] | None) -> PartEngine:
        engines.append(PartEngine(plan, cut, SMALL, corrects))
        return engines[-1]

    own = Setting(matched(setting.plan, cut.way), setting.name_place, setting.corrects, setting.skews, lateness=setting.lateness)
    run = PartPast(own, PastFacts(fetching(table), attrs), ticks=ticks_of(journal), attrs=attrs, engine=engine)
    finds, clocks = Finds(engines[0], setting.corrects), [np.empty(0, np.int64)]
    run.begin(journal.entries[0].ingest)
    for batch in cut_up(table, seed):
        run.take(batch)
        finds.gather(fetching(table))
        clocks.append(run.clocks[owned(cut, batch)])
    run.move(max(entry.ingest for entry in journal.entries))
    finds.gather(fetching(table))
    return *finds.result(), np.unique(np.concatenate(clocks))
