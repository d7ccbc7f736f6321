"""Whose tables in PostgreSQL are whose, of which version, and how the server is reached."""

import sys

import psycopg
import pytest
import sqlalchemy as sa
from alerts_world import START, alert, messages

from tocsin.alerts import prepare
from tocsin.alerts.address import parsed
from tocsin.alerts.postgres import checked
from tocsin.alerts.store import AlertStore
from tocsin.alerts.tables import VERSION
from tocsin.kernel.fault import Fatal, Misconfigured


def test_tables_of_an_older_version_are_made_anew_and_nothing_else_is_touched(url, opened, caplog):
    opened(url).apply(messages(alert("a")))
    with psycopg.connect(url) as db:
        db.execute("CREATE TABLE tocsin_testville.notes (text text)")
        db.execute("CREATE TABLE public.alert (text text)")
        db.execute("ALTER TABLE tocsin_testville.alert ADD COLUMN colour text")
        db.execute(f"UPDATE tocsin_testville.position SET version = {VERSION - 1}, tables = 'older'")
    store = opened(url)
    assert store.position == 0
    assert "another version" in caplog.text
    store.apply(messages(alert("z")))
    with psycopg.connect(url) as db:
        db.execute("SELECT text FROM tocsin_testville.notes")
        db.execute("SELECT text FROM public.alert")


def test_tables_of_a_newer_version_are_left_alone(url, opened):
    first = opened(url)
    first.apply(messages(alert("a")))
    with psycopg.connect(url) as db:
        db.execute(f"UPDATE tocsin_testville.position SET version = {VERSION + 1}")
    with pytest.raises(Fatal, match=rf"tables of version {VERSION + 1}, this program knows them up to version {VERSION}"):
        AlertStore.open(url, "testville")
    with psycopg.connect(url) as db:
        assert db.execute("SELECT count(*) FROM tocsin_testville.alert").fetchone() == (1,)


def test_somebody_elses_table_is_left_alone(url, opened):
    with psycopg.connect(url) as db:
        db.execute("CREATE TABLE public.history (what text)")
    with pytest.raises(Fatal, match="a table 'history' that is not ours"):
        AlertStore.open(url + "&schema=public", "testville")
    assert opened(url + "&schema=mine").problem == ""
    assert opened(url).problem == ""


def test_tables_of_another_journal_are_refused(url, opened):
    first = opened(url)
    assert first.start(0, "2026-01-01") == 1
    first.apply(messages(alert("a"), alert("b")))
    assert opened(url).start(9, "2026-01-01") == 3
    with pytest.raises(Fatal, match=r"another journal, whose alerts began 2026-01-01; this node's began 2026-02-02.*schema=NAME"):
        opened(url).start(9, "2026-02-02")
    assert first.database.words.endswith("schema tocsin_testville")
    assert opened(url, "other-town").position == 0  # another city has tables of its own


def test_the_version_is_raised_with_the_tables():
    """Whoever changes a table raises VERSION in tables.py and writes the new fingerprints here."""
    assert VERSION == 2
    from sqlalchemy.dialects import postgresql, sqlite

    assert (prepare.fingerprint(sqlite.dialect()), prepare.fingerprint(postgresql.dialect())) == FINGERPRINTS


FINGERPRINTS = ("24b77e619e8cc19b", "90253f7a9ec45235")


# -- addresses, passwords, certificates


def test_a_password_from_a_passfile_and_certificates(postgres, url, opened, tmp_path):
    name = url.partition("///")[2].partition("?")[0]
    postgres.sql("DROP ROLE IF EXISTS guarded", "CREATE ROLE guarded LOGIN SUPERUSER PASSWORD 'hunter 2%&'")
    passfile = tmp_path / "pass"
    passfile.write_text("127.0.0.1:*:*:guarded:hunter 2%&\n")
    passfile.chmod(0o600)
    right = {"sslmode": "verify-full", "sslrootcert": str(postgres.folder / "server.crt")}
    store = opened(postgres.tcp(name, "guarded", passfile=str(passfile), **right))
    assert store.problem == ""
    with store.reading() as db:
        assert db.execute(sa.text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).scalar() is True
        assert db.execute(sa.text("SHOW timezone")).scalar() == "UTC"
    wrong = opened(postgres.tcp(name, "guarded:hunter3"))
    assert "password authentication failed" in wrong.problem
    assert "hunter" not in wrong.problem + wrong.database.words
    (tmp_path / "other.crt").write_bytes((postgres.folder / "server.crt").read_bytes().replace(b"M", b"N", 3))
    stranger = opened(postgres.tcp(name, "guarded", passfile=str(passfile), sslmode="verify-full", sslrootcert=str(tmp_path / "other.crt")))
    assert "certificate" in stranger.problem


def test_the_driver_is_asked_for_when_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(Misconfigured, match=r"pip install 'tocsin\[postgres\]'"):
        checked(parsed("postgresql://u@h/d", "--state", False))


def test_an_option_that_the_driver_does_not_know_is_named():
    with pytest.raises(Misconfigured, match="colour") as found:
        checked(parsed("postgresql://u:hunter2@h/d?colour=red", "TOCSIN_STATE", True))
    assert "hunter2" not in str(found.value)
    given = checked(parsed("postgresql://u@h/d?connect_timeout=2&options=-c%20work_mem%3D8MB", "--state", False))
    assert given["connect_timeout"] == "2"
    assert given["options"].endswith("-c work_mem=8MB")
    assert "statement_timeout" in given["options"]


def test_moments_are_whole_microseconds(url, opened):
    store = opened(url)
    late = 9_000_000_000_000_000
    store.apply(messages(alert("a", known_at=START + 1, at=late)))
    with psycopg.connect(url) as db:
        [(known, heard, body)] = db.execute(
            "SELECT known_at, r.heard, convert_from(r.body, 'UTF8')::jsonb ->> 'headline' FROM tocsin_testville.alert a "
            "JOIN tocsin_testville.revision r ON r.alert = a.id AND r.revision = a.revision"
        ).fetchall()
    assert (known, heard, body) == (START + 1, START + late, "a 1")
