"""The comparison of forecasts: what it forecasts from is what was known before, and what it reads is what it says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench import forecast
from tocsin.model.time import HOUR


def test_the_counts_are_hours_without_a_gap() -> None:
    instants, counts = forecast.read(forecast.COUNTS)
    assert len(instants) == len(counts) == 217 * 24
    assert (np.diff(instants) == HOUR).all() and counts.sum() > 50_000


def test_what_is_forecast_lies_before_each_end_and_side_by_side() -> None:
    first, last = forecast.stretches(5_000, 2, 3, 72)
    assert last == [5_000 - 216, 5_000 - 144, 5_000 - 72] and [b - a for a, b in zip(first, last, strict=True)] == [45 * 24] * 3


def test_a_forecast_uses_nothing_that_came_later() -> None:
    counts = np.random.default_rng(1).integers(0, 20, 2_000)
    hours = np.arange(2_000) % 168
    changed = counts.copy()
    changed[1_900:] = 999
    made, again = (forecast.own(one, hours, [1_900], 1_400, 48) for one in (counts, changed))
    assert {name: one["made"] for name, one in made.items()} == {name: one["made"] for name, one in again.items()}


def test_the_table_and_the_object_without_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast.main(["--no-peers", "--ends", "1", "--origins", "4", "--json"]) == 0
    shown = capsys.readouterr().out
    told = json.loads(shown.splitlines()[-1])
    assert told["missing"] == "not asked for" and "| ours " in shown
    assert told["summary"]["ours"] < told["summary"]["seasonal naive"]


def test_too_few_days_are_said(tmp_path: Path) -> None:
    few = tmp_path / "few.csv"
    few.write_text("".join(forecast.COUNTS.read_text().splitlines(keepends=True)[:40]))
    with pytest.raises(SystemExit, match="39 days are too few; valid is fewer"):
        forecast.main(["--counts", str(few), "--no-peers"])
