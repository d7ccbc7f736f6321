"""Following real files: growth, partial lines, rotation, truncation, restart, lines of 100 MB."""

import asyncio
import json
import os

import pytest
from house import START, Lines, line, make_spec, message, until
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.feeds.catalog import Context, make_transport
from tocsin.feeds.limits import MAX_MESSAGE
from tocsin.feeds.positions import Position
from tocsin.feeds.tailing import CHUNK, Place, Tail
from tocsin.feeds.webhook_hub import Hub
from tocsin.kernel.clock import Clock
from tocsin.kernel.fault import Misconfigured
from tocsin.model.feed import Choice


def all_of(tail: Tail) -> bytes:
    """Everything there is now, each piece taken."""
    found = []
    while (piece := tail.next_piece()) is not None:
        assert not piece.size
        tail.took(piece)
        found.append(piece.body)
    return b"".join(found)


def tail_of(path, place=None, **options) -> Tail:
    return Tail(path, place, options.pop("longest", 1 << 20), **options)


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "panel.log"
    path.write_bytes(b"one\ntwo\n")
    return path


def append(path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)


def test_lines_are_read_once_and_an_unended_one_waits(log):
    tail = tail_of(log)
    assert all_of(tail) == b"one\ntwo\n"
    append(log, b"thr")
    assert all_of(tail) == b""
    append(log, b"ee\nfour\nfi")
    assert all_of(tail) == b"three\nfour\n"


def test_a_piece_that_was_not_taken_comes_again(log):
    tail = tail_of(log)
    assert tail.next_piece().body == tail.next_piece().body == b"one\ntwo\n"


def test_a_file_that_does_not_exist_yet(tmp_path):
    tail = tail_of(tmp_path / "later.log")
    assert tail.next_piece() is None
    append(tmp_path / "later.log", b"here\n")
    assert all_of(tail) == b"here\n"


def test_rotation_reads_the_old_file_to_its_end_first(log):
    tail = tail_of(log)
    assert all_of(tail) == b"one\ntwo\n"
    append(log, b"three\n")
    log.rename(log.with_name("panel.log.1"))
    append(log.with_name("panel.log.1"), b"written late\nunended")
    append(log, b"new\n")
    assert all_of(tail) == b"three\nwritten late\nunendednew\n"
    assert all_of(tail) == b""
    append(log, b"more\n")
    assert all_of(tail) == b"more\n"


def test_an_old_file_may_grow_until_the_new_one_is_written_to(log):
    tail = tail_of(log)
    all_of(tail)
    log.rename(log.with_name("panel.log.1"))
    log.touch()
    assert all_of(tail) == b""
    append(log.with_name("panel.log.1"), b"late\n")
    assert all_of(tail) == b"late\n"


@pytest.mark.parametrize("text", [b"new\n", b"new file that is much longer than the old one\nand more\n"])
def test_truncation_starts_over(log, text):
    """Copy-truncate; also when the file has already grown past the old place."""
    tail = tail_of(log)
    all_of(tail)
    with log.open("r+b") as file:
        file.truncate(0)
        file.write(text)
    assert all_of(tail) == text


def test_a_restart_goes_on_at_its_place(log):
    tail = tail_of(log)
    all_of(tail)
    append(log, b"while away\n")
    again = tail_of(log, tail.place)
    assert all_of(again) == b"while away\n"


def test_a_restart_finds_files_rotated_meanwhile(log):
    tail = tail_of(log)
    all_of(tail)
    append(log, b"three\n")
    oldest = log.with_name("panel.log.2")
    log.rename(oldest)
    middle = log.with_name("panel.log.1")
    append(middle, b"four\n")
    append(log, b"five\n")
    for age, path in ((30, oldest), (20, middle), (10, log)):
        os.utime(path, (START / 1e6 - age, START / 1e6 - age))
    log.with_name("panel.log.gz").write_bytes(b"packed\n")
    assert all_of(tail_of(log, tail.place)) == b"three\nfour\nfive\n"


def test_a_restart_does_not_trust_an_inode_alone(log):
    tail = tail_of(log)
    all_of(tail)
    log.write_bytes(b"another file in the same inode\n")
    assert all_of(tail_of(log, tail.place)) == b"another file in the same inode\n"


def test_the_header_stands_in_front_of_every_piece_and_of_the_new_file(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"id,value\n")
    tail = tail_of(path, with_header=True)
    assert all_of(tail) == b""
    append(path, b"a,1\n")
    assert all_of(tail) == b"id,value\na,1\n"
    append(path, b"b,2\n")
    again = tail_of(path, tail.place, with_header=True)
    assert all_of(again) == b"id,value\nb,2\n"
    path.rename(tmp_path / "rows.csv.1")
    path.write_bytes(b"value,id\n3,c\n")
    assert all_of(again) == b"value,id\n3,c\n"


def test_quoted_line_breaks_are_not_cut_at_the_end_of_a_chunk(tmp_path):
    path = tmp_path / "rows.csv"
    row = b'a,"first\nsecond\n' + b"x" * 1000 + b'\nthird"\n'
    path.write_bytes(row * 1000)
    tail = tail_of(path, quoted=True)
    while (piece := tail.next_piece()) is not None:
        assert piece.body.count(row) * len(row) == len(piece.body)
        tail.took(piece)


def test_a_line_of_100_mb_is_refused_and_the_next_line_is_read(tmp_path):
    path = tmp_path / "long.log"
    with path.open("wb") as file:
        file.write(b"before\n")
        for _ in range(100):
            file.write(b"x" * (1 << 20))
    tail = tail_of(path)
    assert all_of(tail) == b"before\n"
    append(path, b"end\nafter\n")
    piece = tail.next_piece()
    assert piece.size == (100 << 20) + 4
    assert len(piece.body) < 1 << 17
    tail.took(piece)
    assert all_of(tail) == b"after\n"


def test_from_the_end_skips_what_is_there(log):
    tail = tail_of(log)
    tail.skip_to_end()
    append(log, b"three\n")
    assert all_of(tail) == b"three\n"


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["append", "rotate", "restart", "read"]), st.binary(max_size=40)), max_size=30))
def test_whatever_happens_every_line_is_read_once_in_order(tmp_path_factory, steps):
    """Rotation, growth and restarts in any order, against the list of everything that was written."""
    folder = tmp_path_factory.mktemp("tail")
    path, written, got, rotated = folder / "f.log", b"", b"", 0
    path.touch()
    tail = tail_of(path)
    for step, text in steps:
        if step == "append":
            row = text.replace(b"\n", b" ") + b"%d\n" % len(written)
            append(path, row)
            written += row
        elif step == "rotate" and path.stat().st_size:
            got += all_of(tail)  # a file that was never opened before two rotations is found only by a restart
            rotated += 1
            path.rename(folder / f"f.log.{rotated}")
            path.touch()
        elif step == "restart":
            place = tail.place
            tail.close()
            tail = tail_of(path, place)
        else:
            got += all_of(tail)
    got += all_of(tail)
    tail.close()
    assert got == written


# --- the transport ----------------------------------------------------------------------------------------------------


@pytest.fixture
def tailing(house, tmp_path):
    def make(name="calls.ndjson", decoder=None, format_="ndjson", **options):
        spec = make_spec("calls", "file_tail", {"path": name, "poll": "100 ms", **options}, format=Choice(format_))
        context = Context(Clock(), house.folder, tmp_path, Hub(), lambda _: None)
        transport = make_transport(spec, context)
        transport._options["poll"] = 5_000  # microseconds
        return transport, house.sink(spec, decoder or Lines())

    return make


async def test_records_arrive_as_the_file_grows_and_rotates(tailing, house, tmp_path):
    path = tmp_path / "calls.ndjson"
    path.write_bytes(line("a") + b"\n" + line("b")[:10])
    transport, sink = tailing()
    running = asyncio.create_task(transport.run(sink))
    await until(lambda: house.log.ids() == ["a"])
    append(path, line("b")[10:] + b"\ngarbage\n" + line("c") + b"\n")
    await until(lambda: house.log.ids() == ["a", "b", "c"])
    path.rename(tmp_path / "calls.ndjson.1")
    path.write_bytes(line("d") + b"\n")
    await until(lambda: house.log.ids() == ["a", "b", "c", "d"])
    running.cancel()
    assert sink.health.quarantined == 1


async def test_the_place_is_written_only_after_the_records_are_durable(tailing, house, tmp_path):
    (tmp_path / "calls.ndjson").write_bytes(line("a") + b"\n")
    transport, sink = tailing()
    house.log.hold = asyncio.Event()
    running = asyncio.create_task(transport.run(sink))
    await until(lambda: house.log.appending)
    place = house.folder / "positions" / "calls.json"
    assert not place.exists()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    house.log.hold.set()
    again, sink = tailing()
    running = asyncio.create_task(again.run(sink))
    await until(place.exists)
    running.cancel()
    assert json.loads(place.read_bytes())["offset"] == len(line("a")) + 1
    third, sink = tailing()
    running = asyncio.create_task(third.run(sink))
    append(tmp_path / "calls.ndjson", line("b") + b"\n")
    await until(lambda: sink.health.received)
    assert house.log.ids()[-1] == "b"
    running.cancel()
    assert sink.health.received == 1


async def test_a_line_of_100_mb_does_not_stop_the_feed_or_its_neighbour(tailing, house, tmp_path):
    with (tmp_path / "calls.ndjson").open("wb") as file:
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b"\n" + line("after") + b"\n")
    transport, sink = tailing()
    neighbour = house.sink(make_spec("neighbour"))
    running = asyncio.create_task(transport.run(sink))
    while "after" not in house.log.ids("calls"):
        await neighbour.deliver(message(line(str(neighbour.health.accepted))))
    running.cancel()
    (entry,) = await house.quarantine.list()
    assert (entry.size, entry.whole) == ((100 << 20) + 1, False)
    assert neighbour.health.accepted == len(house.log.ids("neighbour"))


async def test_from_end_counts_only_at_the_very_first_start(tailing, house, tmp_path):
    path = tmp_path / "calls.ndjson"
    path.write_bytes(line("old") + b"\n")
    transport, sink = tailing(from_end=True)
    running = asyncio.create_task(transport.run(sink))
    await until((house.folder / "positions" / "calls.json").exists)
    running.cancel()
    append(path, line("while away") + b"\n")
    again, sink = tailing(from_end=True)
    running = asyncio.create_task(again.run(sink))
    await until(lambda: house.log.ids() == ["while away"])
    running.cancel()


def test_formats_without_lines_are_refused(tailing):
    with pytest.raises(Misconfigured, match="file_tail reads lines"):
        tailing(format_="cap")


def test_a_damaged_position_starts_over(tmp_path):
    position = Position(tmp_path, "calls")
    assert position.load(Place) is None
    position.save(Place(1, 2, "x"))
    assert position.load(Place) == Place(1, 2, "x")
    position.path.write_bytes(b"{half")
    assert position.load(Place) is None


def test_a_chunk_is_smaller_than_what_one_message_may_be():
    assert CHUNK < MAX_MESSAGE
