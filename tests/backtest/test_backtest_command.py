"""`tocsin backtest` as a person uses it: a city, an archive, a question, and what comes of it, held against the correlator and plain counting."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from city import made
from pastkit import PLACE
from runkit import Journal, Stream

from tocsin.app.backtest_jobs import Jobs
from tocsin.cli import main
from tocsin.config.load import load_city
from tocsin.correlate.fingerprint import alerts_hash
from tocsin.correlate.worker import Correlator
from tocsin.model.time import from_iso, to_iso

SPAN = ["--from", "2017-07-14T02:00:00Z", "--to", "2017-07-18T00:00:00Z"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Journal]:
    return made(tmp_path_factory.mktemp("city"))


def asked(place: tuple[Path, Path, Journal], capsys: pytest.CaptureFixture[str], *more: str, rule: str = "smoke-twice") -> dict[str, Any]:
    code = main(["backtest", str(place[0]), rule, *SPAN, "--data", str(place[1]), "--json", *more])
    told = capsys.readouterr()
    assert code == 0, told.err
    found: dict[str, Any] = json.loads(told.out)
    return found


async def live(city: Path, journal: Journal, rule: str) -> Stream:
    known = load_city(city)
    stream, plan = Stream(), replace(known.plan, rules=tuple(one for one in known.plan.rules if one.name == rule))
    run = Correlator(plan, journal.fetch, name_place=lambda _lon, _lat: PLACE, corrects=frozenset())
    await run.run(journal.read(), stream.publish, finish=True)
    return stream


@pytest.mark.parametrize("rule", ["smoke-twice", "smoke-high"])
def test_the_alerts_are_those_that_live_would_have_told(place: Any, capsys: Any, rule: str) -> None:
    found = asked(place, capsys, "--near", "0", rule=rule)
    stream = asyncio.run(live(place[0], place[2], rule))
    assert found["alerts_hash"] == alerts_hash(stream.alerts)
    first = {alert.id: alert for alert in stream.alerts if alert.revision == 1}
    assert {one["id"]: one["known_at"] for one in found["alerts"]} == {name: to_iso(alert.known_at) for name, alert in first.items()}
    assert (
        found["summary"]["alerts"]
        == len(first)
        == sum(row["alerts"] for row in found["by_day"])
        == sum(w["alerts"] for w in found["by_week"])
    )
    assert sum(row["alerts"] for row in found["by_source"]) == sum(cell["alerts"] for cell in found["by_place"]) == len(first)
    assert len(found["by_day"]) == 4 and found["read"]["events"] <= found["read"]["rows"]


def test_a_part_of_the_span_has_the_alerts_of_that_part(place: Any, capsys: Any) -> None:
    whole = asked(place, capsys, "--near", "0")
    cut = "2017-07-15T12:00:00Z"
    part = asked(place, capsys, "--near", "0", "--from", cut)
    assert part["alerts"] == [one for one in whole["alerts"] if from_iso(one["known_at"]) >= from_iso(cut)]
    assert 0 < len(part["alerts"]) < len(whole["alerts"]) and part["read"]["rows"] <= whole["read"]["rows"]


def test_the_order_of_time_gives_the_same_where_nothing_is_late(place: Any, capsys: Any) -> None:
    one, other = (asked(place, capsys, "--near", "0", "--order", order) for order in ("journal", "time"))
    assert [alert["id"] for alert in one["alerts"]] == [alert["id"] for alert in other["alerts"]]


def test_real_incidents_by_hand(place: Any, capsys: Any) -> None:
    found = asked(place, capsys, "--near", "0", "--incidents", "call.fire", "--before", "10 min", "--after", "1 min")["incidents"]
    calls = [row for entry in place[2].entries if entry.batch is not None for row in entry.batch.to_pylist() if row["kind"] == "call.fire"]
    assert found["incidents"] == len(calls) == found["caught"] + found["missed"] and found["caught"] and found["missed"]
    assert found["early_s"]["median"] == pytest.approx(239.0), "known a second after it was measured, four minutes before the call"
    assert all(one["distance_m"] < 1 for one in found["caught_list"])


def test_two_versions_by_file_and_by_name(place: Any, capsys: Any, tmp_path: Path) -> None:
    file = tmp_path / "stricter.yaml"
    text = (place[0] / "rules" / "smoke.yaml").read_text().split("---\n")[1]
    file.write_text(text.replace("sources: 2", "sources: 3"))
    found = asked(place, capsys, "--near", "0", "--against", str(file))["against"]
    assert found["b"]["alerts"] == found["both"] and found["b"]["only"] == 0
    assert found["a"]["alerts"] == found["both"] + found["a"]["only"] == len(found["only_a"]) + len(found["pairs"])
    assert asked(place, capsys, "--near", "0", rule=str(file))["summary"]["alerts"] == found["b"]["alerts"]
    named = asked(place, capsys, "--near", "0", "--against", "smoke-high")["against"]
    assert named["b"]["rule"] == "smoke-high" and named["both"] > 0 and named["b"]["only"] > 0
    same = asked(place, capsys, "--near", "0", "--against", "smoke-twice")["against"]
    assert same["both"] == same["a"]["alerts"] and same["b_later_s"]["median"] == 0


def test_one_number_at_many_values(place: Any, capsys: Any, tmp_path: Path) -> None:
    found = asked(
        place,
        capsys,
        "--near",
        "0",
        "--sweep",
        "cluster.sources=2..5",
        "--incidents",
        "call.fire",
        "--before",
        "10 min",
        "--after",
        "1 min",
    )
    rows = found["sweep"]["rows"]
    assert [row["value"] for row in rows] == ["2", "3", "4", "5"] and found["sweep"]["now"] == "2"
    assert [row["alerts"] for row in rows] == sorted((row["alerts"] for row in rows), reverse=True)
    assert rows[0]["alerts"] == found["summary"]["alerts"] and rows[0]["caught"] == found["incidents"]["caught"]
    assert found["sweep"]["suggestion"]["value"] == "2" and "incidents" in found["sweep"]["suggestion"]["why"]
    for row in rows[:2]:
        text = (place[0] / "rules" / "smoke.yaml").read_text().split("---\n")[1].replace("sources: 2", f"sources: {row['value']}")
        (tmp_path / "one.yaml").write_text(text)
        assert asked(place, capsys, "--near", "0", rule=str(tmp_path / "one.yaml"))["summary"]["alerts"] == row["alerts"]
    values = asked(place, capsys, "--near", "0", "--sweep", "value>=120..200:20")["sweep"]["rows"]
    assert [row["alerts"] for row in values] == sorted((row["alerts"] for row in values), reverse=True) and values[-1]["alerts"] == 0


def test_near_misses_say_how_near(place: Any, capsys: Any) -> None:
    found = asked(place, capsys, rule="smoke-high")["near_misses"]
    assert found["total"] > 0 and set(found["by_threshold"]) == {"value"}
    assert {(one["found"], one["needed"], one["short"], one["unit"]) for one in found["list"]} <= {
        (145.0, 150.0, 5.0, "ug/m3"),
        (130.0, 150.0, 20.0, "ug/m3"),
    }
    assert [one["relative"] for one in found["list"]] == sorted(one["relative"] for one in found["list"])


def test_the_budget(place: Any, capsys: Any) -> None:
    own = asked(place, capsys, "--near", "0", rule="smoke-high")["budget"]
    assert own["declared"] and own["alerts"] == 3
    none = asked(place, capsys, "--near", "0", "--budget", "1000 per 1 h", rule="smoke-high")["budget"]
    assert not none["exceeds"] and "within its budget" in none["words"]
    tight = asked(place, capsys, "--near", "0", "--budget", "1 per 3 days", rule="smoke-high")["budget"]
    assert tight["exceeds"] and tight["over"] > 0
    assert asked(place, capsys, "--near", "0")["budget"] is None


def test_the_text_says_the_same(place: Any, capsys: Any) -> None:
    options = ["--incidents", "call.fire", "--sweep", "cluster.sources=2..3", "--against", "smoke-high", "--budget", "1 per 12 h"]
    found = asked(place, capsys, *options)
    assert main(["backtest", str(place[0]), "smoke-twice", *SPAN, "--data", str(place[1]), *options]) == 0
    text = capsys.readouterr().out
    for part in (
        f"{found['summary']['alerts']} alerts",
        f"{found['incidents']['caught']} of {found['incidents']['incidents']} caught",
        f"{found['near_misses']['total']} (",
        "Against smoke-high",
        "cluster.sources, now 2:",
        found["budget"]["words"],
    ):
        assert part in text


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["nothing"], "there is no rule and no file 'nothing'.*known: smoke-high, smoke-twice"),
        (["smoke-twise"], "did you mean 'smoke-twice'"),
        (["smoke-twice", "--from", "2001-01-01", "--to", "2001-02-01"], "nothing is stored from 2001-01-01.*the archive holds 2017-07-14"),
        (["smoke-twice", "--from", "2018-01-01", "--to", "2017-02-01"], "--to: .* is not after"),
        (["smoke-twice", "--from", "yesterday"], "--from: found 'yesterday"),
        (["smoke-twice", "--order", "size"], "valid: journal, time"),
        (["smoke-twice", "--sweep", "cluster.sorces=1..2"], "unknown key 'sorces'; did you mean 'sources'"),
        (["smoke-twice", "--sweep", "sources"], "KEY=FROM..TO"),
        (["smoke-twice", "--sweep", "value<=1..2"], "no number 'value<'.*known: .*value>="),
        (["smoke-twice", "--sweep", "cluster.sources=1..900"], "more than 40 values"),
        (["smoke-twice", "--against", "smoke-hi"], "neither a file nor a rule.*did you mean 'smoke-high'"),
        (["smoke-twice", "--incidents", "call.fires"], "no feed of the city has events of this kind; did you mean 'call.fire'"),
        (["smoke-twice", "--budget", "many"], "as in '6 per 12 h'"),
        (["smoke-twice", "--data", "/nowhere"], "there is no archive in /nowhere"),
    ],
)  # fmt: skip
def test_errors_teach(place: Any, capsys: Any, more: list[str], words: str) -> None:
    given = ["backtest", str(place[0]), more[0], *SPAN, "--data", str(place[1]), *more[1:]]
    assert main(given) in (1, 2)
    told = capsys.readouterr()
    assert re.search(words, told.err, re.DOTALL), told.err
    assert not told.out


def test_before_anything_was_stored_it_says_so(place: Any, capsys: Any) -> None:
    found = asked(place, capsys, "--near", "0", "--from", "2017-06-01")
    assert any("nothing before 2017-07-14" in note for note in found["notes"])


def test_a_draft_is_tried_in_a_city_without_rules(place: Any, capsys: Any, tmp_path: Path) -> None:
    empty, draft = tmp_path / "city", tmp_path / "draft.yaml"
    shutil.copytree(place[0], empty, ignore=shutil.ignore_patterns("rules", "var"))
    assert main(["backtest", str(empty), "smoke-high", *SPAN, "--data", str(place[1])]) == 2
    assert "there is no rule and no file 'smoke-high'" in (said := capsys.readouterr().err) and "the city has no rules" in said
    draft.write_text((place[0] / "rules" / "smoke.yaml").read_text().split("---\n")[0])
    found = asked((empty, *place[1:]), capsys, "--near", "0", rule=str(draft))
    assert found["alerts_hash"] == asked(place, capsys, "--near", "0", rule="smoke-high")["alerts_hash"]
    draft.write_text("# two\n\n---\n" + draft.read_text().replace("when:", "wen:"))
    assert main(["backtest", str(empty), str(draft), *SPAN, "--data", str(place[1])]) == 1
    assert f"{draft}:7: unknown key 'wen'" in capsys.readouterr().err


async def until(jobs: Jobs, name: str, *states: str) -> dict[str, Any]:
    for _ in range(6000):
        job = jobs.job(name)
        assert job is not None
        if job["state"] in states:
            return job
        await asyncio.sleep(0.05)
    raise AssertionError(job)


async def test_jobs_run_in_processes_of_their_own_and_keep_their_results(place: Any, tmp_path: Path) -> None:
    jobs = Jobs(place[0], place[1], tmp_path / "jobs")
    text = (place[0] / "rules" / "smoke.yaml").read_text().split("---\n")[1]
    question = {"from": SPAN[1], "to": SPAN[3], "near": 0}
    first = await jobs.start({"rule": "smoke-twice", **question})
    second = await jobs.start({"rule": "smoke-twice", "text": text.replace("sources: 2", "sources: 3"), **question})
    third = await jobs.start({"rule": "smoke-twice", "sweep": "cluster.nonsense=1..2", **question})
    assert (await until(jobs, first["id"], "done", "failed"))["error"] is None
    assert (await until(jobs, second["id"], "done", "failed"))["state"] == "done"
    assert "unknown key 'nonsense'" in (await until(jobs, third["id"], "done", "failed"))["error"]
    results = [json.loads(jobs.result(job["id"]) or b"null") for job in (first, second, third)]
    assert results[0]["summary"]["alerts"] > results[1]["summary"]["alerts"] and results[2] is None
    again = Jobs(place[0], place[1], tmp_path / "jobs")
    assert [job["id"] for job in again.jobs()] == [third["id"], second["id"], first["id"]]
    assert again.result(first["id"]) == jobs.result(first["id"])
    await jobs.close()


async def test_cancel_stops_it_at_once(place: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Jobs, "_command", lambda *_: ["sleep", "600"])  # none ends by itself
    jobs = Jobs(place[0], place[1], tmp_path / "jobs")
    made_ = [await jobs.start({"rule": "smoke-twice", "from": SPAN[1], "to": SPAN[3]}) for _ in range(2)]
    await until(jobs, made_[0]["id"], "running")
    for job in made_:
        began = time.monotonic()
        told = await jobs.cancel(job["id"])
        assert told is not None and told["state"] == "cancelled" and told["ended"]
        assert time.monotonic() - began < 30, "the process is gone when this returns"
    assert jobs.result(made_[0]["id"]) is None
    assert await jobs.cancel("nothing") is None
    many = await asyncio.gather(
        *(jobs.start({"rule": "smoke-twice", "from": SPAN[1], "to": SPAN[3]}) for _ in range(20)), return_exceptions=True
    )
    assert {str(fault) for fault in many if isinstance(fault, ValueError)} == {
        "8 back-tests wait already; wait for one to end, or cancel one"
    }
    await jobs.close()
    assert {job["state"] for job in jobs.jobs()} == {"cancelled", "failed"}
