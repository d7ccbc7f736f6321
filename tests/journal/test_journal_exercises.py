"""Exercises in the journal: in one order with everything real, and invisible to whoever does not ask for them."""

from dataclasses import replace

import pytest
from journal_world import batch, entries, ids, world
from test_journal_alerts import ALERT, MOVE

from tocsin.journal import fetch, publish_alert, publish_transition, read_alerts
from tocsin.journal.encode import entry_headers
from tocsin.journal.exercises import all_runs, append_begin, append_end, append_events, fetch_unmarked, marked, newest_run, run_entries
from tocsin.journal.reader import skim, tail
from tocsin.model.exercise import Detection, Scenario, marked_id, plain_id, run_of

SCENARIO = Scenario("flood", "Flood", "practice", (), (Detection("high water", "high-water", 30_000_000, radius=500.0),), 60_000_000)
DRILL = replace(ALERT, id=marked_id("ab12", ALERT.id), exercise=True)


@pytest.fixture
async def made(tmp_path):
    """Real, begin, exercise, real, end, real."""
    async with world(tmp_path) as (_, journal, writer):
        await writer.append("gauges", batch(2), 0)
        run = await append_begin(journal, SCENARIO, 1_000_000, "ann")
        await append_events(journal, run, 0, "seattle", marked(batch(3, 100)), 2_000_000)
        await writer.append("gauges", batch(2, 10), 0)
        await append_end(journal, run, 9_000_000, "over")
        await writer.append("gauges", batch(1, 20), 0)
        yield journal, run


async def test_it_is_left_out_unless_asked_for(made):
    journal, _ = made
    plain = await entries(journal)
    assert [entry.seq for entry in plain] == [1, 2, 3, 4, 5, 6], "every number of the order is told"
    assert [ids(entry) if entry.batch else [] for entry in plain] == [["e0", "e1"], [], [], ["e10", "e11"], [], ["e20"]]
    assert all((entry.ingest, entry.count, entry.content) == (0, 0, b"") for entry in plain if entry.batch is None)
    assert [entry.count async for entry in skim(journal, 1, 6, [b"water"], None)] == [2, 0, 0, 2, 0, 1]
    assert [entry.count async for entry in tail(journal, count=6)] == [2, 0, 0, 2, 0, 1]
    asked = await entries(journal, exercise=True)
    assert [entry.count for entry in asked] == [2, 0, 3, 2, 0, 1]
    assert set(asked[2].batch.column("feed").to_pylist()) == {"exercise.gauges"}
    assert asked[2].subject == "exercise.ev.seattle.gauges"


async def test_its_engine_reads_only_it_and_the_clock(made):
    journal, run = made
    found = [entry async for entry in run_entries(journal, run)]
    assert [(entry.seq, entry.count) for entry in found] == [(2, 0), (3, 3), (4, 0), (5, 0)], "it ends with the exercise"
    assert set(found[1].batch.column("feed").to_pylist()) == {"gauges"}
    assert [entry.ingest for entry in found][:2] == [1_000_000, 2_000_000]
    assert found[2].ingest > 2_000_000
    again = await fetch_unmarked(journal, 3)
    assert again.batch.equals(found[1].batch)
    assert (await fetch_unmarked(journal, 1)).batch is None, "nothing real comes through that door"
    assert (await fetch(journal, 3)).batch.column("feed").to_pylist() == ["exercise.gauges"] * 3


async def test_runs_are_known_from_the_journal(made):
    journal, run = made
    newest = await newest_run(journal)
    assert newest == replace(run, end=5, ended=9_000_000, why="over")
    second = await append_begin(journal, replace(SCENARIO, name="fire"), 20_000_000, "bob")
    assert await all_runs(journal) == [newest, second]
    assert (await newest_run(journal)).end == 0


async def test_the_same_injection_is_taken_once(made):
    journal, run = made
    await append_events(journal, run, 0, "seattle", marked(batch(3, 100)), 3_000_000)
    assert len(await entries(journal)) == 6


async def test_its_alerts_are_left_out_unless_asked_for(tmp_path):
    async with world(tmp_path) as (_, journal, _writer):
        await publish_alert(journal, ALERT)
        await publish_alert(journal, DRILL)
        await publish_transition(journal, MOVE)
        await publish_transition(journal, replace(MOVE, alert=DRILL.id))
        told = [(seq, subject) async for seq, subject, _ in read_alerts(journal, 1, follow=False)]
        assert told == [(1, "alert.second_smoke"), (3, f"transition.{ALERT.id}")]
        asked = [subject async for _, subject, _ in read_alerts(journal, 1, follow=False, exercise=True)]
        assert asked[1::2] == ["exercise.alert.second_smoke", f"exercise.transition.{DRILL.id}"]


def test_ids_say_which_run():
    assert (run_of(DRILL.id), run_of(ALERT.id), run_of(""), marked_id("ab12", "")) == ("ab12", "", "", "")
    assert plain_id(DRILL.id) == ALERT.id


async def test_what_cannot_be_read_is_no_run(made):
    journal, run = made
    headers = entry_headers(b"{}", 1, 0, 0, "broken")
    await journal.append("exercise.begin", b"{}", headers)
    assert await newest_run(journal) is None
    assert [one.id for one in await all_runs(journal)] == [run.id]
    await journal.append("exercise.end", b"{}", entry_headers(b"{}", 2, 0, 0, "broken end"))
    again = await append_begin(journal, SCENARIO, 3, "ann")
    await journal.append("exercise.end", b"no json", entry_headers(b"no json", 4, 0, 0, "another"))
    assert [(one.id, one.ended) for one in await all_runs(journal)][-1] == (again.id, 4)
