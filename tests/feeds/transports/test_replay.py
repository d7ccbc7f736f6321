"""Recorded time played by the clock: when records are received, in which order, and what a restart does."""

import asyncio
import json
import time
from dataclasses import replace

import pytest
from house import START, make_spec, until

from tocsin.feeds import formats
from tocsin.feeds.catalog import Context, make_transport
from tocsin.feeds.contract import Receipt
from tocsin.feeds.dedup import Dedup
from tocsin.feeds.health import FeedHealth
from tocsin.feeds.pipeline import FeedSink
from tocsin.feeds.positions import Position
from tocsin.feeds.transports.replay import Played
from tocsin.feeds.turns import Turns
from tocsin.feeds.webhook_hub import Hub
from tocsin.kernel.clock import Clock, Monotone
from tocsin.kernel.fault import Misconfigured, Retriable
from tocsin.model.feed import Choice, FieldMap
from tocsin.model.time import HOUR, MINUTE, SECOND, to_iso

MAPPING = {"id": FieldMap(path="id"), "kind": FieldMap(constant="water.level"), "event_time": FieldMap(path="time")}


def record(id_: str, time_: int) -> bytes:
    return json.dumps({"id": id_, "time": to_iso(time_)}).encode()


def clock_from(start: int, speed: float) -> Clock:
    return Clock(speed, time.time_ns() // 1000, start)


class Ear:
    """A sink that notes what it heard and when, in city time."""

    def __init__(self, clock: Clock, refuse_first: int = 0) -> None:
        self.clock = clock
        self.heard_at: list[tuple[str, int, int]] = []
        self.messages = 0
        self.refuse_first = refuse_first

    async def deliver(self, message):
        await asyncio.sleep(0)
        if self.refuse_first:
            self.refuse_first -= 1
            raise Retriable("not now", 0.01)
        self.messages += 1
        for line in message.body.split(b"\n"):
            self.heard_at.append((json.loads(line)["id"], message.received, self.clock.now()))
        return Receipt(accepted=1)

    def heard(self):
        pass

    @property
    def ids(self) -> list[str]:
        return [id_ for id_, _, _ in self.heard_at]


@pytest.fixture
def replay(tmp_path):
    """(lines, clock) -> transport."""
    progress = []

    def make(lines: list[bytes], clock: Clock, shift: int = 0, **options):
        (tmp_path / "recorded.ndjson").write_bytes(b"\n".join(lines) + b"\n")
        spec = make_spec("calls", "replay", {"files": "recorded.ndjson", **options}, format=Choice("ndjson"), mapping=MAPPING, shift=shift)
        context = Context(clock, tmp_path / "var", tmp_path, Hub(), lambda _: None, lambda feed, part: progress.append((feed, part)))
        return make_transport(spec, context)

    make.progress = progress
    return make


async def test_records_are_received_when_the_city_reaches_their_time(replay):
    """An hour of calls in half a second; the order is that of event times, not of the file."""
    clock = clock_from(START, 7200)
    times = [START + n * 5 * MINUTE for n in (3, 1, 2, 9, 0, 11, 5)]
    ear = Ear(clock)
    await replay([record(str(n), t) for n, t in enumerate(times)], clock).run(ear)
    due = {str(n): t for n, t in enumerate(times)}
    assert ear.ids == sorted(due, key=due.get)
    assert all(received >= due[id_] for id_, received, _ in ear.heard_at)
    assert replay.progress[-1] == ("calls", 1.0)
    assert [part for _, part in replay.progress] == sorted(part for _, part in replay.progress)


async def test_nothing_is_received_before_its_time(replay):
    clock = clock_from(START, 1.0)
    ear = Ear(clock)
    playing = asyncio.create_task(replay([record("now", START - SECOND), record("in an hour", START + HOUR)], clock).run(ear))
    await until(lambda: ear.ids)
    await asyncio.sleep(0.1)
    playing.cancel()
    assert ear.ids == ["now"]


async def test_what_falls_due_together_is_one_message(replay):
    clock = clock_from(START, 1e6)
    ear = Ear(clock)
    await replay([record(str(n), START + n * SECOND) for n in range(5000)], clock).run(ear)
    assert ear.ids == [str(n) for n in range(5000)]
    assert ear.messages < 20


async def test_past_records_come_at_once_and_a_part_can_be_chosen(replay):
    clock = clock_from(START, 1.0)
    lines = [record(str(n), START - HOUR + n * MINUTE) for n in range(10)]
    ear = Ear(clock)
    await replay(lines, clock, **{"from": to_iso(START - HOUR + 2 * MINUTE), "to": to_iso(START - HOUR + 5 * MINUTE)}).run(ear)
    assert ear.ids == ["2", "3", "4"]


async def test_a_shift_moves_the_moment_and_the_chosen_part_stays_in_recorded_time(replay):
    clock = clock_from(START, 1.0)
    lines = [record("a", START - 50 * HOUR), record("b", START - 49 * HOUR), record("late", START - 40 * HOUR)]
    ear = Ear(clock)
    playing = asyncio.create_task(replay(lines, clock, shift=49 * HOUR, **{"from": to_iso(START - 50 * HOUR)}).run(ear))
    await until(lambda: len(ear.ids) == 2)
    await asyncio.sleep(0.05)
    playing.cancel()
    assert ear.ids == ["a", "b"]


async def test_a_house_that_is_busy_gets_everything_later_in_order(replay):
    clock = clock_from(START, 1e6)
    ear = Ear(clock, refuse_first=3)
    await replay([record(str(n), START + n * SECOND) for n in range(100)], clock).run(ear)
    assert ear.ids == [str(n) for n in range(100)]


async def test_a_restart_in_the_same_run_goes_on_and_a_new_run_starts_over(replay, monkeypatch):
    monkeypatch.setattr("tocsin.feeds.transports.replay.SAVE_EVERY", 0)
    clock = clock_from(START, 1.0)
    lines = [record("past", START - MINUTE), record("soon", START + SECOND // 2), record("later", START + HOUR)]
    first = Ear(clock)
    transport = replay(lines, clock)
    playing = asyncio.create_task(transport.run(first))
    await until(lambda: first.ids == ["past", "soon"])
    await until(lambda: (played := transport._position.load(Played)) and played.count == 2)
    playing.cancel()
    again = Ear(clock)
    playing = asyncio.create_task(replay(lines, clock).run(again))
    await asyncio.sleep(0.2)
    playing.cancel()
    assert again.ids == []
    new_run = Ear(clock_from(START + MINUTE, 1.0))
    playing = asyncio.create_task(replay(lines, new_run.clock).run(new_run))
    await until(lambda: new_run.ids == ["past", "soon"])
    playing.cancel()


async def test_it_goes_through_the_same_decoding_as_a_live_feed(replay, house):
    clock = clock_from(START, 1e6)
    transport = replay([record("a", START), b"{garbage", record("a", START), record("b", START + MINUTE)], clock)
    sink = FeedSink(transport._spec, formats.make_format(transport._spec), house.shared, Dedup(), FeedHealth(transport._spec, clock))
    await transport.run(sink)
    assert house.log.ids() == ["a", "b"]
    assert (sink.health.duplicates, sink.health.quarantined) == (1, 1)
    assert [(await house.quarantine.get(entry.id)).raw for entry in await house.quarantine.list()] == [b"{garbage"]


async def test_a_missing_file_is_named(replay):
    transport = replay([], Clock())
    transport._options["files"] = ("nothing.csv",)
    with pytest.raises(Misconfigured, match=r"calls: files: there is no file .*nothing\.csv"):
        await transport.run(Ear(Clock()))


async def test_an_empty_recording_ends_at_once(replay):
    await replay([], Clock()).run(Ear(Clock()))
    assert replay.progress[-1] == ("calls", 1.0)


async def test_recordings_that_are_behind_take_turns_and_time_stands_at_the_earliest(replay, tmp_path):
    """Two recordings from before the start, one read more slowly: everything is received at its own time, in one order."""
    clock, turns = clock_from(START, 60.0), Turns(["one", "two"])
    monotone = Monotone(clock, held=turns.held)
    taken: list[tuple[str, int, int]] = []

    class Taking:
        async def deliver(self, message):
            taken.extend((json.loads(line)["id"], message.received, monotone.now()) for line in message.body.split(b"\n"))
            await asyncio.sleep(0)
            return Receipt(accepted=1)

        def heard(self):
            pass

    playing = []
    for name, minutes in (("one", range(0, 300, 7)), ("two", range(1, 300, 11))):
        transport = replay([record(f"{name}-{m}", START - 5 * HOUR + m * MINUTE) for m in minutes], clock)
        transport._spec = replace(transport._spec, name=name)
        transport._position = Position(tmp_path, name)
        transport._context = replace(transport._context, turns=turns)
        playing.append(asyncio.create_task(transport.run(Taking())))
        assert turns.opening
        await asyncio.sleep(0.1)
    await asyncio.gather(*playing)
    due = {name: START - 5 * HOUR + int(name.split("-")[1]) * MINUTE for name, _, _ in taken}
    assert len(due) == len(taken) == 43 + 28
    assert all(due[name] <= received <= at <= due[name] + MINUTE for name, received, at in taken)
    assert [at for _, _, at in taken] == sorted(at for _, _, at in taken)
    assert turns.held(clock.now()) >= START and not turns.opening


async def test_a_recording_that_cannot_be_read_does_not_hold_up_the_others(replay):
    turns = Turns(["calls", "other"])
    transport = replay([], Clock())
    transport._options["files"], transport._context = ("nothing.csv",), replace(transport._context, turns=turns)
    waiting = asyncio.create_task(turns.mine("other", 5))
    with pytest.raises(Misconfigured):
        await transport.run(Ear(Clock()))
    await waiting
    assert turns.held(7) == 5
