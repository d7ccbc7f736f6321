"""The way back from a bucket: damaged files put right, a lost archive restored, and history that goes on exactly where it stopped."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from archive_world import DAY, START, batch, event, keeper, plain, rows

sys.path.insert(0, str(Path(__file__).parents[1]))

from s3_server import bucket_of, environment

from tocsin.app.layout import Layout
from tocsin.app.restoring import AHEAD
from tocsin.archive.catalog import Catalog
from tocsin.archive.holds import place
from tocsin.archive.mirror.sending import Sender
from tocsin.archive.sweep import sweep
from tocsin.archive.tombstones import KEY_FILE, PUBLIC_FILE, Signer, check, entries
from tocsin.archive.verify import verify
from tocsin.cli import main
from tocsin.journal import EventWriter, connect, read
from tocsin.journal.server import EmbeddedServer
from tocsin.kernel.clock import Clock, Monotone

SEATTLE = Path(__file__).parents[2] / "examples" / "seattle"
pytestmark = pytest.mark.usefixtures("let_in")


@pytest.fixture
def told(capsys):
    def run(*words, code=0):
        found = main(["archive", *map(str, words), "--json"])
        out = capsys.readouterr()
        assert found == code, out
        return json.loads(out.out.splitlines()[-1]) if code != 2 and out.out else out.err

    return run


@pytest.fixture
def mirrored(folder, address):
    """An archive with a signed record, its mirror, and its rows."""
    catalog = Catalog(folder, write=True)
    place(catalog, Signer(folder), "incident 7", "officer", START, None, None, ())
    Sender(catalog, bucket_of(address)).run()
    names = [str(one.file.path.relative_to(folder)) for one in catalog.files("tier = 'day'")]
    catalog.close()
    return folder, address, plain(rows(folder)), names


def sound(folder: Path) -> bool:
    catalog = Catalog(folder, write=True)
    try:
        return verify(catalog).sound
    finally:
        catalog.close()


def flip(body: bytes) -> bytes:
    return body[: len(body) // 2] + bytes([body[len(body) // 2] ^ 4]) + body[len(body) // 2 + 1 :]


def test_damaged_files_are_fetched_from_the_mirror(mirrored, told):
    """Flipped, cut and lost ones; one that the bucket has not whole either is left to the other ways."""
    folder, address, whole, names = mirrored
    (folder / names[0]).write_bytes(flip((folder / names[0]).read_bytes()))
    (folder / names[1]).write_bytes((folder / names[1]).read_bytes()[:100])
    for name in names[2:4]:
        (folder / name).unlink()
    bucket = bucket_of(address)
    spoilt = bucket.get(names[3])
    bucket.put(names[3], flip(spoilt))
    found = told("verify", SEATTLE, "--data", folder.parent, "--repair", "--peer", address.text, code=1)
    assert set(found["damaged"]) == {names[3]} and found["repaired"][0] | {"words": ""} == {
        "stream": "files",
        "rows": 4,
        "fetched": 3,
        "words": "",
    }
    bucket.put(names[3], spoilt)
    found = told("verify", SEATTLE, "--data", folder.parent, "--repair", "--peer", address.text)
    assert found["sound"] and plain(rows(folder)) == whole


def test_a_mirror_that_cannot_be_asked_is_said_and_the_other_ways_are_tried(mirrored, told, monkeypatch):
    folder, address, _, names = mirrored
    (folder / names[0]).unlink()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    found = told("verify", SEATTLE, "--data", folder.parent, "--repair", "--peer", address.text, code=1)
    assert "ACCESS_DENIED" in found["repaired"][0]["words"] and len(found["repaired"]) == 2


def test_a_lost_archive_comes_back(mirrored, told, tmp_path):
    _, address, whole, _ = mirrored
    found = told("restore", SEATTLE, address.text, "--data", tmp_path / "new")
    there = tmp_path / "new" / "archive"
    assert plain(rows(there)) == whole and sound(there) and (found["position"], found["there"], found["damaged"]) == (3, 0, {})
    assert not list((there / "tmp").rglob("*")) and found["files"] == len(list(there.rglob("*.parquet")))
    assert "there is an archive" in told("restore", SEATTLE, address.text, "--data", tmp_path / "new", code=2)
    other = tmp_path / "other"
    (other / "archive").mkdir(parents=True)
    (other / "archive" / "notes.txt").write_text("mine")
    assert "is not empty (notes.txt)" in told("restore", SEATTLE, address.text, "--data", other, code=2)
    assert "holds no mirror" in told("restore", SEATTLE, address.text.replace("/history", "/else"), "--data", tmp_path / "third", code=2)


def test_the_record_goes_on_under_another_key_and_says_so(mirrored, told, tmp_path):
    """The former entries are held against the former key, the new ones against the new; the key itself, where it was kept, goes on."""
    folder, address, _, _ = mirrored
    assert told("restore", SEATTLE, address.text, "--data", tmp_path / "new")["another_key"]
    there = tmp_path / "new" / "archive"
    lines = (there / PUBLIC_FILE).read_text().split("\n")
    assert lines[0] == (folder / PUBLIC_FILE).read_text().strip() and lines[1].endswith(" 2")
    catalog = Catalog(there, write=True)
    place(catalog, Signer(there), "incident 8", "officer", START, None, None, ())
    assert check(catalog) == [] and [one["what"] for one in entries(catalog)][1] == "restored from the mirror"
    bucket = bucket_of(address)
    Sender(catalog, bucket).run()
    assert told("verify", SEATTLE, "--archive", address.text, "--cache", tmp_path / "cache")["sound"]
    (there / PUBLIC_FILE).write_text(lines[1].split()[0])
    assert any("entry 1" in why for why in check(catalog))
    (there / PUBLIC_FILE).write_text("\n".join([lines[0], lines[1].split()[0] + " 3"]))
    assert any("entry 2" in why for why in check(catalog))
    catalog.close()
    kept = tmp_path / "kept" / "archive"
    kept.mkdir(parents=True)
    shutil.copy(there / KEY_FILE, kept)
    assert not told("restore", SEATTLE, address.text, "--data", kept.parent)["another_key"] and sound(kept)


def test_damaged_objects_concern_their_files_alone(mirrored, told, tmp_path):
    folder, address, whole, names = mirrored
    bucket = bucket_of(address)
    spoilt = bucket.get(names[0])
    bucket.put(names[0], flip(spoilt))
    bucket.remove(names[1])
    found = told("restore", SEATTLE, address.text, "--data", tmp_path / "new", code=1)
    there = tmp_path / "new" / "archive"
    assert set(found["damaged"]) == set(names[:2]) and "is damaged there" in found["damaged"][names[0]]
    assert not (there / names[0]).exists(), "nothing half right takes its place"
    told("verify", SEATTLE, "--data", there.parent, code=1)
    bucket.put(names[0], spoilt)
    bucket.put(names[1], (folder / names[1]).read_bytes())
    assert told("verify", SEATTLE, "--data", there.parent, "--repair", "--peer", address.text)["sound"] and plain(rows(there)) == whole


@pytest.mark.crash
def test_a_restore_that_was_cut_off_goes_on(mirrored, told, tmp_path):
    """`kill -9` between files, before the catalogue, and right after it; and a file that was spoilt on the disk meanwhile."""
    _, address, whole, names = mirrored
    data = tmp_path / "new"
    asked = ["archive", "restore", str(SEATTLE), address.text, "--data", str(data)]
    command = [sys.executable, "-m", "tocsin.cli", *asked]
    for at in ("restore.file:3", "restore.files"):
        killed = subprocess.run(command, env=environment() | {"TOCSIN_ARCHIVE_KILL": at}, capture_output=True, check=False)
        assert killed.returncode == -signal.SIGKILL, (at, killed.stderr.decode())
        assert not (data / "archive" / "catalog.db").exists()
    victim = data / "archive" / names[0]
    victim.write_bytes(flip(victim.read_bytes()))
    killed = subprocess.run(command, env=environment() | {"TOCSIN_ARCHIVE_KILL": "restore.catalog"}, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    catalog = Catalog(data / "archive", write=True)
    sweep(catalog)
    catalog.close()
    assert not list((data / "archive" / "tmp" / "restoring").rglob("*.db")), "what was left aside is swept"
    assert plain(rows(data / "archive")) == whole and sound(data / "archive")
    again = tmp_path / "again"
    killed = subprocess.run(
        [*command[:-1], str(again)], env=environment() | {"TOCSIN_ARCHIVE_KILL": "restore.files"}, capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    found = told("restore", SEATTLE, address.text, "--data", again)
    assert found["files"] == 0 and found["there"] > 3 and plain(rows(again / "archive")) == whole


async def written(data: Path, first: int, count: int) -> None:
    """Entries of the journal, as a node writes them."""
    async with EmbeddedServer(data, 0) as server, await connect(server.endpoint) as journal:
        writer = EventWriter(journal, "sea", Monotone(Clock()))
        for number in range(first, first + count):
            await writer.append("air", batch([event(number, "air", START + number * DAY)]), 1)
        await writer.close()


async def taken_in(data: Path) -> list[str]:
    """What keep does: entries from where the archive is, into the archive. Returns what could not be read."""
    kept, holes = keeper(data / "archive"), []
    async with EmbeddedServer(data, 0) as server, await connect(server.endpoint) as journal:
        async for entry in read(journal, kept.position + 1, follow=False, on_damage=holes.append):
            kept.append([(entry.seq, entry.batch)] if entry.batch is not None else [], entry.seq)
    kept.close()
    return [one.kind for one in holes]


def ids(data: Path) -> list[str]:
    return [row["id"] for row in plain(rows(data / "archive"))]


def node(tmp_path: Path, entries: int) -> Path:
    data = tmp_path / "node"
    Layout(data).create()
    asyncio.run(written(data, 0, entries))
    asyncio.run(taken_in(data))
    return data


def mirror_of(data: Path, address) -> None:
    catalog = Catalog(data / "archive", write=True)
    Sender(catalog, bucket_of(address)).run()
    catalog.close()


def test_with_its_journal_an_archive_has_every_event_exactly_once(tmp_path, address, told):
    data = node(tmp_path, 5)
    mirror_of(data, address)
    asyncio.run(written(data, 5, 4))
    asyncio.run(taken_in(data))
    whole = plain(rows(data / "archive"))
    shutil.rmtree(data / "archive")
    found = told("restore", SEATTLE, address.text, "--data", data)
    assert (found["position"], found["journal"]) == (5, 9) and len(ids(data)) == 5
    assert asyncio.run(taken_in(data)) == [] and plain(rows(data / "archive")) == whole and len(whole) == 9


def test_without_its_journal_the_numbers_go_on_beyond_those_that_were_given(tmp_path, address, told):
    mirror_of(node(tmp_path, 5), address)
    data = tmp_path / "new"
    assert told("restore", SEATTLE, address.text, "--data", data)["journal"] is None
    shutil.rmtree(data / "archive")
    assert told("restore", SEATTLE, address.text, "--data", data)["journal"] is None, "what it made itself is no other node's"
    asyncio.run(written(data, 100, 2))
    assert set(asyncio.run(taken_in(data))) <= {"expired", "lost"}
    found = plain(rows(data / "archive"))
    assert [row["id"] for row in found] == [*(f"air{number}" for number in range(5)), "air100", "air101"]
    assert found[5]["seq"] >> 20 > 5 + AHEAD and len({row["seq"] for row in found}) == 7


def test_another_nodes_journal_is_refused(tmp_path, address, told):
    """Its entries have numbers that the archive knows for others: one is shorter, the other was made after the mirror."""
    mirror_of(node(tmp_path, 5), address)
    other = tmp_path / "other"
    Layout(other).create()
    asyncio.run(written(other, 0, 2))
    assert "is not the one that this mirror's archive came from" in told("restore", SEATTLE, address.text, "--data", other, code=2)
    asyncio.run(written(other, 2, 6))
    assert "is not the one that this mirror's archive came from" in told("restore", SEATTLE, address.text, "--data", other, code=2)
    assert not (other / "archive").exists()
