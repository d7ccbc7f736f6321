"""`tocsin check --dry-run`: how often every rule would have rung on the recorded feeds, against plain counting; who is too loud is warned of."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from city import CITY, FEEDS, RULES, made

from tocsin.cli import main
from tocsin.model.time import from_iso, to_iso

START = from_iso("2026-03-01T00:00:00Z")
LOUD = """---
rule: everything
title: Everything
why: To show what is found out before it is switched on.
when: {match: {of: fire.smoke}}
alert: {severity: minor, headline: "{source}"}
---
rule: never
title: Never
why: To show that quiet is fine.
when: {match: {of: "fire.smoke where value >= 100000 ug/m3"}}
alert: {severity: minor, headline: "{source}"}
"""


def city(root: Path, rules: str = RULES + LOUD, rows: int = 300) -> tuple[Path, list[tuple[int, float]]]:
    """A city with a recording: one reading every ten minutes, every fifth of them high; each record twice, some broken."""
    draw, found, lines = random.Random(1), list[tuple[int, float]](), list[str]()
    for number in range(rows):
        at, value = START + number * 600_000_000, 160.0 if number % 5 == 0 else draw.uniform(1, 100)
        row = {"id": f"r{number}", "source": f"S{number % 7}", "time": to_iso(at), "lon": -122.33, "lat": 47.6 + number % 7, "value": value}
        lines += [json.dumps(row)] * 2
        found.append((at, value))
    draw.shuffle(lines)
    for name, text in (("city.yaml", CITY), ("rules/r.yaml", rules), ("feeds/sensors.yaml", FEEDS)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text.replace("transport: {webhook: {}}", "transport: {replay: {files: [smoke.ndjson]}}"))
    (root / "smoke.ndjson").write_text("\n".join([*lines, '{"id": "broken"', '{"id": "no time"}']) + "\n")
    return root, found


def checked(capsys: pytest.CaptureFixture[str], root: Path, *more: str) -> dict[str, Any]:
    assert main(["check", str(root), "--dry-run", "--json", *more]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_it_counts_what_would_have_rung_and_warns_of_the_loud(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, facts = city(tmp_path)
    told = checked(capsys, root)
    dry = told["dry_run"]
    rows = {row["rule"]: row for row in dry["rules"]}
    assert (dry["source"], dry["events"], dry["refused"]) == ("recorded files", len(facts), 2)
    assert rows["everything"]["alerts"] == rows["everything"]["looked_at"] == len(facts)
    high = [at for at, value in facts if value >= 150]
    assert rows["smoke-high"]["alerts"] == len(high), "the sources are far apart, so none joins another"
    most = max(sum(at - 12 * 3_600_000_000 < other <= at for other in high) for at in high)
    assert (rows["smoke-high"]["most"], rows["smoke-high"]["allowed"], rows["smoke-high"]["declared"]) == (most, 3, True)
    assert rows["never"]["alerts"] == rows["smoke-twice"]["alerts"] == 0
    words = {warning["message"] for warning in told["warnings"]}
    assert any(one.startswith(f"rule everything: rings for nearly everything: {len(facts)} of {len(facts)} events") for one in words)
    assert any(one.startswith("rule smoke-high: on what was recorded it is over its budget") for one in words)
    assert not any("never" in one.split(":")[0] or "smoke-twice" in one.split(":")[0] for one in words)
    assert all(warning["file"] == "rules/r.yaml" and warning["line"] for warning in told["warnings"])


def test_a_rule_without_a_budget_is_held_against_a_shift(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """More than 24 in 12 h; a third of what it looks at is not everything."""
    text = RULES.split("---")[0].replace("  budget: {alerts: 3, per: 12 h}\n", "").replace(">= 150", ">= 40")
    told = checked(capsys, city(tmp_path, text)[0])
    (warning,) = told["warnings"]
    assert "would ring up to" in warning["message"]
    assert warning["message"].endswith("more than 24 in 12 h; narrow it, join its alerts (per), or write a budget")


def test_a_quiet_city_has_no_warning_and_the_text_says_how_often(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, _ = city(tmp_path, RULES.replace("{alerts: 3", "{alerts: 99"), 40)
    assert main(["check", str(root), "--dry-run"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("dry run over recorded files, 40 events from 2026-03-01T00:00:00Z")
    assert out[1].startswith("smoke-high: 8 alerts, ")
    assert out[-1].endswith("0 problems, 0 warnings")


def test_without_recordings_the_archive_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, data, _ = made(tmp_path)
    told = checked(capsys, root, "--data", str(data))
    assert told["dry_run"]["source"] == "the archive"
    span = ["--from", "2017-07-14T02:00:00Z", "--to", "2017-07-18T00:00:00Z", "--data", str(data), "--json"]
    assert main(["backtest", str(root), "smoke-high", *span]) == 0
    asked = json.loads(capsys.readouterr().out)
    (row,) = (row for row in told["dry_run"]["rules"] if row["rule"] == "smoke-high")
    assert row["alerts"] == asked["summary"]["alerts"] > 0


def test_with_nothing_to_try_them_on_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, _ = city(tmp_path)
    (root / "feeds/sensors.yaml").write_text(FEEDS)
    assert main(["check", str(root), "--dry-run"]) == 2
    assert "no feed of" in capsys.readouterr().err
