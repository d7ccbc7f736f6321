"""The alerts view in PostgreSQL: a real server that is killed, cut off, full, read-only, shared by several, of another version - same rows in the end."""

import contextlib
import random
import socket
import subprocess
import sys
import threading
import time

import psycopg
import pytest
import sqlalchemy as sa
from alerts_world import RULES, Wanted, alert, message, messages, move, read_plainly
from hypothesis import given, settings
from hypothesis import strategies as st
from test_alerts_rebuild import STREAMS, long_stream, rows

from tocsin.alerts.address import parsed
from tocsin.alerts.database import Away, Busy
from tocsin.alerts.postgres import postgres as postgres_database
from tocsin.alerts.store import AlertStore, Rewound
from tocsin.alerts.tables import POSITION, metadata
from tocsin.alerts.view import AlertsView
from tocsin.kernel.fault import Retriable


def truth(stream):
    """The rows that SQLite has of the stream."""
    store = AlertStore.open("sqlite://")
    store.apply(stream)
    return content(store)


def content(store):
    return {name: found for name, found in rows(store).items() if name != POSITION.name}


def patiently(work, *arguments):
    end = time.monotonic() + 120
    while True:
        try:
            return work(*arguments)
        except Retriable:
            assert time.monotonic() < end, "never"
            time.sleep(0.02)


def follow(store, stream, batch=7):
    """As serve does: again after every fault, from the start of what is missing when the tables have gone back."""
    while store.position < len(stream) or store.unwritten:
        turn, position = store.turn, store.position
        try:
            patiently(store.take, stream[position : position + batch], turn)
        except Rewound:
            continue
        try:
            store.write()
        except Retriable:
            time.sleep(0.01)


# -- the server goes and comes


@pytest.mark.crash
def test_a_server_killed_in_mid_stream_loses_and_doubles_nothing(postgres, url, opened):
    stream, draw, store = long_stream(900), random.Random(5), opened(url)
    done = threading.Event()

    def killing():
        for _ in range(3):
            time.sleep(draw.uniform(0.05, 0.4))
            postgres.kill()
            postgres.start()
        done.set()

    killer = threading.Thread(target=killing)
    killer.start()
    position = 0
    while not done.is_set() or position < len(stream):
        position = min(position + 5, len(stream))
        while store.position < position:
            follow(store, stream[:position])
        time.sleep(0.005)
    killer.join()
    patiently(store.write)
    assert store.faults > 0
    assert store.problem == ""
    assert content(store) == content(opened(url)) == truth(stream)


@pytest.mark.crash
def test_what_is_told_while_the_server_is_away_is_shown_and_written_later(postgres, url, opened):
    store = opened(url)
    view = AlertsView(store, RULES)
    store.apply(messages(alert("a")))
    assert view.counts() == {"open": 1}
    postgres.kill()
    try:
        store.take([message(2, alert("b")), message(3, alert("a", 2, "amended", 1)), message(4, move("b", "acknowledged", 2))])
        with pytest.raises(Away, match="refused"):
            store.write()
        assert [(seq, item["id"], item["state"]) for seq, item in view.changes(1, 10)] == [(3, "a", "open"), (4, "b", "acknowledged")]
        assert view.counts() == {"open": 1}  # as counted last
        for _ in range(3):
            with pytest.raises(Away, match="refused"):
                view.find(Wanted(), 10, None)
        assert (store.faults, store.unwritten) == (1, 4)
        assert "refused" in store.problem
    finally:
        postgres.start()
    patiently(store.write)
    assert (store.problem, store.unwritten) == ("", 0)
    assert view.counts() == {"open": 1, "acknowledged": 1}
    assert [item["id"] for item in view.find(Wanted(), 10, None)[0]] == ["b", "a"]


@pytest.mark.crash
def test_a_server_that_is_away_at_the_start_is_taken_up_when_it_comes(postgres, url, opened):
    before = opened(url)
    before.apply(messages(alert("a"), alert("b")))
    postgres.kill()
    try:
        store = opened(url)
        assert "refused" in store.problem
        assert store.position == 0
        with pytest.raises(Away):
            store.start(2)
    finally:
        postgres.start()
    patiently(store.write)
    assert store.start(2) == 3
    assert [item["id"] for _, item in AlertsView(store, RULES).changes(0, 10)] == ["a", "b"]


class Cutting:
    """Between the store and the server: cuts a connection after some bytes, now and then just after the server has heard `COMMIT`."""

    def __init__(self, port, seed):
        self.port, self.draw, self.cuts = port, random.Random(seed), 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.own = self.listener.getsockname()[1]
        self.whole = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.port))
            budget = [10**9 if self.whole else self.draw.randrange(9_000, 25_000)]
            for one, other, loses in ((near, far, False), (far, near, True)):
                threading.Thread(target=self._pump, args=(one, other, budget, loses), daemon=True).start()

    def _pump(self, one, other, budget, loses):
        try:
            while data := one.recv(65536):
                budget[0] -= len(data)
                if budget[0] < 0 and loses:  # the server has done it, and nobody hears of it
                    self.cuts += 1
                    break
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()


def test_connections_cut_anywhere_lose_and_double_nothing(postgres, url, opened):
    """Also between a commit and its answer: whether it took place is read from the position."""
    name = url.partition("///")[2].partition("?")[0]
    cutting = Cutting(postgres.port, 11)
    postgres.sql("DROP ROLE IF EXISTS open", "CREATE ROLE open LOGIN SUPERUSER")
    store = opened(postgres.tcp(name, "open", cutting.own, sslmode="disable"))
    stream = long_stream(500)
    follow(store, stream)
    cutting.whole = True
    patiently(store.write)
    assert cutting.cuts >= 3
    assert content(opened(url)) == truth(stream)
    cutting.close()


def test_sessions_ended_by_the_server_are_not_noticed_by_readers(postgres, url, opened):
    store = opened(url)
    view = AlertsView(store, RULES)
    for seq in range(1, 6):
        store.apply([message(seq, alert(f"n{seq}"))])
        postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tocsin serve'")
        assert view.counts() == {"open": seq}
    assert store.faults == 0


# -- the database cannot be written


def test_a_database_that_is_read_only_for_a_while(postgres, url, opened):
    name = url.partition("///")[2].partition("?")[0]
    store = opened(url)
    store.apply(messages(alert("a")))
    away = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tocsin serve'"
    postgres.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on", away)
    store.take([message(2, alert("b"))])
    with pytest.raises(Away, match="read-only transaction"):
        store.write()
    assert "read-only" in store.problem
    postgres.sql(f"ALTER DATABASE {name} RESET default_transaction_read_only", away)
    patiently(store.write)
    assert content(opened(url)) == truth(messages(alert("a"), alert("b")))


@pytest.mark.root
def test_a_full_disk_of_the_server(postgres, opened, tmp_path):
    disk = postgres.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tocsin-test", disk], check=True)
    try:
        postgres._own(disk)
        postgres.sql("DROP TABLESPACE IF EXISTS small", f"CREATE TABLESPACE small LOCATION '{disk}'")
        store = opened(postgres.database("filled", "TABLESPACE small"))
        draw, stream = random.Random(2), []
        while not store.problem:
            place = draw.randbytes(20_000).hex()  # cannot be compressed by half
            stream.append(message(len(stream) + 1, alert(f"n{len(stream)}", place=place)))
            store.take(stream[-1:])
            with contextlib.suppress(Away):
                store.write()
        assert "No space left" in store.problem
        assert store.position == len(stream)
        assert store.unwritten > 0
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        patiently(store.write)
        assert content(store) == truth(stream)
    finally:
        postgres.sql("DROP DATABASE IF EXISTS filled WITH (FORCE)", "DROP TABLESPACE IF EXISTS small")
        subprocess.run(["umount", "-l", disk], check=True)


def test_somebody_elses_lock_is_waited_for_only_so_long(url, opened):
    store = opened(url + "&options=-c%20lock_timeout%3D200ms")
    store.apply(messages(alert("a")))
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE tocsin_testville.position IN EXCLUSIVE MODE")
        store.take([message(2, alert("b"))])
        with pytest.raises(Busy, match="lock timeout"):
            store.write()
    patiently(store.write)
    assert store.position == 2
    assert opened(url).position == 2


def test_a_question_that_takes_too_long_ends_and_nothing_else_does(url, opened):
    store = opened(url + "&options=-c%20statement_timeout%3D500ms")
    with pytest.raises(Busy, match="statement timeout"), store.reading() as db:
        db.execute(sa.text("SELECT pg_sleep(60)"))
    assert store.problem == ""
    with store.reading() as db:
        assert db.execute(sa.text("SHOW transaction_read_only")).scalar() == "on"
        assert db.execute(sa.text("SHOW transaction_isolation")).scalar() == "repeatable read"


# -- several follow one stream into one database


STEPS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(("take", "take", "take", "write", "read", "new")), st.integers(1, 6)), max_size=30
)


@settings(max_examples=30, deadline=None)
@given(STREAMS, STEPS)
def test_two_that_write_one_database_in_any_order_give_the_rows_of_one(shared, stream, steps):
    AlertStore(shared).forget()  # before the two begin: the tables held another stream, the one of the example before
    both = [AlertStore(shared), AlertStore(shared)]
    for which, what, count in [*steps, *((which, "take", len(stream)) for which in (0, 1)), (0, "write", 0), (1, "write", 0)]:
        store = both[which]
        if what == "take":
            try:
                store.take(stream[store.position : store.position + count], store.turn)
            except Rewound:
                assert store.position == 0
        elif what == "write":
            store.write()
        elif what == "new":
            both[which] = AlertStore(shared)
        else:
            view = AlertsView(store, RULES)
            shown = {item["id"]: (item["state"], item["owner"], item["revision"]) for item in view.find(Wanted(), 100, None)[0]}
            with store.engine.connect() as db:
                there = db.execute(sa.select(POSITION.c.seq)).scalar()
            assert there >= store.position
            assert shown == {name: (one.state, one.owner, one.alert["revision"]) for name, one in read_plainly(stream[:there]).items()}
    for store in both:
        follow(store, stream)
    assert content(both[0]) == content(both[1]) == truth(stream)


@pytest.fixture(scope="module")
def shared(postgres):
    database = postgres_database(parsed(postgres.database("shared"), "here", True), "testville")
    yield database
    database.close()


def test_two_at_the_same_time(url, opened):
    stream, stores = long_stream(600), [opened(url), opened(url)]

    def work(store, seed):
        draw = random.Random(seed)
        while store.position < len(stream) or store.unwritten:
            follow(store, stream[: store.position + draw.randrange(1, 20)], batch=3)

    threads = [threading.Thread(target=work, args=(store, seed)) for seed, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.faults for store in stores] == [0, 0]
    assert content(opened(url)) == truth(stream)
    for store in stores:
        shown = [item["id"] for _, item in AlertsView(store, RULES).changes(0, 1000)]
        assert shown == [name for _, name in sorted((one.changed, name) for name, one in read_plainly(stream).items())]


def test_two_start_at_once_on_an_empty_database(url):
    code = "import sys; from tocsin.alerts.store import AlertStore; s = AlertStore.open(sys.argv[1], 'testville'); print(repr(s.problem))"
    workers = [subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [worker.communicate(timeout=120)[0] for worker in workers] == ["''\n"] * 3


def test_a_restored_backup_is_noticed_and_the_stream_read_again(postgres, url, opened):
    stream, store = long_stream(60), opened(url)
    store.apply(stream[:30])
    name = url.partition("///")[2].partition("?")[0]
    tables = {table.name: postgres.sql(f"SELECT * FROM tocsin_testville.{table.name}", database=name) for table in metadata.sorted_tables}
    store.apply(stream[30:50])
    with psycopg.connect(url) as db:  # what a restore of an older backup comes to
        for table in metadata.sorted_tables:
            db.execute(f"DELETE FROM tocsin_testville.{table.name}")
            marks = ", ".join(["%s"] * len(table.columns))
            db.cursor().executemany(f"INSERT INTO tocsin_testville.{table.name} VALUES ({marks})", tables[table.name])
    store.take(stream[50:60], 0)
    store.write()
    assert (store.turn, store.position) == (1, 30)
    with pytest.raises(Rewound):
        store.take(stream[50:60], 0)
    follow(store, stream)
    assert content(store) == truth(stream)


def test_tables_that_are_dropped_come_again(url, opened):
    stream, store = long_stream(40), opened(url)
    store.apply(stream[:30])
    with psycopg.connect(url) as db:
        db.execute("DROP SCHEMA tocsin_testville CASCADE")
    store.take(stream[30:], store.turn)
    with pytest.raises(Away, match="does not exist"):
        store.write()
    patiently(store.write)
    assert store.position == 0
    follow(store, stream)
    assert content(store) == truth(stream)


def test_tables_that_contradict_the_stream_are_made_anew(url, opened, caplog):
    stream, store = long_stream(40), opened(url)
    store.apply(stream[:30])
    with psycopg.connect(url) as db:  # somebody's own idea of what happened
        db.execute("INSERT INTO tocsin_testville.revision SELECT 'x', g, 1, g, 0, '' FROM generate_series(31, 40) g")
    store.take(stream[30:], store.turn)
    with pytest.raises(Away, match="duplicate key"):
        store.write()
    assert "contradict the alerts stream" in caplog.text
    assert (store.turn, store.position) == (1, 0)
    follow(store, stream)
    assert content(store) == truth(stream)
