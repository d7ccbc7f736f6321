"""The quarantine keeps what could not be decoded, within its bounds, and nothing personal in clear."""

import sqlite3
import stat
from contextlib import suppress

import pytest
from house import START, House, line, make_spec, message

from tocsin.feeds.contract import Message, Reject
from tocsin.feeds.quarantine import KEEP, KEEP_PERSONAL, Quarantine, Rejected
from tocsin.feeds.sealing import Seal
from tocsin.kernel.fault import Fatal, Retriable
from tocsin.model.time import DAY, HOUR

PHONE = "555-867-5309"
PERSONAL = {"personal": ("phone",)}


class Wall:
    """The wall clock of a test, microseconds."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


def rejected(*raws: bytes, feed: str = "levels", personal: bool = False, keep: int = KEEP) -> Rejected:
    return Rejected(feed, personal, keep, START, tuple(Reject(n, raw, "why", f"line {n}") for n, raw in enumerate(raws)))


def open_at(folder, **bounds) -> Quarantine:
    return Quarantine(folder / "quarantine.db", Seal.from_file(folder / "quarantine.key"), **bounds)


@pytest.fixture
def opened(tmp_path):
    made = []

    def opening(**bounds):
        made.append(open_at(tmp_path, **bounds))
        return made[-1]

    yield opening
    for quarantine in made:
        quarantine.close()


async def test_records_are_listed_newest_first_and_survive_a_restart(opened, tmp_path):
    wall = Wall()
    first = opened(wall=wall)
    await first.put(rejected(b"one"))
    wall.now += HOUR
    await first.put(rejected(b"two", feed="other"))
    again = open_at(tmp_path, wall=wall)
    assert [(entry.feed, entry.reason, entry.raw) for entry in await again.list()] == [("other", "why", None), ("levels", "why", None)]
    (entry,) = await again.list("levels")
    full = await again.get(entry.id)
    assert (full.raw, full.where, full.size, full.state, full.received, full.whole) == (b"one", "line 0", 3, "waiting", START, True)
    assert await again.counts() == {"levels": 1, "other": 1}
    assert await again.get("nothing") is None
    again.close()


async def test_the_same_record_rejected_again_is_one_row_that_counts(opened):
    quarantine = opened()
    for _ in range(3):
        await quarantine.put(rejected(b"same", b"same"))
    (entry,) = await quarantine.list()
    assert entry.seen == 6


async def test_each_feed_pushes_out_only_its_own_oldest(opened):
    wall = Wall()
    quarantine = opened(wall=wall, per_feed=20_000, rows_per_feed=40)
    await quarantine.put(rejected(b"quiet", feed="quiet"))
    for n in range(100):
        wall.now += 1
        await quarantine.put(rejected(b"%d" % n + b"x" * 100, feed="noisy"))
    for n in range(40):
        wall.now += 1
        await quarantine.put(rejected(b"%d" % n + b"x" * 2000, feed="bulky"))
    assert len(await quarantine.list("quiet")) == 1
    noisy = await quarantine.list("noisy", 1000)
    assert 35 <= len(noisy) <= 44
    assert (await quarantine.get(noisy[0].id)).raw.startswith(b"99")
    bulky = await quarantine.list("bulky", 1000)
    assert 5 <= len(bulky) <= 11
    assert quarantine.dropped == {"noisy": 100 - len(noisy), "bulky": 40 - len(bulky)}


async def test_the_total_is_bounded_at_the_cost_of_the_largest_feed(opened):
    quarantine = opened(per_feed=40_000, total=60_000)
    await quarantine.put(rejected(b"s" * 5_000, feed="small"))
    for feed in ("one", "two"):
        for n in range(30):
            await quarantine.put(rejected(b"%d" % n + b"x" * 1_200, feed=feed))
    assert len(await quarantine.list("small")) == 1
    assert len(await quarantine.list(None, 1000)) < 61
    assert sum(entry.size for entry in await quarantine.list(None, 1000)) <= 65_000


async def test_a_message_of_garbage_lines_keeps_the_last_of_them(opened):
    quarantine = opened(rows_per_feed=1200)
    await quarantine.put(rejected(*(b"%d" % n for n in range(5000))))
    kept = await quarantine.list(None, 10_000)
    assert len(kept) == 1200
    assert quarantine.dropped == {"levels": 3800}


async def test_expired_records_are_gone_from_every_file(opened, tmp_path):
    wall = Wall()
    quarantine = opened(wall=wall)
    await quarantine.put(rejected(b"SECRET-OF-A-DAY", keep=DAY))
    await quarantine.put(rejected(b"another"))
    assert any(b"SECRET-OF-A-DAY" in path.read_bytes() for path in tmp_path.iterdir())
    wall.now += DAY
    assert [entry.size for entry in await quarantine.list()] == [7]
    assert await quarantine.purge() == 1
    assert not [path for path in tmp_path.iterdir() if b"SECRET-OF-A-DAY" in path.read_bytes()]
    assert len(await quarantine.list()) == 1
    wall.now += KEEP
    assert await quarantine.purge() == 1
    assert await quarantine.purge() == 0


async def test_personal_fields_never_stand_in_a_file_under_the_data_directory(tmp_path):
    house = House(tmp_path)
    sink = house.sink(make_spec(**PERSONAL))
    body = b'{"id": "a", "phone": "%s"' % PHONE.encode()
    await sink.deliver(message(line("fine"), body))
    await sink.deliver(Message(b"unreadable " + PHONE.encode(), START))
    await sink.deliver(Message(b"boom\n" + PHONE.encode(), START))
    await sink.refuse(Message(PHONE.encode() * 3, START), f"too long: {PHONE}", 10**8)
    entries = await house.quarantine.list()
    assert len(entries) == 4
    assert all(entry.personal and entry.expires - house.quarantine._wall() <= KEEP_PERSONAL for entry in entries)
    assert body in [(await house.quarantine.get(entry.id)).raw for entry in entries]
    assert not any(PHONE in entry.reason for entry in entries if "decoder broke" in entry.reason)
    assert PHONE not in (sink.health.error or "")
    await house.quarantine.done(entries[0].id)
    await house.quarantine.amend(entries[1].id, f"still {PHONE}", "line 1")
    house.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 2
    assert not [path.name for path in files if PHONE.encode() in path.read_bytes()]


async def test_key_and_database_are_private_and_a_lost_key_is_said(opened, tmp_path):
    quarantine = opened()
    await quarantine.put(rejected(b"sealed", personal=True))
    for name in ("quarantine.key", "quarantine.db"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    (tmp_path / "quarantine.key").unlink()
    other = open_at(tmp_path)
    (entry,) = await other.list()
    assert "key" in entry.reason
    assert not entry.whole
    other.close()


def test_a_key_file_that_holds_no_key_stops_the_start(tmp_path):
    (tmp_path / "quarantine.key").write_bytes(b"short")
    with pytest.raises(Fatal, match="holds 5 bytes, a key has 32"):
        open_at(tmp_path)


async def test_a_sealed_record_cannot_be_passed_off_as_another(tmp_path):
    seal = Seal.from_file(tmp_path / "key")
    sealed = seal.close(b"text", "record one")
    assert seal.open(sealed, "record one") == b"text"
    assert seal.open(sealed, "record two") is None
    assert seal.open(sealed[:-1], "record one") is None
    assert seal.open(b"", "record one") is None


async def test_a_full_quarantine_is_not_acknowledged(tmp_path):
    """The bounds of SQLite itself stand for a full disk: the same error, without needing root."""
    house = House(tmp_path)
    sink = house.sink()
    db = house.quarantine._db
    house.quarantine._thread.submit(db.execute, "PRAGMA max_page_count = 1").result()
    with pytest.raises(Retriable, match="quarantine"):
        await sink.deliver(message(line("good"), b"garbage " * 5000))
    assert house.log.ids() == ["good"]
    house.quarantine._thread.submit(db.execute, "PRAGMA max_page_count = 100000").result()
    receipt = await sink.deliver(message(line("good"), b"garbage " * 5000))
    assert (receipt.accepted, receipt.duplicates, receipt.rejected) == (0, 1, 1)
    house.close()


@pytest.mark.root
async def test_a_full_disk_is_not_acknowledged_and_its_end_is_noticed(tmp_path, small_disk):
    house = House(small_disk)
    sink = house.sink()
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    with pytest.raises(Retriable, match="quarantine"):
        await sink.deliver(message(b"garbage " * 5000))
    ballast.unlink()
    assert (await sink.deliver(message(b"garbage " * 5000))).rejected == 1
    assert [entry.size for entry in await house.quarantine.list()] == [40_000]
    house.close()


async def test_a_broken_database_is_kept_aside_and_feeds_go_on(tmp_path):
    (tmp_path / "quarantine.db").write_bytes(b"this is not a database at all" * 500)
    quarantine = open_at(tmp_path)
    await quarantine.put(rejected(b"new"))
    assert len(await quarantine.list()) == 1
    assert [path.read_bytes()[:4] for path in tmp_path.glob("quarantine.broken-*")] == [b"this"]
    quarantine.close()


async def test_another_process_may_read_while_records_arrive(opened, tmp_path):
    writer, reader = opened(), opened()
    for n in range(20):
        await writer.put(rejected(b"%d" % n))
        assert len(await reader.list()) == n + 1


def test_the_file_itself_is_bounded(opened):
    quarantine = opened(total=1 << 20)
    pages = quarantine._thread.submit(lambda: quarantine._db.execute("PRAGMA max_page_count").fetchone()[0]).result()
    assert pages * 4096 <= 3 << 20
    assert isinstance(quarantine._db, sqlite3.Connection)
