"""Back-tests on a real Spark, two tasks at a time in processes of their own: the answers of one machine, also over a killed driver."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from city import made
from test_backtest_parts import SPAN, STEADY, UNANSWERED, asked, plain

from tocsin.app.backtest import answer, question
from tocsin.app.backtest_spark import Spread
from tocsin.archive.holdings import Archive
from tocsin.kernel.fault import Fatal
from tocsin.spark.session import spread

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Any:
    city, data, journal = made(tmp_path_factory.mktemp("city"))
    for name, text in {"unanswered": UNANSWERED, "steady": STEADY}.items():
        (city / "rules" / f"{name}.yaml").write_text(text)
    return city, data, journal


@pytest.mark.parametrize(
    ("rule", "more"),
    [
        ("smoke-twice", ["--sweep", "cluster.sources=2..4", "--against", "smoke-high", "--incidents", "call.fire"]),
        ("smoke-unanswered", ["--near", "0"]),
        ("smoke-steady", ["--near", "0"]),
    ],
    ids=["everything", "absence", "by-source"],
)
def test_the_same_answer(spark: Any, place: Any, tmp_path: Path, rule: str, more: list[str]) -> None:
    given, archive = question(asked(place, rule, *more)), Archive(place[1] / "archive")
    alone = answer(given, archive)
    found = answer(given, archive, run=Spread(tmp_path, 4, "a city", partial(spread, spark), "local[2]"))
    archive.close()
    assert plain(found) == plain(alone) and alone["summary"]["alerts"] > 2


def test_a_killed_driver_is_gone_on_for(place: Any, tmp_path: Path) -> None:
    """`kill -9` of the command while tasks are at work; the same command again answers as one machine does, absence included."""
    arguments = ["backtest", str(place[0]), "smoke-unanswered", *SPAN, "--data", str(place[1]), "--near", "0", "--json"]
    on_spark = [*arguments, "--on", "spark", "--work", str(tmp_path), "--parts", "16"]
    command = [sys.executable, "-m", "tocsin.cli"]
    child = subprocess.Popen([*command, *on_spark], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        for _ in range(60_000):  # on a machine that does much else Spark takes minutes to begin
            if len(list(tmp_path.glob("*/part-*"))) >= 2:
                break
            assert child.poll() is None, child.stderr and child.stderr.read().decode()
            time.sleep(0.01)
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == -signal.SIGKILL
    before = {path.name for path in tmp_path.glob("*/part-*")}
    assert 2 <= len(before) < 16
    again = subprocess.run([*command, *on_spark], capture_output=True, check=True)
    alone = subprocess.run([*command, *arguments], capture_output=True, check=True)
    found = json.loads(again.stdout)
    assert found["spark"]["again"] and found["spark"]["parts"] == 16
    assert plain(found) == plain(json.loads(alone.stdout)) and found["summary"]["alerts"] > 2
    assert not list(tmp_path.glob("*/*-*")), "what was kept is removed with the answer"


def test_what_a_task_says_is_heard(spark: Any) -> None:
    with pytest.raises(Fatal, match="Spark gave a task up: ValueError: invalid literal for int"):
        spread(spark, int, ["one"])
