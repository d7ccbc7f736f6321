"""Every command as a new user types it: help with an example, `--json`, exit codes, and messages that say what to do."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tocsin.cli import CANNOT_RUN, COMMANDS, OK, PROBLEMS, main

from .node_world import PATIENCE, ROOT, last_json, ndjson, reading, tocsin, write_city

SEATTLE = ROOT / "examples" / "seattle"
Said = tuple[int, str, str]
Say = Callable[..., Said]


@pytest.fixture
def say(capfd: pytest.CaptureFixture[str]) -> Say:
    """One command in this process: exit code, standard output, standard error."""

    def run(*words: str | Path) -> Said:
        mask = os.umask(0o022)
        try:
            code = main([str(word) for word in words])
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        finally:
            os.umask(mask)
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run


@pytest.fixture
def city(tmp_path: Path) -> Path:
    """A sound little city with a rule test."""
    folder = write_city(tmp_path / "city")
    (folder / "tests").mkdir()
    (folder / "tests" / "smoke.yaml").write_text("""
test: two sensors
rule: second-sensor
events:
  - {at: 0, kind: fire.smoke, source: a, value: 200 ug/m3, east: 0 m, north: 0 m}
  - {at: 1 min, kind: fire.smoke, source: b, value: 200 ug/m3, east: 100 m, north: 0 m}
fires: [{at: 1 min}]
""")
    return folder


def edit(city: Path, file: str, old: str, new: str) -> None:
    path = city / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_that_the_command_takes(say: Say, command: str) -> None:
    code, out, _ = say(command, "--help")
    assert code == OK
    assert "--json" in out or command in {"feed", "baseline", "archive"}  # groups of commands
    examples = out.partition("examples:\n")[2].strip().splitlines()
    assert examples
    assert all(example.strip().startswith(f"tocsin {command}") for example in examples)
    _, listed, _ = say("--help")
    assert command in listed


@pytest.mark.parametrize("words", [("feed",), ("run",), ("check", "a", "b"), ("demo", "--port", "x")])
def test_what_cannot_be_understood_is_2_with_the_usage(say: Say, words: tuple[str, ...]) -> None:
    code, out, err = say(*words)
    assert (code, out) == (CANNOT_RUN, "")
    assert "usage: tocsin" in err


def test_an_unknown_command_is_2_with_its_neighbour(say: Say) -> None:
    code, out, err = say("fed")
    assert (code, out) == (CANNOT_RUN, "")
    assert "did you mean 'feed'" in err


def test_sound_is_0_with_one_json_object_last(say: Say, city: Path, tmp_path: Path) -> None:
    sample = tmp_path / "sample.ndjson"
    sample.write_bytes(ndjson(reading(1, "a", 200)))
    runs: dict[tuple[str | Path, ...], Callable[[dict[str, object]], object]] = {
        ("check", city): lambda told: told["ok"] is True and told["problems"] == [],
        ("test", city): lambda told: (told["passed"], told["failed"]) == (1, 0),
        ("feed", "try", city / "feeds" / "smoke.yaml", sample): lambda told: told["total"] == 1 and told["refused"] == [],
        ("feed", "try", "smoke", sample, "--city", city): lambda told: told["total"] == 1,
        ("explain", city, "second-sensor"): lambda told: "300 m" in str(told["words"]),
        ("warm-up",): lambda told: "seconds" in told,
    }
    for words, right in runs.items():
        code, out, _ = say(*words, "--json")
        assert code == OK, words
        assert right(json.loads(out.splitlines()[-1])), out
        code, out, err = say(*words)
        assert code == OK
        assert out.strip() or err.strip()


def test_a_failing_rule_test_is_1_and_shows_what_was_raised(say: Say, city: Path) -> None:
    edit(city, "tests/smoke.yaml", "fires: [{at: 1 min}]", "fires: [{at: 1 min, sources: 3}]")
    code, out, _ = say("test", city)
    assert code == PROBLEMS
    assert "tests/smoke.yaml:2" in out
    assert "expected 3 sources, got 2" in out
    code, out, _ = say("test", city, "--json")
    assert code == PROBLEMS
    assert json.loads(out)["failed"] == 1


def test_a_file_with_bad_records_is_1_and_says_which(say: Say, city: Path, tmp_path: Path) -> None:
    sample = tmp_path / "sample.ndjson"
    sample.write_bytes(ndjson(reading(1, "a", 200), reading(2, "a", 200, y=95.0)))
    code, out, _ = say("feed", "try", city / "feeds" / "smoke.yaml", sample)
    assert code == PROBLEMS
    assert "event 1" in out
    assert "REFUSED record 2" in out
    code, out, _ = say("feed", "try", city / "feeds" / "smoke.yaml", sample, "--json")
    assert code == PROBLEMS
    told = json.loads(out)
    assert (told["total"], len(told["refused"])) == (1, 1)
    code, _, err = say("feed", "try", city / "feeds" / "smoke.yaml", tmp_path / "nowhere.ndjson")
    assert code == CANNOT_RUN
    assert "nowhere.ndjson" in err


def test_names_that_do_not_exist_are_answered_with_the_nearest(say: Say, city: Path) -> None:
    code, _, err = say("explain", city, "second-senser")
    assert code == PROBLEMS
    assert "did you mean 'second-sensor'?" in err
    code, _, err = say("feed", "try", "smok", "-", "--city", city)
    assert code == PROBLEMS
    assert "did you mean 'smoke'?" in err


def test_what_cannot_be_run_is_said_with_the_way_out(say: Say, city: Path, tmp_path: Path) -> None:
    code, _, err = say("replay", city, "--data", tmp_path / "nothing")
    assert code == CANNOT_RUN
    assert "--data" in err
    data = ("--data", tmp_path / "data")
    for words, expected in {
        ("--for", "soon"): "is not a span of time",
        ("--port", "70000"): "valid is 1 to 65535",
        ("--journal", "http://somewhere"): "nats://user:password@host:4222",
        ("--journal", "nats://somewhere:port"): "nats://user:password@host:4222",
    }.items():
        code, _, err = say("run", city, *data, "--ingest-port", "0", "--mqtt-port", "0", *words)
        assert code == PROBLEMS
        assert err.startswith(words[0])
        assert expected in err
    code, _, err = say("demo", "--city", city, "--speed", "-1", "--no-browser")
    assert code == PROBLEMS
    assert err.startswith("--speed")


BROKEN = {
    "malformed YAML": ("rules/rules.yaml", "during: 10 min}", "during: 10 min", r"rules/rules\.yaml:\d+: is not YAML"),
    "a tab": ("city.yaml", "timezone: UTC", "\ttimezone: UTC", r"city\.yaml:4: is not YAML: a tab"),
    "unknown key": ("feeds/smoke.yaml", "owner: test", "ownr: test", r"feeds/smoke\.yaml:5: unknown key 'ownr'; did you mean 'owner'\?"),
    "no retention": ("feeds/smoke.yaml", "retention: 1 day\n", "", r"feeds/smoke\.yaml:2: 'retention' is missing"),
    "impossible unit": ("rules/rules.yaml", "150 ug/m3", "150 km", r"rules/rules\.yaml:6: when\.cluster\.of: .*length"),
    "no unit": ("rules/rules.yaml", "150 ug/m3", "150 ug/m4", r"rules/rules\.yaml:6: .*ug/m4"),
    "two rules of one name": (
        "rules/rules.yaml",
        "rule: no-all-clear",
        "rule: second-sensor",
        r"rules/rules\.yaml:12: .*'second-sensor'.*rules\.yaml:2",
    ),
    "unknown operator": ("rules/rules.yaml", "cluster:", "clustr:", r"rules/rules\.yaml:6: .*'clustr'; did you mean 'cluster'\?"),
    "personal on MQTT": (
        "feeds/smoke.yaml",
        "transport: webhook",
        "transport: mqtt\npersonal: [caller]",
        r"feeds/smoke\.yaml:\d+: .*mqtt.*(stores|writes)",
    ),
    "test of no rule": (
        "tests/smoke.yaml",
        "rule: second-sensor",
        "rule: second-senser",
        r"tests/smoke\.yaml:3: .*did you mean 'second-sensor'",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_city_is_told_with_file_and_line_and_does_not_start(say: Say, city: Path, name: str) -> None:
    file, old, new, expected = BROKEN[name]
    edit(city, file, old, new)
    code, out, _ = say("check", city)
    assert code == PROBLEMS
    assert re.search(expected, out), out
    code, listed, _ = say("check", city, "--json")
    assert code == PROBLEMS
    problems = json.loads(listed)["problems"]
    assert file in {problem["file"] for problem in problems}
    code, _, err = say("run", city, "--data", city / "var", "--port", "0", "--ingest-port", "0", "--mqtt-port", "0")
    assert code == PROBLEMS
    assert re.search(expected, err), err
    assert not (city / "var").exists()


def test_a_whole_process_ends_without_a_traceback(city: Path) -> None:
    edit(city, "feeds/smoke.yaml", "purpose: find fires early\n", "")
    done = tocsin("run", city, "--data", city / "var")
    assert done.returncode == PROBLEMS
    assert done.stderr.startswith("feeds/smoke.yaml:2: 'purpose' is missing")
    assert "Traceback" not in done.stderr


def test_one_mistake_is_one_message(say: Say, tmp_path: Path) -> None:
    """In a copy of the Seattle example: a rule file that cannot be read is not followed by a complaint about every test of it."""
    city = tmp_path / "seattle"
    shutil.copytree(SEATTLE, city)
    edit(city, "rules/fire.yaml", "during: 90 min}", "during: 90 min")
    code, out, _ = say("check", city, "--json")
    assert code == PROBLEMS
    assert [problem["file"] for problem in json.loads(out)["problems"]] == ["rules/fire.yaml"]


def test_run_ends_by_itself_and_prints_what_it_came_to(city: Path) -> None:
    ports = ("--port", "0", "--ingest-port", "0", "--mqtt-port", "0")
    done = tocsin("run", city, "--data", city / "var", "--for", "1 s", "--json", *ports)
    assert done.returncode == OK, done.stderr
    told = last_json(done)
    assert (told["events"], told["alerts"], told["correlated_to_the_end"]) == (0, 0, True)
    assert set(told["feeds"]) == {"smoke"}


@pytest.mark.parametrize("made", ["lock", "nats.conf", "node.json"])
def test_ctrl_c_at_any_moment_of_a_start_ends_in_words(city: Path, made: str) -> None:
    """Begun as far as this file, or a little farther."""
    data = city / "var"
    words = ("run", city, "--data", data, "--port", "0", "--ingest-port", "0", "--mqtt-port", "0")
    with subprocess.Popen([sys.executable, "-m", "tocsin.cli", *map(str, words)], stderr=subprocess.PIPE, text=True, cwd=ROOT) as node:
        while not (data / made).exists() and node.poll() is None:
            time.sleep(0.01)
        node.send_signal(signal.SIGINT)
        _, said = node.communicate(timeout=PATIENCE)
    assert "Traceback" not in said
    assert (node.returncode, said.splitlines()[-1]) in [(CANNOT_RUN, "tocsin: interrupted"), (OK, "stopping ...")]


def test_ctrl_c_is_not_taken_for_a_sound_city(monkeypatch: pytest.MonkeyPatch, say: Say, city: Path) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("tocsin.app.checks.main", interrupted)
    assert say("check", city) == (CANNOT_RUN, "", "tocsin: interrupted\n")


def test_a_command_for_a_running_node_says_that_it_has_ended(city: Path) -> None:
    data = city / "var"
    ports = ("--port", "0", "--ingest-port", "0", "--mqtt-port", "0")
    assert tocsin("run", city, "--data", data, "--for", "1 s", *ports).returncode == OK
    done = tocsin("exercise", "start", city, "drill", "--data", data)
    assert (done.returncode, done.stderr) == (CANNOT_RUN, "tocsin exercise: ingest does not answer: it is not running\n")
    done = tocsin("search", city, "--feed", "smok", "--data", data)
    assert (done.returncode, done.stderr) == (OK, "there is no feed 'smok' in the city now; did you mean 'smoke'? known: smoke\n")
    done = tocsin("search", city, "--from", "yesterday", "--data", data)
    assert done.returncode == PROBLEMS
    assert done.stderr.startswith("--from: found 'yesterday'; valid is a time")


def test_a_node_file_of_another_version_is_told(say: Say, city: Path) -> None:
    (city / "var").mkdir()
    for content in ("", "[]", '{"later": 1}'):
        (city / "var" / "node.json").write_text(content)
        code, _, err = say("reload", city)
        assert code == CANNOT_RUN
        assert "node.json: is no node file of this version" in err
