"""The pictures of bench.plot: well-formed, every engine named once, names apart, rows without right answers left out."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import plot, report

SVG = "{http://www.w3.org/2000/svg}"


def row(job: str, engine: str, rate: int, rules: int = 40, **more: object) -> dict[str, object]:
    return {
        "job": job,
        "engine": engine,
        "rules": rules,
        "batch": 1000,
        "events": 1000,
        "cpu_events_per_s": rate,
        "answers_equal": True,
        **more,
    }


def result() -> dict[str, object]:
    rows = []
    for i, engine in enumerate(plot.NAMES):
        rows += [row(f"mixed-{n}", engine, 5_000_000 // (1 + i * n), rules=n) for n in (1, 100, 10_000)]
        rows += [row(job, engine, 9_000_000 // (1 + i * p), passing=p / 100) for job, p in (("cluster", 3), ("density-30", 30))]
    rows += [row("mixed-1000", "spark", 99_000_000, rules=1000) | {"answers_equal": False}, row("mixed-1 (late)", "tocsin", 1, rules=1)]
    return {"machine": {}, "rows": rows}


def test_both_pictures_name_every_engine_once_and_apart() -> None:
    for text in plot.pictures(result()).values():
        root = ET.fromstring(text)
        labels = [node for node in root.iter(f"{SVG}text") if node.text in plot.NAMES.values()]
        assert sorted(str(node.text) for node in labels) == sorted(plot.NAMES.values())
        places = sorted(float(node.attrib["y"]) for node in labels)
        assert all(b - a >= 16.9 for a, b in itertools.pairwise(places))


def test_points_are_those_of_the_rows_with_right_answers() -> None:
    series = plot.by_rules(result()["rows"])
    assert [rules for rules, _ in series["spark"]] == [1, 100, 10_000]
    assert len(series["tocsin"]) == 3
    assert [share for share, _ in plot.by_density(result()["rows"])["tocsin"]] == [3, 30]


@given(st.lists(st.floats(60, 440), min_size=1, max_size=9))
def test_labels_keep_their_order_and_their_distance(wanted: list[float]) -> None:
    placed = plot._spread(sorted(wanted), 17, 60, 440)
    assert all(b - a >= 17 - 1e-9 for a, b in itertools.pairwise(placed))
    assert placed[0] >= 60 - 1e-9 and placed[-1] <= 440 + 1e-9


def test_files_are_written_beside_the_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "peers.json"
    path.write_text(json.dumps(result()))
    assert plot.main([str(path)]) == 0
    assert sorted(p.name for p in tmp_path.glob("*.svg")) == ["peers-density.svg", "peers-rules.svg"]
    assert "peers-rules.svg" in capsys.readouterr().out


def test_a_result_without_such_rows_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "peers.json"
    path.write_text(json.dumps({"machine": {}, "rows": [row("cluster", "tocsin", 1)]}))
    assert plot.main([str(path)]) == 1
    assert "--jobs plots" in capsys.readouterr().err


def test_the_page_holds_tables_and_pictures(tmp_path: Path) -> None:
    here = {"cpu": "a processor", "cores": 2, "memory_gb": 24, "kernel": "6", "python": "3.11", "load": 0.5, "date": "2026-01-01"}
    rows = [report.without("flink", "cluster", 40, 1000, "missing: needs java"), row("cluster", "spark", 10, p50_ms=1, p99_ms=2, wall_events_per_s=3,
            answers=1, dropped=0, rss_mb=1.0, peak_mb=2.0, version="Spark 4")]  # fmt: skip
    path = tmp_path / "peers.json"
    path.write_text(json.dumps({"machine": here, "command": "python -m bench.hot", "seconds": 1, "rows": rows}))
    assert report.main([str(path)]) == 0
    text = (tmp_path / "peers.md").read_text()
    assert "missing: needs java" in text and "Spark 4" in text and "beside flink, spark" in text
    assert ".svg" not in text  # nobody has drawn them
    (tmp_path / "peers-rules.svg").write_text("<svg/>")
    assert report.main([str(path), str(tmp_path / "again.md")]) == 0
    again = (tmp_path / "again.md").read_text()
    assert "(peers-rules.svg)" in again and "(peers-density.svg)" not in again
