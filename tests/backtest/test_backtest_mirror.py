"""A back-test by a machine that has the city's directory and nothing else: over the archive's mirror, in one piece and in parts that share only the bucket."""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from city import made
from test_backtest_parts import SPAN, asked, plain

sys.path.insert(0, str(Path(__file__).parents[1]))

from s3_server import Swift, bucket_of, environment, make_bucket

from tocsin.app.backtest import answer, question
from tocsin.app.backtest_bucket import BucketWork
from tocsin.app.backtest_spark import Spread
from tocsin.archive.catalog import Catalog
from tocsin.archive.holdings import Archive
from tocsin.archive.mirror.mirrored import FOLDER, Place
from tocsin.archive.mirror.sending import Sender
from tocsin.cli import main
from tocsin.model.mirror import Address, parse


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, Address]]:
    city, data, _ = made(tmp_path_factory.mktemp("city"))
    server = Swift()
    kept = dict(os.environ)
    try:
        os.environ.update(environment())
        address = server.address("history", "testville")
        make_bucket(address)
        catalog = Catalog(data / "archive", write=True)
        Sender(catalog, bucket_of(address)).run()
        catalog.close()
        yield city, data, address
    finally:
        os.environ.clear()
        os.environ.update(kept)
        server.close()


def test_the_commands_over_a_mirror(mirror: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    city, data, address = mirror
    elsewhere = ["--data", str(tmp_path / "none"), "--archive", address.text, "--cache", str(tmp_path / "cache"), "--json"]
    at_home = ["--data", str(data), "--json"]
    sql = "SELECT feed, kind, count(*) AS rows, sum(value) AS total FROM events GROUP BY 1, 2 ORDER BY 1, 2"
    for words in (
        ["query", str(city), sql, "--all"],
        ["search", str(city), "--kind", "fire", "--limit", "3"],
        ["report", str(city), "volume"],
    ):
        told = []
        for more in (elsewhere, at_home):
            assert main([*words, *more]) == 0
            told.append(json.loads(capsys.readouterr().out)["items"])
        assert told[0] == told[1] and told[0]
    assert main(["archive", "status", str(city), *elsewhere]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["rows"] > 0 and status["published"]
    assert main(["archive", "verify", str(city), *elsewhere]) == 0
    assert json.loads(capsys.readouterr().out)["sound"]
    assert main(["query", str(city), sql, "--cache", str(tmp_path), *at_home]) == 1
    assert "--cache: goes with --archive alone" in capsys.readouterr().err


def test_the_same_answer_in_one_piece(mirror: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    city, data, address = mirror
    words = ["backtest", str(city), "smoke-twice", *SPAN, "--sweep", "cluster.sources=2..3", "--incidents", "call.fire", "--json"]
    assert main([*words, "--data", str(data)]) == 0
    alone = json.loads(capsys.readouterr().out)
    (tmp_path / "city").mkdir()
    assert main([*words, "--archive", address.text, "--cache", str(tmp_path / "cache")]) == 0
    assert plain(json.loads(capsys.readouterr().out)) == plain(alone) and alone["summary"]["alerts"] > 2


def test_parts_share_only_the_bucket(mirror: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every task in turn on one of two machines, as far as files go: each with a cache of its own, and everything else carried over as bytes."""
    city, data, address = mirror
    given, archive = question(asked((city, data), "smoke-twice", "--against", "smoke-high")), Archive(data / "archive")
    alone = answer(given, archive)
    archive.close()
    turn = 0

    def execute(run: Any, tasks: Any) -> list[str]:
        nonlocal turn
        said = []
        for task in tasks:
            turn += 1
            monkeypatch.setenv(FOLDER, str(tmp_path / f"machine-{turn % 2}"))
            far, job = pickle.loads(pickle.dumps((run, task)))
            said.append(far(job))
            monkeypatch.delenv(FOLDER)
        return said

    place = Place(address, tmp_path / "driver", attempts=2)
    work = Place(parse(address.text.replace("testville", "work")), tmp_path / "driver", attempts=2)
    driver = place.opened()
    run = Spread(tmp_path / "unused", 4, "a city", execute, "two machines", place, lambda asked: BucketWork.within(work, asked))
    for _ in range(2):  # the second time, with what the first has left on the machines
        found = answer(given, driver, run=run)
        assert found["spark"]["parts"] == 4 and plain(found) == plain(dict(alone, read=dict(alone["read"]))), turn
        assert not bucket_of(work.address).sizes() or all("question" in name for name in bucket_of(work.address).sizes())
    driver.close()
    for number in (0, 1):
        assert list((tmp_path / f"machine-{number}").rglob("*.parquet"))
    assert not (tmp_path / "unused").exists()
