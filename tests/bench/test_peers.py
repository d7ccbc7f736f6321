"""The bench's own parts: the peers' answers equal ours, programs apart are measured and their failures told, missing ones are named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import apart, environments, hot, jobs, measure, report, tree
from bench.peers.apart import folder as exchange
from bench.peers.plain import Plain
from bench.peers.tables import floors, rule_rows
from bench.stream import Stream, generate

ROOT = Path(__file__).parents[2]
JOBS = ("threshold", "cluster", "sequence", "absence", "dense", "mixed-100")


def stream(n: int = 6000, span: float = 60.0) -> Stream:
    return hot.in_order(generate(n, span))


def plain_keys(job: str, events: Stream) -> np.ndarray:
    plain = Plain(rule_rows(jobs.plan(jobs.operators(job), 0)))
    for start in range(0, len(events), 1000):
        plain.push(events, start, min(start + 1000, len(events)))
    plain.finish()
    return np.unique(np.array([rule << 40 | position for rule, position in plain.answers], np.int64))


@pytest.mark.parametrize("job", JOBS)
def test_plain_python_answers_as_the_engine_does(job: str) -> None:
    events = stream()
    _, ours = measure.measure("tocsin", job, 0, events, 500)
    assert len(ours) > 0
    assert np.array_equal(ours, plain_keys(job, events))


@pytest.mark.parametrize("job", JOBS)
def test_the_function_node_answers_as_plain_python_does(job: str) -> None:
    events = stream()
    columns = (events.time, events.kind, events.source, events.lon, events.lat, events.value)
    rows = zip(range(len(events)), *(column.tolist() for column in columns), strict=True)
    sent = [dict(zip(("seq", "t", "k", "s", "lon", "lat", "v"), row, strict=True)) for row in rows]
    rules = rule_rows(jobs.plan(jobs.operators(job), 0))
    done = subprocess.run(
        ["node", str(ROOT / "tests/bench/run_function.js"), str(ROOT / "bench/peers/nodered/function.js")],
        input=json.dumps({"rules": rules, "events": sent}), capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = np.unique(np.array([rule << 40 | position for rule, position in json.loads(done.stdout)["found"]], np.int64))
    assert np.array_equal(found, plain_keys(job, events))


def as_engine(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    program = str(ROOT / "tests" / "bench" / "engine_for_tests.py")
    monkeypatch.setattr(environments, "command", lambda name, folder: [sys.executable, program, str(folder), how])


def test_an_engine_apart_is_measured_in_two_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    as_engine(monkeypatch, "well")
    events = stream()
    row, keys = apart.measure("bytewax", "cluster", events, 100, 30.0)
    assert np.array_equal(keys, plain_keys("cluster", events))
    assert row["events"] == len(events)
    assert row["version"] == "plain 1.0"
    assert row["start_s"] > 0
    assert row["peak_mb"] > 10
    assert row["p50_ms"] is not None and row["p50_ms"] <= row["p99_ms"]


@pytest.mark.parametrize(("how", "words"), [("dies", "no such thing"), ("hangs", "nothing for 1 s")])
def test_an_engine_that_fails_says_how(monkeypatch: pytest.MonkeyPatch, how: str, words: str) -> None:
    as_engine(monkeypatch, how)
    with pytest.raises(apart.Failed, match=words):
        apart.run("bytewax", "cluster", stream(500), 100, 1.0)


def test_a_failed_peer_is_a_row_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    as_engine(monkeypatch, "dies")
    row = hot.peer("bytewax", "cluster", stream(500), 100, 1.0, {})
    assert row["events"] == 0
    assert "no such thing" in row["note"]
    assert "no such thing" in report.show([row])
    assert report.factors([row]) == ""


def test_a_peer_that_is_not_installed_is_a_row_that_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENCH_PEERS", str(tmp_path))
    (tmp_path / "pathway.why").write_text("no room on this disk\n")
    code = hot.main(
        [
            "--peers",
            "bytewax,pathway",
            "--no-install",
            "--no-own",
            "--jobs",
            "cluster",
            "--compare-events",
            "2000",
            "--batches",
            "1000",
            "--json",
        ]
    )
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["rows"]
    notes = {row["engine"]: row.get("note") for row in rows}
    assert code == 0
    assert notes["bytewax"] == "missing: not installed: run scripts/bench_peers.sh"
    assert notes["pathway"] == "missing: not installed: no room on this disk"
    assert rows[0]["engine"] == "tocsin" and rows[0]["events"] == 2000 and rows[0]["answers_equal"] is None


def test_a_printed_row_names_job_and_rules_apart() -> None:
    told = [report.plain({"job": job, "rules": 7}) for job in ("mixed-1000", "mixed-1000 (late)", "density-10", "cluster (on time)")]
    assert [(row["job"], row["late"]) for row in told] == [("mixed", False), ("mixed", True), ("density-10", False), ("cluster", False)]


def test_wrong_answers_are_told_and_fail_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    as_engine(monkeypatch, "well")
    honest = apart.run
    monkeypatch.setattr(apart, "run", lambda *a: (done := honest(*a), setattr(done, "keys", done.keys[:-1]))[0])
    row = hot.peer("bytewax", "cluster", stream(), 1000, 30.0, {})
    assert row["answers_equal"] is False
    assert "NO" in report.show([row])


def test_the_folder_brings_events_and_rules_over_unchanged(tmp_path: Path) -> None:
    rows = rule_rows(jobs.plan(jobs.operators("mixed-100"), 0))
    events = stream(500)
    exchange.write(tmp_path, events, rows, floors(rows), 7)
    program = "import sys; from pathlib import Path; from bench.peers.apart.folder import Folder; import json;"
    program += "f = Folder(Path(sys.argv[1])); json.dump([f.rules, f.batch, f.stream.value.tolist(), f.cuts()[-1]], f._say)"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    rules, batch, values, last = json.loads(done.stdout)
    assert {name: [tuple(row) for row in some] for name, some in rules.items()} == rows
    assert (batch, values, last) == (7, events.value.tolist(), [497, 500])


def test_the_family_of_a_process_is_counted_and_ended_whole() -> None:
    program = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'x = bytearray(80_000_000); print(1, flush=True); input()']); p.wait()"
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdin is not None
    process.stdout.readline()
    family = tree.family(process.pid)
    assert len(family) == 2
    assert tree.rss_mb(process.pid) > 80
    tree.kill(process.pid)
    assert process.wait() != 0
    process.stdout.close()
    process.stdin.close()


def test_the_script_names_the_peers_it_knows(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", str(ROOT / "scripts/bench_peers.sh"), "esper"],
        env=os.environ | {"BENCH_PEERS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "unknown peer esper; known: bytewax pathway nodered flink spark" in done.stderr


def test_what_cannot_be_installed_leaves_its_reason(tmp_path: Path) -> None:
    """Without a Node.js on the path, Node-RED cannot be had: the script goes on, fails at the end, and the reason is where bench.hot looks."""
    for tool in ("sh", "dirname", "mkdir", "cmp", "sed", "head", "grep", "tail", "cat", "id", "rm", "cp"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or "")
    home = tmp_path / "peers"
    done = subprocess.run(
        ["sh", str(ROOT / "scripts/bench_peers.sh"), "nodered"],
        env={"PATH": str(tmp_path), "BENCH_PEERS": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "node was not found" in (home / "nodered.why").read_text()
    assert "nodered: could not be installed" in done.stderr


def test_jobs_by_name() -> None:
    assert jobs.known("mixed-7") and jobs.known("density-30") and jobs.known("cluster")
    assert not jobs.known("mixed-0") and not jobs.known("density-31") and not jobs.known("clusters")
    events = stream()
    shares = [jobs.passing(job, events) for job in ("cluster", *(f"density-{percent}" for percent in jobs.DENSITIES), "dense")]
    assert shares == sorted(set(shares)) and shares[-1] == 1.0


def test_a_factor_takes_the_better_rate_of_the_peer() -> None:
    base = {"job": "cluster", "batch": 1000, "events": 10, "answers_equal": True}
    rows = [
        {**base, "engine": "tocsin", "cpu_events_per_s": 1000},
        {**base, "engine": "python", "cpu_events_per_s": 50},
        {**base, "engine": "flink", "cpu_events_per_s": 5, "marginal_cpu_events_per_s": 100},
    ]
    assert "10.0x" in report.factors(rows) and "flink" in report.factors(rows)
