"""`tocsin replay`: a stopped node's journal through its rules again; the alerts must be the same."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from tocsin.correlate.fingerprint import alerts_hash
from tocsin.correlate.recent import Entry as Recorded
from tocsin.correlate.shards.regions import Regions, around
from tocsin.correlate.shards.together import Together
from tocsin.correlate.worker import Correlator
from tocsin.journal.connection import connect
from tocsin.journal.encode import Entry
from tocsin.journal.reader import fetch, last_seq, read
from tocsin.journal.server import EmbeddedServer
from tocsin.kernel.fault import Fatal
from tocsin.model.alert import Alert

from . import inforce
from .layout import Layout
from .node import check_shards
from .summary import final_alerts


async def replay(city_path: Path, data: Path, shards: int = 1, cuts: tuple[float, ...] = ()) -> dict[str, object]:
    """Reads the whole journal again, from its first entry, without touching the node's state. The rules are those that the journal puts
    in force, where it puts them in force. `shards`, `cuts`: as of `tocsin run`; the shards are in this process then."""
    layout = Layout(data)
    if not layout.journal.is_dir():
        raise Fatal(f"{data} holds no journal; name the data directory of a node with --data")
    told: dict[str, Alert] = {}

    async def publish(alert: Alert) -> None:
        told[alert.id] = alert

    lock = layout.lock()
    async with EmbeddedServer(layout.data, 0) as server, await connect(server.endpoint, name="replay") as journal:

        async def again(seq: int) -> Entry:
            return await fetch(journal, seq)

        first = await inforce.at_entry(journal, 0, city_path, layout)
        setting, configure = inforce.setting(first), inforce.configure(city_path, layout)
        regions = Regions(cuts) if cuts else around(*first.city.centre, shards)
        together = Together(setting, regions, again, configure) if regions.count > 1 else None
        correlator = Correlator(
            setting.plan,
            again,
            name_place=setting.name_place,
            corrects=setting.corrects,
            skews=setting.skews,
            lateness=setting.lateness,
            exercise=first.city.exercise is not None,
            in_force=(setting.entry, setting.version),
            configure=configure,
            engine=None if together is None else together.engine,
        )
        correlator.warm_up()
        began = time.process_time()
        until = await last_seq(journal)
        entries: AsyncIterator[Recorded] = read(journal, 1, until=until)
        await correlator.run(entries if together is None else together.entries(entries), publish)
        seconds = time.process_time() - began
        live = alerts_hash(await final_alerts(journal))
        lapsed = (await journal.state()).lapsed
    lock.close()
    again_hash = alerts_hash(told.values())
    return {
        "entries": until,
        "shards": regions.count,
        "events": correlator.counters.events,
        "alerts": len(told),
        "settings": correlator.counters.settings,
        "alerts_hash": again_hash,
        "live_alerts_hash": live,
        "missing": journal.counters.missing + journal.counters.damaged,
        "lapsed": lapsed,
        "equal": again_hash == live,
        "cpu_s": round(seconds, 2),
    }


def main(arguments: argparse.Namespace) -> int:
    check_shards(arguments.shards, arguments.cuts or (), 0)
    told = asyncio.run(
        replay(arguments.city.resolve(), (arguments.data or arguments.city / "var").resolve(), arguments.shards, arguments.cuts or ())
    )
    if arguments.json:
        print(json.dumps(told))
    else:
        verdict = "the same as live" if told["equal"] else f"NOT the same as live ({told['live_alerts_hash']})"
        if told["missing"]:
            verdict += "; the journal has lost entries, so what rested on them cannot be found again"
        if told["lapsed"] and not told["equal"]:
            verdict += f"; retention has removed entries before number {told['lapsed']}, so what rested on them cannot be found again"
        print(
            f"{told['events']} events of {told['entries']} entries, {told['alerts']} alerts, hash {told['alerts_hash']}: {verdict}",
            file=sys.stderr,
        )
    return 0 if told["equal"] else 1
