"""Whatever happens on the way - duplicates, restarts, kills, any cutting into batches - the view is what a fresh reading gives."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from alerts_world import RULES, START, Wanted, alert, message, move, read_plainly
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.alerts.changes import Changes
from tocsin.alerts.store import AlertStore
from tocsin.alerts.tables import metadata
from tocsin.alerts.unwritten import Unwritten
from tocsin.alerts.view import AlertsView
from tocsin.model.alert import TRANSITIONS

NAMES = st.sampled_from("abc")
TIMES = st.integers(0, 30)
ALERTS = st.builds(
    alert,
    NAMES,
    st.integers(1, 5),
    st.sampled_from(("raised", "amended", "retracted")),
    TIMES,
    closed=st.sampled_from((None, None, START)),
)
MOVES = st.builds(
    move,
    NAMES,
    st.sampled_from(sorted(TRANSITIONS)),
    TIMES,
    st.sampled_from(("ann", "bob")),
    owner=st.sampled_from((None, None, "cid")),
)
STREAMS = st.lists(ALERTS | MOVES, max_size=25).map(lambda whats: [message(seq, what) for seq, what in enumerate(whats, 1)])


def rows(store):
    with store.engine.connect() as db:
        return {table.name: sorted(map(repr, db.execute(table.select()))) for table in metadata.sorted_tables}


def new(url="sqlite://"):
    return AlertStore.open(url, "testville")


@settings(max_examples=40, deadline=None)
@given(STREAMS, st.data())
def test_any_cutting_duplicates_and_forgetting_give_the_same_rows(backend, stream, data):
    straight = backend.new()
    straight.apply(stream)
    cut = backend.new()
    position = 0
    while position < len(stream):
        back = data.draw(st.integers(0, position), label="delivered again from")
        ahead = data.draw(st.integers(position + 1, len(stream)), label="up to")
        cut.apply(stream[back:ahead])
        position = ahead
        if data.draw(st.booleans(), label="forget") and data.draw(st.booleans(), label="really"):
            cut.forget()
            position = 0
    assert rows(cut) == rows(straight)
    straight.close()
    cut.close()


@settings(max_examples=40, deadline=None)
@given(STREAMS, st.data())
def test_shown_first_and_written_later_gives_the_same_rows(backend, stream, data):
    straight, late = backend.new(), backend.new()
    straight.apply(stream)
    view, position = AlertsView(late, RULES), 0
    while position < len(stream):
        ahead = data.draw(st.integers(position + 1, len(stream)), label="up to")
        assert late.take(stream[position:ahead]) == ahead
        position = ahead
        step = data.draw(st.sampled_from(("wait", "wait", "write", "fail", "read")), label="then")
        if step == "write":
            late.write()
            assert late.unwritten == 0
        elif step == "fail":  # the disk is full for once
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Unwritten, "write", no_room)
                with pytest.raises(OSError, match="full"):
                    late.write()
        elif step == "read":
            shown = {item["id"]: (item["state"], item["owner"], item["revision"]) for item in view.find(Wanted(), 100, None)[0]}
            assert shown == {name: (one.state, one.owner, one.alert["revision"]) for name, one in read_plainly(stream[:position]).items()}
    late.write()
    assert rows(late) == rows(straight)
    straight.close()
    late.close()


def no_room(*_):
    raise OSError("the disk is full")


@settings(max_examples=40, deadline=None)
@given(STREAMS, st.data())
def test_changes_from_memory_are_those_of_the_tables(backend, stream, data):
    store = backend.new()
    view, position = AlertsView(store, RULES), 0
    store.changes = Changes(0, most=data.draw(st.integers(1, 5), label="kept"))
    while position < len(stream):
        ahead = data.draw(st.integers(position + 1, len(stream)), label="up to")
        store.apply(stream[position:ahead])
        position = ahead
    kept, store.changes = store.changes, Changes(store.position)
    assert kept.after(store.position, 10) == []
    for since in range(len(stream) + 1):
        limit = data.draw(st.integers(1, 4), label="limit")
        plain, store.changes = view.changes(since, limit), kept
        if since < store.position:
            assert view.changes(since, limit) == plain
        store.changes = Changes(store.position)
    store.close()


@settings(max_examples=40, deadline=None)
@given(STREAMS, st.lists(TIMES, max_size=4))
def test_the_view_says_what_a_plain_reading_says_now_and_then(backend, stream, moments):
    store = backend.new()
    store.apply(stream)
    view = AlertsView(store, RULES)
    for at in (None, *(START + moment for moment in moments)):
        plain = read_plainly(stream, at)
        shown = {item["id"]: item for item in view.find(Wanted(at=at), 100, None)[0]}
        assert {name: (item["state"], item["owner"], item["revision"]) for name, item in shown.items()} == {
            name: (one.state, one.owner, one.alert["revision"]) for name, one in plain.items()
        }
    now = read_plainly(stream)
    for name, one in now.items():
        assert [(step["from"], step["to"], step["by"]) for step in view.get(name)["history"]] == one.history
    assert [(seq, item["id"]) for seq, item in view.changes(0, 100)] == sorted((one.changed, name) for name, one in now.items())
    store.close()


WORK = """
import sys, time
sys.path[:0] = [{tests!r}]
from test_alerts_rebuild import long_stream, new
store, stream = new(sys.argv[1]), long_stream()
print("ready", flush=True)
while store.position < len(stream):
    store.apply(stream[store.position : store.position + 7])
    time.sleep(0.001)
print("done", flush=True)
"""


def long_stream(count=1500):
    rng = random.Random(3)
    made = []
    for seq in range(1, count + 1):
        name = f"n{rng.randrange(40)}"
        if rng.random() < 0.5:
            made.append(message(seq, alert(name, rng.randrange(1, 9), rng.choice(("raised", "amended", "retracted")), seq)))
        else:
            made.append(message(seq, move(name, rng.choice(sorted(TRANSITIONS)), seq)))
    return made


@pytest.mark.crash
def test_kill_9_while_applying_leaves_a_whole_view(backend, tmp_path):
    place = backend.place(tmp_path)
    stream, rng, kills = long_stream(), random.Random(1), 0
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (os.getcwd(), os.environ.get("PYTHONPATH"))))}
    while True:
        command = [sys.executable, "-c", WORK.format(tests=os.path.dirname(__file__)), place]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as worker:
            assert worker.stdout.readline() == "ready\n"
            if kills == 3:
                assert worker.stdout.readline() == "done\n"
                break
            time.sleep(rng.uniform(0.02, 0.25))
            worker.send_signal(signal.SIGKILL)
            kills += 1
        survivor, fresh = new(place), backend.new()
        fresh.apply(stream[: survivor.position])
        assert rows(survivor) == rows(fresh)
        survivor.close()
        fresh.close()
    final, fresh = new(place), backend.new()
    fresh.apply(stream)
    assert rows(final) == rows(fresh)
    final.close()
    fresh.close()
