"""A feed changes what it says of itself between two days: an attribute is of another type, another appears, one goes. Both days are answered, also when
their files are joined."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archive_world import DAY, START, batch, event, keeper, plain, rows

from tocsin.archive import columns
from tocsin.archive.compact import compact
from tocsin.archive.importing import Importer
from tocsin.archive.verify import verify
from tocsin.cli import main
from tocsin.correlate.past.typed import parsed, typed

SEATTLE = Path(__file__).parents[2] / "examples" / "seattle"
BEFORE = {"level": "string", "crew": "string"}
AFTER = {"level": "number", "open": "boolean"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two days and two declarations; the second also with a unit, and one commit that has both."""
    kept = keeper(tmp_path / "var" / "archive")
    old = [event(n, time=START + n, attrs={"level": str(n), "crew": "A"}, lon=0.0, lat=0.0) for n in range(5)]
    new = [
        event(n, time=START + DAY + n, value=1.0, unit="m", attrs={"level": n / 2, "open": n % 2 == 0}, lon=0.0, lat=0.0)
        for n in range(5, 10)
    ]
    kept.append([(1, batch(old, BEFORE))], 1)
    kept.flush()
    kept.append([(3, batch(new, AFTER))], 3)
    kept.flush()
    kept.append(
        [
            (5, batch([new[0] | {"id": "both1", "attrs": {"level": "7"}}], BEFORE)),
            (6, batch([new[0] | {"id": "both2", "attrs": {"level": 7.5}}], AFTER)),
        ],
        6,
    )
    kept.close()
    return tmp_path / "var"


def asked(folder: Path, capsys: pytest.CaptureFixture[str], sql: str) -> list[dict]:
    assert main(["query", str(SEATTLE), sql, "--data", str(folder), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["items"]


@pytest.mark.parametrize("join", [False, True])
def test_both_days_are_answered(folder: Path, join: bool, capsys: pytest.CaptureFixture[str]) -> None:
    if join:
        kept = keeper(folder / "archive")
        kept.flush()
        compact(kept.catalog, START + 400 * DAY)
        assert verify(kept.catalog).sound
        assert len(kept.catalog.files("gone IS NULL AND tier = 'month'")) == 1
        kept.close()
    found = {row["id"]: json.loads(row["attrs"]) for row in plain(rows(folder / "archive"))}
    assert (
        found["air3"] == {"level": "3", "crew": "A"} and found["air7"] == {"level": 3.5, "open": False} and found["both1"] == {"level": "7"}
    )
    sql = "SELECT id, CAST(attrs->>'level' AS DOUBLE) AS level FROM events WHERE CAST(attrs->>'level' AS DOUBLE) >= 3.5 ORDER BY id"
    assert {row["id"]: row["level"] for row in asked(folder, capsys, sql)} == {
        "air4": 4.0, "air7": 3.5, "air8": 4.0, "air9": 4.5, "both1": 7.0, "both2": 7.5,
    }  # fmt: skip
    capsys.readouterr()
    assert main(["search", str(SEATTLE), "--feed", "air", "--data", str(folder), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["items"]) == 12


def test_import_files_that_differ(tmp_path: Path) -> None:
    """The same column as a whole number, as a decimal and as text; attributes as a struct of other types and as JSON."""
    importer = Importer(tmp_path / "archive", {})
    values = [pa.array([1, 2]), pa.array([1.5, 2.5]), pa.array(["3", "4.25"])]
    attrs = [pa.array([{"a": 1}, {"a": 2}]), pa.array([{"a": "x", "b": True}, None]), pa.array(['{"a":1.5}', None])]
    for number, (value, said) in enumerate(zip(values, attrs, strict=True)):
        source = tmp_path / f"{number}.parquet"
        ids, times = [f"{number}-{row}" for row in range(2)], pa.array([START, START + DAY], pa.timestamp("us"))
        pq.write_table(pa.table({"id": ids, "kind": ["k"] * 2, "event_time": times, "value": value, "attrs": said}), source)
        taken = importer.begin("levels", source)
        for part in columns.tables(source):
            table, refused = columns.rows(part, "levels", START, ())
            assert not refused
            importer.add(taken, table)
        importer.finish(taken)
    compact(importer.catalog, START + 400 * DAY)
    importer.close()
    found = plain(rows(tmp_path / "archive"))
    assert [row["value"] for row in found] == [1.0, 2.0, 1.5, 2.5, 3.0, 4.25]
    assert [row["attrs"] for row in found] == ['{"a":1}', '{"a":2}', '{"a":"x","b":true}', None, '{"a":1.5}', None]


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("number", "12.5", 12.5), ("number", "12,5", None), ("number", True, None), ("number", "", None), ("number", 3, 3.0), ("number", "1e400", None),
        ("integer", "12", 12), ("integer", 12.0, 12), ("integer", 12.5, None), ("integer", "99999999999999999999", None), ("integer", "x", None),
        ("string", 12, "12"), ("string", True, "true"), ("boolean", "True", True), ("boolean", 1, None), ("boolean", "maybe", None),
        ("time", "2026-01-01T00:00:00Z", START), ("time", "yesterday", None), ("time", 5, 5), ("time", True, None), ("string", None, None),
    ],
)  # fmt: skip
def test_a_rule_of_today_reads_what_was_declared_otherwise_then(kind: str, value: object, read: object) -> None:
    assert typed(value, kind) == read
    column = parsed(pa.array([json.dumps({"level": value}), None]), {"air": {"level": kind}})
    assert column.field("level").cast(pa.int64() if kind == "time" else column.field("level").type).to_pylist() == [read, None]
