"""SQL of analysts: what it may see, what it may not reach, what it may not use up, and what it would read."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from query_world import MONDAY, SmallArchive, row

from tocsin.model.archive import ROW, Box, Want
from tocsin.model.asking import Patience, Refused, Statement, Stopped, TooMuch, TooSlow
from tocsin.model.time import DAY, HOUR, MINUTE
from tocsin.query.rows import Limits
from tocsin.query.sandbox import child
from tocsin.query.sandbox.run import Cage, run, view_sql, want_of

CAGE = Cage(memory=192 << 20, threads=2, bytes=1 << 20)


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> SmallArchive:
    made = SmallArchive(tmp_path_factory.mktemp("archive"))
    made.add([row(n, event_time=MONDAY + n * MINUTE, value=n / 2, kind=("call.fire", "smoke.pm")[n % 2]) for n in range(60)])
    made.add([row(60 + n, event_time=MONDAY + DAY + n * MINUTE, feed="air", kind="smoke.pm", source="s") for n in range(60)])
    made.keep([row(200, event_time=MONDAY + 2 * DAY, text="newest")])
    return made


def ask(archive, sql, *, limits=None, patience=None, cage=CAGE, **how):
    return run(archive, Statement(sql, **{"seconds": 20.0, **how}), patience or Patience(), limits or Limits(), cage)


def test_the_views_are_the_files_and_the_tail(archive):
    assert ask(archive, "SELECT count(*) AS n, max(text) AS t FROM events").table.to_pylist() == [{"n": 121, "t": "newest"}]
    rows = ask(archive, "SELECT sum(h.rows)::BIGINT AS h, (SELECT sum(rows)::BIGINT FROM daily) AS d FROM hourly h").table.to_pylist()
    assert rows == [{"h": 121, "d": 121}]
    assert ask(archive, "SELECT epoch_us(event_time) AS t, kind, id FROM events ORDER BY seq LIMIT 1").table.to_pylist() == [
        {"t": MONDAY, "kind": "call.fire", "id": "r0"}
    ]


@pytest.mark.parametrize(
    ("sql", "files"),
    [
        ("SELECT count(*) FROM events", 2),
        ("SELECT count(*) FROM events WHERE event_time >= '2026-01-06'", 1),
        ("SELECT count(*) FROM events e WHERE e.event_time < TIMESTAMP '2026-01-05 12:00:00' AND value > 3", 1),
        ("SELECT count(*) FROM Events WHERE '2026-01-05 12:00Z' > Event_Time", 1),
        ("SELECT count(*) FROM events WHERE event_time BETWEEN '2026-01-06' AND '2026-01-07'", 1),
        ("SELECT count(*) FROM events WHERE feed IN ('air', 'river')", 1),
        ("SELECT count(*) FROM events WHERE feed = 'air' AND kind LIKE 'smoke.%'", 1),
        ("SELECT count(*) FROM events WHERE event_time > now() - INTERVAL 100 YEARS", 2),
        ("SELECT count(*) FROM events WHERE event_time > TIMESTAMPTZ '2026-01-09 00:00:00Z' - INTERVAL 3 DAYS", 1),
        ("SELECT count(*) FROM events WHERE lon BETWEEN 10 AND 11 AND lat BETWEEN 10 AND 11", 0),
        ("SELECT count(*) FROM hourly WHERE start >= '2026-01-06 00:30:00'", 1),
        ("WITH e AS (SELECT * FROM events WHERE event_time >= '2026-01-06') SELECT count(*) FROM e", 1),
        # what must not be narrowed down
        ("SELECT count(*) FROM events WHERE event_time >= '2026-01-06' OR value > 3", 2),
        ("SELECT count(*) FROM events a JOIN events b ON a.seq = b.seq WHERE a.event_time >= '2026-01-06'", 2),
        ("SELECT (SELECT count(*) FROM events) FROM events WHERE event_time >= '2026-01-06' LIMIT 1", 2),
        ("WITH events AS (SELECT * FROM events) SELECT count(*) FROM events WHERE event_time >= '2026-01-06'", 2),
        ("SELECT count(*) FROM query('SELECT * FROM events'), (SELECT 1 FROM events WHERE event_time >= '2026-01-08')", 6),
        ("SELECT count(*) FROM events AS e(event_time) WHERE event_time >= 5", 2),
        ("SELECT count(*) FROM events WHERE NOT (event_time >= '2026-01-06')", 2),
        ("SELECT count(*) FROM events WHERE event_time >= '2026-01-06' AND random() < 2 UNION ALL SELECT count(*) FROM events", 2),
    ],
)
def test_its_own_conditions_say_which_files_it_needs_and_never_too_few(archive, sql, files):
    answer = ask(archive, sql)
    assert answer.plan.files == files
    everything = SmallArchive(archive.folder, files=archive.files, rollups=archive.rollups, tail=archive.tail, rows=archive.rows)
    everything._look = lambda want, files, tail, plain=everything._look: plain(Want(), files, tail)
    if files == 1:
        assert answer.table.equals(ask(everything, sql).table)


def test_bounds_become_what_the_catalogue_prunes_by():
    slack = 5 * MINUTE
    found = want_of("hourly", {"start": (MONDAY + HOUR + 1, MONDAY + 2 * HOUR), "kind": ["call"]})
    assert (
        found.start <= MONDAY + HOUR - slack
        and found.start % HOUR == 0
        and found.stop >= MONDAY + 2 * HOUR + slack
        and found.stop % HOUR == 0
    )
    assert found.kinds == ("call",)
    assert want_of("events", {"lon": (1.0, 2.0), "lat": (None, 3.0)}).box is None
    assert want_of("events", {"lon": (1.0, 2.0), "lat": (2.0, 3.0)}).box == Box(1.0, 2.0, 2.0, 3.0)


def test_a_statement_that_would_read_too_much_says_so_before_it_reads(archive):
    with pytest.raises(TooMuch, match=r"2 files with 121 rows .* nothing in it bounds events; add to its own WHERE") as found:
        ask(archive, "SELECT * FROM events", limits=Limits(rows=100))
    assert found.value.plan.whole and found.value.plan.rows == 121
    assert len(ask(archive, "SELECT * FROM events", limits=Limits(rows=100), confirmed=True).table) == 121
    assert len(ask(archive, "SELECT * FROM events WHERE event_time >= '2026-01-06'", limits=Limits(rows=100)).table) == 61


ATTACKS = (
    "COPY (SELECT 1) TO '{folder}/out.csv'",
    "COPY (SELECT 1 AS a) TO '{file}'",
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM '{secret}'",
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_text('/proc/self/environ')",
    "SELECT * FROM read_blob('{folder}/../secret/secret.csv')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM read_parquet('{other}')",
    "SELECT * FROM parquet_metadata('{other}')",
    "SELECT * FROM sniff_csv('{secret}')",
    "SELECT * FROM read_json('http://127.0.0.1:9/x')",
    "SELECT * FROM read_parquet('https://localhost/x.parquet')",
    "ATTACH '{folder}/x.db'",
    "ATTACH '{folder}/x.db' AS y; SELECT 1",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '{folder}/evil.duckdb_extension'",
    "SELECT * FROM sqlite_scan('{folder}/x.db', 't')",
    "SELECT * FROM read_duckdb('{folder}/x.db')",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "RESET lock_configuration",
    "PRAGMA enable_profiling",
    "PRAGMA database_list",
    "CALL enable_logging()",
    "SELECT * FROM enable_logging()",
    "SELECT * FROM duckdb_secrets()",
    "CREATE TABLE t (a INTEGER)",
    "CREATE SECRET s (TYPE s3)",
    "DROP VIEW events",
    "INSERT INTO events SELECT * FROM events",
    "DELETE FROM events",
    "EXPORT DATABASE '{folder}/e'",
    "IMPORT DATABASE '{folder}'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{folder}/z.csv'",
    "PREPARE x AS SELECT 1",
    "CHECKPOINT",
    "SELECT 1; SELECT 2",
    "",
    "   -- nothing",
    "SELECT getenv('HOME')",
    "SELECT nope FROM events",
)


def hashes(*folders: Path) -> dict[Path, str]:
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for folder in folders for path in folder.iterdir()}


@pytest.fixture
def bait(tmp_path) -> Path:
    (tmp_path / "secret.csv").write_text("word\nhunter2\n")
    return tmp_path


def aimed(sql: str, archive: SmallArchive, bait: Path) -> str:
    return sql.format(folder=bait, file=archive.files[0].path, secret=bait / "secret.csv", other=bait / "secret.csv")


def attempt(database: duckdb.DuckDBPyConnection, sql: str) -> None:
    child.needs(sql)
    database.sql(sql).to_arrow_table()


def test_the_engine_alone_reaches_nothing_outside_the_archive(archive, bait):
    """Without the lock of the kernel, and without a process of its own."""
    before = hashes(archive.folder, bait)
    look = archive._look(Want(), archive.files, pa.table({}))
    view = {"paths": [str(one.path) for one in look.files], "sql": view_sql("events", look)}
    database = child.opened({"threads": 1, "memory": 128 << 20}, {"events": view}, {"events": ROW.empty_table()})
    assert database.sql("SELECT count(*) FROM events").fetchall() == [(120,)]
    for sql in ATTACKS:
        said = aimed(sql, archive, bait)
        with pytest.raises((child.Refusal, duckdb.Error)) as found:
            attempt(database, said)
        assert "hunter2" not in str(found.value) and len(str(found.value)) > 10
    assert hashes(archive.folder, bait) == before


@pytest.mark.parametrize("sql", [ATTACKS[n] for n in (0, 1, 2, 4, 6, 11, 14, 19)])
def test_nothing_outside_the_archive_is_reached_and_nothing_is_changed(archive, bait, sql):
    before = hashes(archive.folder, bait)
    with pytest.raises(Refused) as found:
        ask(archive, aimed(sql, archive, bait))
    assert "hunter2" not in str(found.value) and len(str(found.value)) > 10
    assert hashes(archive.folder, bait) == before


def test_the_kernel_holds_what_the_engine_should_refuse(tmp_path):
    """The lock without the engine: one file may be read, nothing else opened, written or connected to."""
    import subprocess
    import sys

    allowed, secret = tmp_path / "allowed", tmp_path / "secret"
    allowed.write_text("yes")
    secret.write_text("no")
    code = f"""
import socket, sys
from tocsin.query.sandbox.confine import confine
assert confine([{str(allowed)!r}])
print(open({str(allowed)!r}).read())
for what in (lambda: open({str(secret)!r}), lambda: open({str(allowed)!r}, "w"), lambda: open({str(tmp_path / "new")!r}, "w"),
             lambda: socket.create_connection(("127.0.0.1", 9))):
    try:
        what()
        print("went through")
    except PermissionError:
        print("held")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True)
    assert done.stdout.split() == ["yes", "held", "held", "held", "held"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT repeat('x', 2000000000) AS a",
        "SELECT list(range(100000000)) AS a",
        "WITH RECURSIVE r AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM r) SELECT max(a) FROM r",
    ],
)
def test_bombs_end_by_their_limits_and_leave_nothing_running(archive, sql):
    with pytest.raises(TooSlow, match=r"memory|longer than 1\.5 s"):
        ask(archive, sql, seconds=1.5)
    assert not [thread for thread in threading.enumerate() if thread.name == "sandbox"]


def test_deep_nesting_is_refused_not_a_crash(archive):
    with pytest.raises((Refused, TooSlow)):
        ask(archive, f"SELECT {'(' * 5000}1{')' * 5000}")


def test_rows_and_bytes_are_capped(archive):
    answer = ask(archive, "SELECT i FROM range(1000000000) t(i)", limit=3)
    assert answer.cut and answer.table["i"].to_pylist() == [0, 1, 2] and "only the first 3 rows" in answer.notes[-1]
    wide = ask(archive, "SELECT repeat('x', 1000) AS a FROM range(1000000)", limit=1_000_000)
    assert wide.cut and wide.table.nbytes < 30 << 20
    assert not ask(archive, "SELECT i FROM range(3) t(i)", limit=3).cut


def test_whoever_goes_away_takes_the_sandbox_along(archive):
    patience = Patience()
    threading.Timer(0.7, patience.given_up.set).start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        ask(archive, "SELECT count(*) FROM range(1000000000000) r WHERE hash(r.range) = 1", patience=patience, seconds=60.0)
    assert time.monotonic() - began < 30


def test_types_come_through_as_arrow(archive):
    answer = ask(
        archive, "SELECT [1, 2] AS list, {'a': 1} AS struct, NULL AS nothing, 1.5::DECIMAL(4, 2) AS exact, current_date IS NULL AS no"
    )
    assert isinstance(answer.table, pa.Table) and answer.table.to_pylist()[0]["list"] == [1, 2]
