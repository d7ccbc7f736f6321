"""A back-test in parts: the same answer as in one piece, also when whoever makes it is killed in the middle; without Spark."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from city import FEEDS, city_of, made, recorded
from pastkit import kept
from runkit import T0, Journal

from tocsin.app.backtest import answer, question
from tocsin.app.backtest_parts import Task
from tocsin.app.backtest_spark import Spread, here
from tocsin.archive.holdings import Archive
from tocsin.cli import build_parser, main
from tocsin.kernel.fault import Fatal
from tocsin.spark.session import session

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
        ("smoke-twice", ["--sweep", "cluster.sources=2..3", "--against", "smoke-high", "--incidents", "call.fire", "--budget", "1 per 12 h"]),
        ("smoke-unanswered", ["--from", "2017-07-15T12:00:00Z", "--incidents", "call.fire"]),
        ("smoke-unanswered", ["--order", "time", "--near", "0"]),
        ("smoke-steady", ["--near", "0"]),
    ],
    ids=["everything", "absence", "by-time", "by-source"],
)  # fmt: skip
def test_the_same_answer(place: Any, tmp_path: Path, rule: str, more: Sequence[str]) -> None:
    alone, spread, told = both(place, tmp_path, rule, *more)
    assert spread == alone
    by_time = "time" in more
    assert spread["summary"]["alerts"] > 2 and bool(told["whole"]) == by_time and told["parts"] == 3 * (not by_time) and not told["again"]
    assert not list(tmp_path.glob("*/part-*")), "what was kept is removed with the answer"


KILLED = """
import os, sys
from pathlib import Path
from tocsin.app.backtest import answer, question
from tocsin.app.backtest_spark import Spread
from tocsin.archive.holdings import Archive
from tocsin.cli import build_parser

left = int(sys.argv[1])

def execute(run, tasks):
    global left
    for task in tasks:
        if left == 0:
            os.kill(os.getpid(), 9)
        left -= 1
        assert run(task) == ""
    return [""]

answer(question(build_parser().parse_args(sys.argv[3:])), Archive(Path(sys.argv[sys.argv.index("--data") + 1]) / "archive"),
       run=Spread(Path(sys.argv[2]), 3, "a city", execute, "here"))
"""


CONTEXT = """
  context: [{of: call.fire, within: 2 km, before: 30 min, after: 10 min}]
"""
RESOLVE = """
  resolve: {until: call.fire, within: 500 m}
"""


def test_events_that_are_taken_back_and_events_that_alerts_listen_to(tmp_path: Path) -> None:
    """A feed that corrects itself: what every part must know of, and the run that tells reads from the files."""
    draw, journal = random.Random(3), Journal()
    for entry in recorded(1).entries:
        if entry.batch is None:
            continue
        rows = [one | {"event_time": round(one["event_time"].timestamp() * 1e6)} for one in entry.batch.to_pylist()]
        rows += [one | {"id": f"c{one['id']}", "action": 2, "refers_to": one["id"], "value": None} for one in rows if draw.random() < 0.2]
        journal.add((entry.ingest - T0) / 1e6, rows)
    city, data = city_of(tmp_path, FEEDS + "  action: {from: action}\n  refers_to: {from: refers_to}\n"), tmp_path / "data"
    rules = (city / "rules" / "smoke.yaml").read_text().rstrip("\n")
    closes = rules[rules.index("rule: smoke-twice") :].replace("smoke-twice", "smoke-closes")
    (city / "rules" / "smoke.yaml").write_text(rules + CONTEXT)
    (city / "rules" / "closes.yaml").write_text(closes + RESOLVE)
    (city / "rules" / "unanswered.yaml").write_text(UNANSWERED)
    data.mkdir()
    kept(journal, data, 2).close()
    for rule in ("smoke-twice", "smoke-unanswered", "smoke-closes"):
        alone, spread, told = both((city, data, journal), tmp_path / "work", rule, "--near", "0")
        assert spread == alone and told["trials"] == 1 and bool(told["whole"]) == (rule == "smoke-closes")
        assert alone["read"]["withdrawn"] > 10 and alone["summary"]["alerts"] > 2
        assert rule == "smoke-unanswered" or alone["summary"]["retracted"]
        assert rule != "smoke-closes" or any(one["closed"] for one in alone["alerts"])


@pytest.mark.crash
def test_whoever_is_killed_is_gone_on_for(place: Any, tmp_path: Path) -> None:
    """Killed before a part, between parts and trials, and before the last trial; what was done before is not done again."""
    arguments = ["backtest", str(place[0]), "smoke-unanswered", *SPAN, "--data", str(place[1])]
    total = 0
    for tasks in (2, 2):
        total += tasks
        child = subprocess.run([sys.executable, "-c", KILLED, str(tasks), str(tmp_path), *arguments], capture_output=True, check=False)
        assert child.returncode == -signal.SIGKILL, child.stderr.decode()
        folder = next(tmp_path.iterdir())
        assert len([*folder.glob("part-*"), *folder.glob("trial-*")]) == total
    (folder / ".aside-of-a-killed-task").mkdir()
    done: list[str] = []

    def execute(run: Callable[[Task], str], tasks: Sequence[Task]) -> list[str]:
        done.extend(task.name for task in tasks)
        return here(run, tasks)

    given, archive = question(asked(place, "smoke-unanswered")), Archive(place[1] / "archive")
    alone, spread = answer(given, archive), answer(given, archive, run=Spread(tmp_path, 3, "a city", execute, "here"))
    assert spread["spark"]["again"] and len(done) == 3 + spread["spark"]["trials"] - 4 and all(name.startswith("trial") for name in done)
    assert plain(spread) == plain(alone) and alone["summary"]["alerts"] > 2
    assert not list(folder.glob("*-*"))
    archive.close()


def test_what_cannot_be_cut_runs_whole_and_says_why(place: Any, tmp_path: Path) -> None:
    file = tmp_path / "quiet.yaml"
    text = (place[0] / "rules" / "smoke.yaml").read_text().split("---\n")[1]
    head, _, tail = text.partition("when:\n")
    when = "  silence: {of: fire.smoke, by: source, during: 20 min}\n"
    file.write_text(f"{head}when:\n{when}{tail[tail.index('alert:') :]}")
    alone, spread, told = both(place, tmp_path / "work", str(file), "--near", "0")
    assert spread == alone and spread["summary"]["alerts"] > 2
    assert told["whole"] == [{"trial": 0, "why": "'silence' keeps a history that is not cut yet"}]


def test_a_rule_that_rings_too_often_stops_where_it_stops_in_one_piece(place: Any, tmp_path: Path, monkeypatch: Any) -> None:
    for room in ("backtest_run", "backtest_parts"):
        monkeypatch.setattr(f"tocsin.app.{room}.ALERTS_MAX", 5)
    alone, spread, _ = both(place, tmp_path, "smoke-twice", "--near", "0")
    del alone["read"]["files"], spread["read"]["files"]  # reading is ahead of whoever stops, by some files
    assert spread == alone and any("stopped at" in note for note in spread["notes"])


def test_another_driver_is_refused(place: Any, tmp_path: Path) -> None:
    given, archive = question(asked(place, "smoke-twice", "--near", "0")), Archive(place[1] / "archive")
    faults: list[str] = []

    def execute(run: Callable[[Task], str], tasks: Sequence[Task]) -> list[str]:
        with pytest.raises(Fatal, match="another process works on the same question"):
            answer(given, archive, run=Spread(tmp_path, 2, "a city", here, "here"))
        faults.append("refused")
        return here(run, tasks)

    answer(given, archive, run=Spread(tmp_path, 2, "a city", execute, "here"))
    archive.close()
    assert len(faults) == 2


def test_files_that_were_replaced_meanwhile_start_it_anew(place: Any, tmp_path: Path) -> None:
    given, archive = question(asked(place, "smoke-twice", "--near", "0")), Archive(place[1] / "archive")

    def fails(_run: Callable[[Task], str], tasks: Sequence[Task]) -> list[str]:
        return ["the machine is on fire"]

    with pytest.raises(Fatal, match="on fire"):
        answer(given, archive, run=Spread(tmp_path, 2, "a city", fails, "here"))
    look = next(tmp_path.glob("*/look/look.json"))
    head = json.loads(look.read_bytes())
    head["files"][0]["sha256"] = "of a file that was joined with others"
    look.write_text(json.dumps(head))
    found = answer(given, archive, run=Spread(tmp_path, 2, "a city", here, "here"))
    assert not found["spark"]["again"] and found["summary"]["alerts"] > 3
    archive.close()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--on", "hadoop"], "--on: found 'hadoop'; valid: here, spark"),
        (["--master", "local[2]"], "--master: goes with --on spark alone"),
        (["--on", "spark", "--parts", "0"], "--parts: found 0"),
        (["--on", "spark", "--spark-conf", "memory=4g"], "--spark-conf: found 'memory=4g'; valid is KEY=VALUE"),
    ],
)  # fmt: skip
def test_errors_teach(place: Any, capsys: Any, more: list[str], words: str) -> None:
    assert main(["backtest", str(place[0]), "smoke-twice", *SPAN, "--data", str(place[1]), *more]) == 1
    assert words in capsys.readouterr().err


def test_what_is_missing_is_named(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.errors", None)
    with pytest.raises(Fatal, match=r"needs PySpark 4.*requirements/spark.lock"), session():
        pass
