"""The archive in a bucket of OpenStack Swift, over its S3 interface: sent whole, sent again after every kind of end, and read where nothing else is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archive_world import DAY, EVERYTHING, HOUR, START, Crash, batch, calm, keeper, plain, rows, spread

sys.path.insert(0, str(Path(__file__).parents[1]))

from s3_server import Swift, bucket_of, door, environment, make_bucket

from tocsin.archive import holds
from tocsin.archive.catalog import Catalog
from tocsin.archive.compact import compact
from tocsin.archive.mirror import head as heads
from tocsin.archive.mirror.bucket import PART, Bucket, digest
from tocsin.archive.mirror.cache import Cache
from tocsin.archive.mirror.checking import verify
from tocsin.archive.mirror.mirrored import Mirrored, Place, brought
from tocsin.archive.mirror.sending import NOT_REMOVED, REMOVED, Sender
from tocsin.archive.parquet import loaded, read
from tocsin.archive.retention import Retention, declare
from tocsin.archive.steps import step
from tocsin.archive.sweep import sweep
from tocsin.archive.tombstones import Signer, check, entries
from tocsin.kernel.fault import Fatal, Retriable
from tocsin.model.archive import Want

pytestmark = pytest.mark.usefixtures("let_in")


def send(folder, address, grace=0, silent=60.0):
    catalog = Catalog(folder, write=True)
    try:
        return Sender(catalog, bucket_of(address, silent), grace).run()
    finally:
        catalog.close()


def opened(address, cache, room=1 << 30) -> Mirrored:
    bucket = bucket_of(address)
    return Mirrored(bucket, Cache(cache, bucket, room))


def seen(mirror, want=EVERYTHING):
    with mirror.look(want) as look:
        found = [loaded(read(file.path)) for file in look.files] + [look.tail]
        lost = [file.path.name for file in look.damaged]
    return plain(pa.concat_tables(found).unify_dictionaries().combine_chunks().sort_by("seq")), lost


def files_of(folder):
    catalog = Catalog(folder, write=False)
    try:
        return {str(one.file.path.relative_to(folder)): one.file for one in catalog.files()}
    finally:
        catalog.close()


def test_what_is_sent_is_read_elsewhere(folder, address, tmp_path):
    first = send(folder, address)
    assert (first.files, first.there, first.published) == (len(files_of(folder)), 0, True)
    mirror = opened(address, tmp_path / "cache")
    assert seen(mirror) == (plain(rows(folder)), [])
    report = verify(mirror)
    assert report.sound and report.files == first.files and report.bytes == first.bytes
    with mirror.rollup(Want(), "hourly") as look:
        assert sum(pq.read_table(file.path)["rows"].to_numpy().sum() for file in look.files) + look.tail["rows"].to_numpy().sum() == 740
    mirror.close()
    again = send(folder, address)
    assert (again.files, again.bytes, again.there) == (0, 0, first.files)


def test_only_what_a_question_needs_is_fetched(folder, address, tmp_path):
    send(folder, address)
    mirror = opened(address, tmp_path / "cache")
    with mirror.look(Want(figures=True)) as look:
        assert look.rows == 740
    assert not list(mirror.cache.files.rglob("*.parquet"))
    want = Want(feeds=("fleet",), stop=START + DAY)
    with mirror.look(want) as look:
        fetched = {str(path.relative_to(mirror.cache.files)) for path in mirror.cache.files.rglob("*.parquet")}
        assert fetched == {str(file.path.relative_to(mirror.cache.files)) for file in look.files} and 0 < len(fetched) < len(
            files_of(folder)
        )
    mirror.close()


def test_parts_have_the_names_that_the_server_gives_them(address, tmp_path):
    """Small objects go whole, large ones in parts; either way the server's MD5 proves what it has, without reading it again."""
    bucket = bucket_of(address)
    for size in (0, 1000, PART - 1, PART, 2 * PART + 5):
        path = tmp_path / "file"
        path.write_bytes(os.urandom(1000) * (size // 1000) + bytes(size % 1000))
        known = digest(path)
        bucket.send(path, "object", known)
        bucket.read = None  # type: ignore[method-assign, assignment]  # reading it back would be the other proof
        assert bucket.holds("object", known)
        del bucket.read
        assert not bucket.holds("object", digest(Path(__file__))) and bucket.read("object") == (size, known.sha256)


def test_replaced_files_stay_for_a_while(folder, address, tmp_path):
    send(folder, address, HOUR)
    reader = opened(address, tmp_path / "late")
    old = files_of(folder)
    catalog = Catalog(folder, write=True)
    made = keeper(folder)
    made.flush()
    made.close()
    compact(catalog, START + 50 * DAY)
    sweep(catalog)
    catalog.close()
    new = files_of(folder)
    replaced = set(old) - set(new)
    assert replaced
    second = send(folder, address, HOUR)
    assert second.removed == 0 and second.leaving == len(replaced) + 1  # and the former catalogue
    assert seen(reader) == (plain(rows(folder)), [])  # who holds the former catalogue finds its files
    reader.close()
    third = send(folder, address, 0)
    assert third.removed == second.leaving and third.leaving == 0
    bucket = bucket_of(address)
    assert set(bucket.sizes()) == {*new, heads.NAME, heads.read(bucket).catalog}
    reader = opened(address, tmp_path / "other")
    assert seen(reader)[0] == plain(rows(folder))
    reader.close()


def test_who_reads_on_after_the_grace_goes_over_to_the_newer_catalogue(folder, address, tmp_path):
    send(folder, address)
    reader = opened(address, tmp_path / "cache")
    catalog = Catalog(folder, write=True)
    compact(catalog, START + 50 * DAY)
    sweep(catalog)
    catalog.close()
    send(folder, address, 0)
    send(folder, address, 0)
    assert seen(reader) == (plain(rows(folder)), [])
    reader.close()


class Dying(Bucket):
    """Of a process that is killed: after its first removal nothing is asked of the server, and nothing written."""

    def __init__(self, address):
        super().__init__(address)
        self._asked = 0

    def sizes(self, below=""):
        self._asked += 1
        if self._asked > 1:
            raise Crash
        return super().sizes(below)


def test_what_lapses_is_gone_there_too_and_the_record_says_so(folder, address, tmp_path):
    send(folder, address)
    catalog = Catalog(folder, write=True)
    declare(catalog, {"air": DAY})
    holds.place(catalog, Signer(folder), "a fire", "chief", START, START + 6 * HOUR, None, ("air",))
    Retention(catalog, Signer(folder), START + 3 * DAY).run()
    sweep(catalog)
    before = {path for entry in entries(catalog) if entry["what"] == "removed" for path in entry["files"]}

    def die(name):
        if name == "mirror.removed":
            raise Crash

    step.hook = die
    try:
        with pytest.raises(Crash):  # after the first of them
            Sender(catalog, Dying(address), 0).run()
    finally:
        calm()
    assert not [entry for entry in entries(catalog) if entry["what"] == REMOVED]
    sent = Sender(catalog, bucket_of(address), 0).run()
    told = [entry for entry in entries(catalog) if entry["what"] == REMOVED]
    assert [set(entry["files"]) for entry in told] == [before] and told[0]["mirror"] == address.place and not check(catalog)
    assert sent.removed >= len(before) - 1 and not set(bucket_of(address).sizes()) & before
    Sender(catalog, bucket_of(address), 0).run()
    assert [entry for entry in entries(catalog) if entry["what"] == REMOVED] == told
    catalog.close()
    mirror = opened(address, tmp_path / "cache")
    found, lost = seen(mirror)
    assert found == plain(rows(folder)) and not lost
    kept = [row for row in found if row["feed"] == "air"]
    assert kept and all(START <= row["event_time"] < START + 6 * HOUR for row in kept)  # the hold
    report = verify(mirror)
    assert report.sound and report.entries == len(entries(mirror.catalog)) > 2
    mirror.close()


def test_what_cannot_be_removed_is_said_once(folder, address, monkeypatch):
    send(folder, address)
    catalog = Catalog(folder, write=True)
    declare(catalog, {"air": DAY})
    Retention(catalog, Signer(folder), START + 3 * DAY).run()
    sweep(catalog)
    bucket = bucket_of(address)

    def refused(name):
        raise Fatal(f"{name}: access is refused")

    bucket.remove = refused  # as a bucket with a lock on its objects does
    first = Sender(catalog, bucket, 0).run()
    again = Sender(catalog, bucket, 0).run()
    told = [name for entry in entries(catalog) if entry["what"] == NOT_REMOVED for name in entry["files"]]
    assert first.undead and set(first.undead) <= set(again.undead) and sorted(told) == sorted(again.undead)
    done = Sender(catalog, bucket_of(address), 0).run()
    assert not done.undead and done.removed >= len(again.undead)
    assert {path for entry in entries(catalog) if entry["what"] == REMOVED for path in entry["files"]} and not check(catalog)
    catalog.close()


def test_a_damaged_object_concerns_one_file(folder, address, tmp_path, caplog):
    send(folder, address)
    bucket = bucket_of(address)
    days = sorted(name for name in files_of(folder) if "/day/" in name)
    flipped, cut, lost = days[0], days[1], days[2]
    body = bytearray(bucket.get(flipped))
    body[len(body) // 2] ^= 1
    bucket.put(flipped, bytes(body))
    bucket.put(cut, bucket.get(cut)[:-10])
    bucket.remove(lost)
    mirror = opened(address, tmp_path / "cache")
    found, missing = seen(mirror)
    assert sorted(missing) == sorted(Path(name).name for name in (flipped, cut, lost))
    assert len(found) == 740 - sum(files_of(folder)[name].rows for name in (flipped, cut, lost))
    assert f"{address.place}/{flipped} is damaged there: it has SHA-256" in caplog.text
    assert f"{address.place}/{cut} is damaged there: it has {len(bucket.get(cut)):,} bytes" in caplog.text
    assert f"{address.place}/{lost} is not there" in caplog.text
    report = verify(mirror)
    assert set(report.damaged) == {flipped, cut, lost} and report.damaged[lost] == "is not there" and not report.undead
    mirror.close()
    sent = send(folder, address)  # what was lost or cut is seen in the list of objects
    assert sent.files == 2
    assert set(verify(opened(address, tmp_path / "cache")).damaged) == {flipped}


def test_a_damaged_file_of_the_node_is_not_sent(folder, address, tmp_path):
    name, file = next((name, file) for name, file in files_of(folder).items() if file.tier == "day")
    body = bytearray(file.path.read_bytes())
    body[len(body) // 2] ^= 1
    file.path.write_bytes(bytes(body))
    sent = send(folder, address)
    assert sent.damaged == [name] and name not in bucket_of(address).sizes()
    mirror = opened(address, tmp_path / "cache")
    assert seen(mirror)[1] == [file.path.name]
    mirror.close()
    body[len(body) // 2] ^= 1
    file.path.write_bytes(bytes(body))  # as a repair does
    assert send(folder, address).files == 1
    file.path.unlink()
    assert send(folder, address).damaged == []  # the bucket has it whole still
    mirror = opened(address, tmp_path / "again")
    found, lost = seen(mirror)
    assert len(found) == 740 and not lost
    mirror.close()


def test_a_server_that_goes_away_and_one_that_says_nothing(swift, folder, address, tmp_path):
    with door(swift) as between:
        shaky = swift.address(address.bucket, address.prefix, between.port)
        between.left = 60_000
        with pytest.raises(Retriable, match=rf"{address.place}/.* at http://127.0.0.1:{between.port} does not answer as it should"):
            send(folder, shaky)
        there = [name for name in bucket_of(address).sizes() if name.endswith(".parquet")]
        assert there and heads.NAME not in bucket_of(address).sizes()
        between.left = None
        between.hold.set()
        with pytest.raises(Retriable, match="does not answer as it should"):
            send(folder, shaky, silent=2.0)
        between.hold.clear()
        done = send(folder, shaky)
        assert done.published and done.there >= len(there) - 4  # those that were on their way may be half there
        mirror = opened(shaky, tmp_path / "cache")
        between.left = 0
        with pytest.raises(Retriable, match="does not answer"):
            seen(mirror)
        between.left = None
        assert seen(mirror) == (plain(rows(folder)), [])
        mirror.close()


def test_a_server_that_is_killed_and_started_again(folder, tmp_path):
    server = Swift()
    try:
        address = server.address("history")
        make_bucket(address)
        send(folder, address)
        server.kill()
        with pytest.raises(Retriable, match="NETWORK_CONNECTION"):
            send(folder, address)
        server.start()
        assert send(folder, address).files == 0
        mirror = opened(address, tmp_path / "cache")
        assert seen(mirror)[0] == plain(rows(folder))
        mirror.close()
    finally:
        server.close()


def test_who_may_not_and_what_is_not(swift, folder, address, monkeypatch, tmp_path):
    for name, value in environment("node", "wrong").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Fatal, match=r"access is refused|secret key is not the one"):
        send(folder, address)
    for name, value in environment("guest").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Fatal, match="access is refused; keys come from the environment"):
        send(folder, address)
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Fatal, match="there is no such bucket; whoever runs the storage makes it"):
        send(folder, swift.address("nobody-made-this"))
    with pytest.raises(Fatal, match="holds no mirror of an archive"):
        opened(address, tmp_path / "cache")
    send(folder, address)
    other = tmp_path / "other"
    keeper(other).close()
    with pytest.raises(Fatal, match="holds the mirror of another archive"):
        send(other, address)
    bucket_of(address).put(heads.NAME, b'{"format": 99}')
    with pytest.raises(Fatal, match="has format 99, this version of Tocsin reads format 1"):
        opened(address, tmp_path / "cache")
    bucket_of(address).put(heads.NAME, b"[]")
    with pytest.raises(Fatal, match="is no head of a mirror"):
        opened(address, tmp_path / "cache")


def test_objects_that_are_not_a_mirrors_are_left_alone(folder, address):
    bucket = bucket_of(address)
    strange = ["notes.txt", "events/readme.md", "catalog/list.csv", "other/day/x.parquet"]
    for name in strange:
        bucket.put(name, b"mine")
    bucket.put("events/day/date=2020-01-01/feed.parquet", b"left by a mirror")
    send(folder, address)
    send(folder, address)
    assert [
        name for name in strange if name not in bucket.sizes()
    ] == [] and "events/day/date=2020-01-01/feed.parquet" not in bucket.sizes()


def test_a_bucket_that_keeps_versions_is_told_of(swift, folder, address):
    swift.keep_versions(address.bucket)
    assert send(folder, address).versions


def test_a_cache_has_a_bound_and_leaves_what_is_looked_at(folder, address, tmp_path):
    send(folder, address)
    days = sorted((file.size, name) for name, file in files_of(folder).items() if file.tier == "day")
    whole = sum(size for size, _ in days)
    small = opened(address, tmp_path / "small", room=whole - 1)
    with pytest.raises(Fatal, match=r"this needs .* GB .* may hold .* GB; ask for less .* or give it more with --cache-size"):
        seen(small)
    one = Want(feeds=("fleet",), stop=START + DAY)
    two = Want(feeds=("fleet",), start=START + DAY)
    with small.look(one) as first, small.look(two) as second:
        assert all(file.path.exists() for look in (first, second) for file in look.files)
        with pytest.raises(Fatal, match="is full of what others look at just now"), small.look(Want(feeds=("air",))):
            pass
        assert all(file.path.exists() for look in (first, second) for file in look.files)
    with small.look(Want(feeds=("air",))) as third:
        assert all(file.path.exists() for file in third.files)
        there = set(small.cache.files.rglob("*.parquet"))
        assert sum(path.stat().st_size for path in there) <= whole - 1
        assert not all(file.path.exists() for file in first.files)  # longest ago
    assert not list((small.cache.folder / "leases").iterdir())
    small.close()


def test_processes_share_a_cache(folder, address, tmp_path):
    """Two fetch the same at the same time; one is killed while it looks, and no longer holds anything."""
    send(folder, address)
    whole = sum(file.size for file in files_of(folder).values() if file.tier == "day")
    command = [sys.executable, str(Path(__file__).with_name("mirror_reader.py")), address.text, str(tmp_path / "cache"), str(whole)]
    readers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()) for _ in range(2)]
    assert [int(one.stdout.readline()) for one in readers] == [whole, whole]
    mine = opened(address, tmp_path / "cache", room=whole)
    assert len(mine.cache._leased()) == len([file for file in files_of(folder).values() if file.tier == "day"])
    readers[0].kill()
    readers[0].communicate()
    out, _ = readers[1].communicate("\n")
    assert int(out) == whole and readers[1].returncode == 0
    assert mine.cache._leased() == {}
    mine.close()


@pytest.mark.crash
def test_a_killed_mirror_is_made_again(folder, address, tmp_path):
    """`kill -9` between files, before the head is replaced, after it, and while objects are removed: readers always see one of the two whole states."""
    send(folder, address)
    earlier = plain(rows(folder))
    made = keeper(folder)
    made.append([(4, batch(spread(300, first=8000, days=4)))], 4)
    made.flush()
    compact(made.catalog, START + 50 * DAY)
    sweep(made.catalog)
    made.close()
    later = plain(rows(folder))
    asked = ["archive", "mirror", str(tmp_path), address.text, "--data", str(folder.parent), "--grace", "0 s"]
    command = [sys.executable, "-m", "tocsin.cli", *asked]
    ways = [("mirror.sent:3", earlier), ("mirror.catalog", earlier), ("mirror.published", later), ("mirror.removed", later)]
    for at, expected in ways:
        killed = subprocess.run(command, env=environment() | {"TOCSIN_ARCHIVE_KILL": at}, capture_output=True, check=False)
        assert killed.returncode == -signal.SIGKILL, (at, killed.stderr.decode())
        mirror = opened(address, tmp_path / "cache")
        assert seen(mirror) == (expected, []), at
        mirror.close()
    done = subprocess.run([*command, "--json"], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["published"] and told["to"] == address.place and told["files"] == 0 and told["removed"] > 0
    mirror = opened(address, tmp_path / "after")
    assert seen(mirror) == (later, []) and verify(mirror).sound
    mirror.close()
    assert set(bucket_of(address).sizes()) == {*files_of(folder), heads.NAME, mirror.head.catalog}


def test_another_machine_brings_what_one_looked_at(folder, address, tmp_path):
    send(folder, address)
    place = Place(address, tmp_path / "here", attempts=2)
    here = place.opened()
    with here.look(EVERYTHING) as look:
        there = Place(address, tmp_path / "there", attempts=2)
        names = replace(look, files=[replace(one, path=one.path.relative_to(here.cache.files)) for one in look.files])
        with brought(there, names) as moved:
            assert [one.sha256 for one in moved.files] == [one.sha256 for one in look.files]
            assert all(one.path.is_relative_to(tmp_path / "there") and one.path.stat().st_size == one.size for one in moved.files)
        bucket_of(address).remove(str(names.files[0].path))
        with (
            pytest.raises(Fatal, match="is not there; give the same command again"),
            brought(Place(address, tmp_path / "third", attempts=2), names),
        ):
            pass
    here.close()
