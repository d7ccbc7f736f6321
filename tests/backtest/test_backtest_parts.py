"""A back-test in parts: the same answer as in one piece, also when whoever makes it is killed in the middle; without Spark."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from city import made
from runkit import Journal

from tocsin.app.backtest import answer, question
from tocsin.app.backtest_parts import Task
from tocsin.app.backtest_spark import Spread, here
from tocsin.archive.holdings import Archive
from tocsin.arguments import backtest as arguments_of
from tocsin.cli import build_parser

SPAN = ["--from", "2017-07-14T02:00:00Z", "--to", "2017-07-18T00:00:00Z"]
UNANSWERED = """
rule: smoke-unanswered
title: Smoke and nobody called
why: A fire that nobody sees is the worst one.
when:
  absence: {after: "fire.smoke where value >= 150 ug/m3", expect: call.fire, within: 500 m, during: 5 min}
alert:
  severity: severe
  urgency: immediate
  certainty: possible
  headline: "Smoke at {place} and no call"
  per: {place: 300 m, hold: 30 min}
"""
STEADY = """
rule: smoke-steady
title: Smoke twice from one sensor
why: A single reading may be an error.
when:
  match: {of: "fire.smoke where value >= 120 ug/m3", samples: 2}
alert:
  severity: severe
  urgency: immediate
  certainty: possible
  headline: "Smoke at {place}"
  per: {place: 300 m, hold: 30 min}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Journal]:
    city, data, journal = made(tmp_path_factory.mktemp("city"))
    for name, text in {"unanswered": UNANSWERED, "steady": STEADY}.items():
        (city / "rules" / f"{name}.yaml").write_text(text)
    return city, data, journal


def asked(place: Any, rule: str, *more: str) -> Namespace:
    return build_parser().parse_args(["backtest", str(place[0]), rule, *SPAN, "--data", str(place[1]), *more])


def plain(found: dict[str, Any]) -> dict[str, Any]:
    """Without what says how long it took, and where it was made."""
    for name in ("seconds", "events_per_s"):
        del found["read"][name]
    found.pop("spark", None)
    return found


def both(place: Any, work: Path, rule: str, *more: str, parts: int = 3) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    given, archive = question(asked(place, rule, *more)), Archive(place[1] / "archive")
    alone = answer(given, archive)
    spread = answer(given, archive, run=Spread(work, parts, "a city", here, "here"))
    archive.close()
    told = spread["spark"]
    return plain(alone), plain(spread), told


@pytest.mark.parametrize(
    ("rule", "more"),
    [
        ("smoke-twice", ["--sweep", "cluster.sources=2..4", "--against", "smoke-high", "--incidents", "call.fire", "--budget", "1 per 12 h"]),
        ("smoke-unanswered", ["--from", "2017-07-15T12:00:00Z", "--incidents", "call.fire"]),
        ("smoke-unanswered", ["--order", "time", "--near", "0"]),
        ("smoke-steady", ["--near", "5"]),
    ],
    ids=["everything", "absence", "by-time", "by-source"],
)  # fmt: skip
def test_the_same_answer(place: Any, tmp_path: Path, rule: str, more: Sequence[str]) -> None:
    alone, spread, told = both(place, tmp_path, rule, *more)
    assert spread == alone
    assert spread["summary"]["alerts"] > 2 and not told["whole"] and told["parts"] == 3 and not told["again"]
    assert not list(tmp_path.glob("*/part-*")), "what was kept is removed with the answer"
