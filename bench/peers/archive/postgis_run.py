"""PostGIS on one day: a table with a geography, GiST on it, btrees on time, on source, on kind; a server of its own in a folder, `fsync` off."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.peers.archive import sql
from bench.peers.archive.driver import Job, main

TABLE = (
    "CREATE UNLOGGED TABLE events (n bigint, event_time timestamptz, ingest_time timestamptz, feed text, kind text, source text, id text,"
    " lon float8, lat float8, value float8, severity smallint, action smallint, attrs text, text text, cell bigint)"
)
INDEXES = (
    "ALTER TABLE events ADD COLUMN place geography(Point)",
    "UPDATE events SET place = ST_SetSRID(ST_MakePoint(lon, lat), 4326)::geography",
    "CREATE INDEX ON events USING gist (place)",
    "CREATE INDEX ON events (event_time)",
    "CREATE INDEX ON events (source, event_time)",
    "CREATE INDEX ON events (kind text_pattern_ops)",
    "VACUUM ANALYZE events",
)


def missing() -> str | None:
    """None when there is a server with PostGIS, else the reason in words."""
    if not servers():
        return "needs PostgreSQL: sh scripts/need.sh test"
    folder = servers()[-1].parents[1]
    control = Path(f"/usr/share/postgresql/{folder.name}/extension/postgis.control")
    return (
        None if control.exists() else f"needs PostGIS: as root, apt-get install --no-install-recommends postgresql-{folder.name}-postgis-3"
    )


def servers() -> list[Path]:
    return sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))


class Engine:
    alone = False

    def __init__(self, job: Job) -> None:
        self._server = Server(Path(job["folder"]) / "postgis")
        try:
            self._fill(job)
        except BaseException:
            self._server.close()
            raise

    def _fill(self, job: Job) -> None:
        self._db = psycopg.connect(self._server.url, autocommit=True)
        self._db.execute("CREATE EXTENSION postgis")
        began = time.perf_counter()
        count = self._load(Path(job["file"]), *job["span"])
        for statement in INDEXES:
            self._db.execute(statement)
        took = time.perf_counter() - began
        self.version = self._db.execute(
            "SELECT 'PostGIS ' || postgis_lib_version() || ' on PostgreSQL ' || current_setting('server_version')"
        ).fetchone()[0]
        size = self._db.execute("SELECT pg_total_relation_size('events')").fetchone()[0]
        self.note = (
            f"one day, {count:,} rows loaded and indexed in {took:.0f} s ({count / took:,.0f} rows/s wall), {size / count:.0f} B/row"
        )
        self._dialect = sql.Dialect("(timestamptz 'epoch' + {us} * interval '1 microsecond')", "(extract(epoch FROM event_time) * 1000000)::bigint", "{a} / {b}", "cell >> 4", "events")  # fmt: skip
        self._db.execute("SET max_parallel_workers_per_gather = 1")

    def _load(self, file: Path, start: int, stop: int) -> int:
        self._db.execute(TABLE)
        count = 0
        span = [pa.scalar(one, pa.timestamp("us", tz="UTC")) for one in (start, stop)]
        with self._db.cursor() as cursor, cursor.copy(f"COPY events ({sql.COLUMNS}) FROM STDIN (FORMAT csv)") as copy:
            found = pq.ParquetFile(file)
            for group in range(found.metadata.num_row_groups):
                table = found.read_row_group(group, columns=sql.COLUMNS.split(", "), use_threads=False)
                time_ = table.column("event_time")
                table = table.filter(pc.and_(pc.greater_equal(time_, span[0]), pc.less(time_, span[1]))).select(sql.COLUMNS.split(", "))
                if len(table):
                    copy.write(_csv(table))
                    count += len(table)
        return count

    def ask(self, how: str, q: dict[str, Any]) -> list[int]:
        if how == "around":
            here = f"ST_SetSRID(ST_MakePoint({q['lon']!r}, {q['lat']!r}), 4326)::geography"
            begin, end = (self._dialect.instant.format(us=q["at"] + one) for one in (-sql.HALF, sql.HALF + 1))
            where = f"ST_DWithin(place, {here}, {sql.METRES}, false) AND event_time >= {begin} AND event_time < {end}"
            found = self._db.execute(f"SELECT {sql.COLUMNS} FROM events WHERE {where}").fetchall()
            return [len(found), sum(row[0] for row in found)]
        if how == "calls":
            return self._rows(f"{sql.rows(self._dialect, how, q)} AND {_envelope(q['box'])}")
        if how in sql.ROWS:
            return self._rows(sql.rows(self._dialect, how, q))
        statement = sql.groups(self._dialect, how, q)
        if how == "by_hour":
            statement = statement.replace(" GROUP BY", f" AND {_envelope(q['box'])} GROUP BY")
        return sql.answer_of_groups([row[2] for row in self._db.execute(statement).fetchall()])

    def _rows(self, statement: str) -> list[int]:
        found = self._db.execute(statement).fetchall()
        return [len(found), sum(row[0] for row in found)]

    def close(self) -> None:
        self._db.close()
        self._server.close()


def _envelope(box: list[float]) -> str:
    """So that the index on the place is of use; a bit wider than the box, which is asked for as well."""
    west, south, east, north = box
    return f"place && ST_MakeEnvelope({west - 0.001}, {south - 0.001}, {east + 0.001}, {north + 0.001}, 4326)::geography"


def _csv(table: pa.Table) -> bytes:
    from pyarrow import csv

    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink, csv.WriteOptions(include_header=False, quoting_style="needed"))
    found: bytes = sink.getvalue().to_pybytes()
    return found


class Server:
    """A cluster of an unprivileged user, on a socket in its folder alone."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        owner = pwd.getpwnam("postgres") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        self._who: dict[str, Any] = {"user": owner.pw_name, "group": owner.pw_gid, "extra_groups": []} if os.getuid() == 0 else {}
        if self._who:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            for above in folder.parents:
                if above.stat().st_uid == 0 and above.stat().st_mode & 0o011 == 0:
                    above.chmod(above.stat().st_mode | 0o011)
        binaries = servers()[-1].parent
        subprocess.run([binaries / "initdb", "-D", folder / "data", "-U", "owner", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"], check=True, capture_output=True, cwd=folder, **self._who)  # fmt: skip
        settings = "listen_addresses = ''\nshared_buffers = 1GB\nwork_mem = 256MB\nmaintenance_work_mem = 512MB\nfsync = off\nautovacuum = off\nmax_wal_size = 8GB\n"
        with (folder / "data" / "postgresql.conf").open("a") as file:
            file.write(f"{settings}unix_socket_directories = '{folder}'\n")
        self.folder, self.url = folder, f"host={folder} user=owner dbname=postgres"
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen([binaries / "postgres", "-D", folder / "data"], stdout=log, stderr=log, cwd=folder, **self._who)
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url).close()
                return
            except psycopg.OperationalError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit((self.folder / "log").read_text()[-2000:]) from None
                time.sleep(0.1)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)


def run() -> None:
    made: list[Engine] = []

    def make(job: Job) -> Engine:
        made.append(Engine(job))
        return made[0]

    try:
        main(make)
    finally:
        for engine in made:
            engine.close()


if __name__ == "__main__":
    run()
