"""A damaged file is fetched again from a real journal by `tocsin archive verify --repair`; a damaged rollup is made again from the events."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

from archive_world import START, batch, keeper, plain, rows, spread

from tocsin.app import inforce
from tocsin.app.layout import Layout
from tocsin.archive.catalog import Catalog
from tocsin.archive.holdings import Archive
from tocsin.archive.parquet import read
from tocsin.cli import main
from tocsin.journal import EmbeddedServer, EventWriter, connect
from tocsin.journal.reader import last_seq
from tocsin.journal.reader import read as entries
from tocsin.kernel.clock import Clock, Monotone
from tocsin.model.archive import Want

SEATTLE = Path(__file__).parents[2] / "examples" / "seattle"


async def live(layout: Layout) -> None:
    """A journal with a configuration and events, and an archive of it in day files."""
    async with EmbeddedServer(layout.data, 0) as server, await connect(server.endpoint, name="test") as journal:
        await inforce.put(journal, inforce.prepare(*inforce.load(SEATTLE), layout).bundle)
        writer = EventWriter(journal, "seattle", Monotone(Clock()))
        for number in range(4):
            await writer.append("air", batch(spread(60, number, 1, "air", first=number * 100, start=START)), 1)
        await writer.close()
        kept = keeper(layout.archive)
        found = [entry async for entry in entries(journal, 1, until=await last_seq(journal))]
        kept.append([(entry.seq, entry.batch) for entry in found if entry.batch is not None], found[-1].seq)
        kept.flush()
        kept.close()


def damage(layout: Layout, tier: str) -> Path:
    catalog = Catalog(layout.archive, write=False)
    victim = catalog.files("tier = ?", (tier,))[0].file.path
    catalog.close()
    body = bytearray(victim.read_bytes())
    body[len(body) // 3] ^= 1
    victim.write_bytes(body)
    return victim


def rolled(layout: Layout) -> list[dict]:
    with Archive(layout.archive).rollup(Want(), "hourly") as look:
        return [
            row | {"total": round(row["total"], 9)} for file in look.files for row in read(file.path).to_pylist()
        ]  # sums, in whatever order


def test_what_the_journal_holds_comes_back(tmp_path, capsys):
    layout = Layout(tmp_path / "var")
    layout.create()
    asyncio.run(live(layout))
    shutil.rmtree(layout.data / "marks", ignore_errors=True)
    whole, hours = plain(rows(layout.archive)), rolled(layout)
    assert len(whole) == 240
    for tier in ("day", "hourly"):
        victim = damage(layout, tier)
        words = ["archive", "verify", str(SEATTLE), "--data", str(layout.data), "--json"]
        assert main(words) == 1
        assert list(json.loads(capsys.readouterr().out.splitlines()[-1])["damaged"]) == [str(victim.relative_to(layout.archive))]
        assert main(["archive", "status", str(SEATTLE), "--data", str(layout.data)]) == 1
        assert "1 DAMAGED files" in capsys.readouterr().out
        assert main([*words, "--repair"]) == 0, capsys.readouterr()
        told = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (told["sound"], told["repaired"][0]["fetched"]) == (True, told["repaired"][0]["rows"])
        assert plain(rows(layout.archive)) == whole
        assert sorted(map(str, rolled(layout))) == sorted(map(str, hours))
