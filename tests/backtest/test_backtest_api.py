"""`/api/v1/backtests` through a real server: asked, watched, read, stopped; wrong questions are refused with what would be valid."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_world import World
from city import made

from tocsin.app.backtest_jobs import Jobs

SPAN = {"from": "2017-07-14T02:00:00Z", "to": "2017-07-18T00:00:00Z", "near": 0}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("backtests")
    city, data, _ = made(folder)
    jobs = Jobs(city, data, folder / "jobs")
    (folder / "world").mkdir()
    with World(folder / "world", backtests=jobs).serving() as world:
        yield world.base + "/api/v1/backtests"


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Back-tests begin when this file is there."""
    made_, command = tmp_path / "go", Jobs._command
    waits = ["sh", "-c", 'until [ -e "$0" ]; do sleep 0.1; done; exec "$@"', str(made_)]
    monkeypatch.setattr(Jobs, "_command", lambda jobs, job: [*waits, *command(jobs, job)])
    return made_


def test_from_the_question_to_the_result(base: str, gate: Path) -> None:
    text = """rule: mine
title: Mine
why: To see.
when:
  match: {of: "fire.smoke where value >= 150 ug/m3"}
alert: {severity: minor, headline: "Smoke"}
"""
    asked = httpx.post(base, json={"rule": "mine", "text": text, **SPAN}, timeout=60)
    assert asked.status_code == 202, asked.text
    job = asked.json()
    assert job["state"] in {"waiting", "running"} and asked.headers["location"].endswith(job["id"])
    early = httpx.get(f"{base}/{job['id']}/result", timeout=60)
    assert early.status_code == 409 and "no result" in early.json()["detail"]
    gate.touch()
    job = _ended(base, job["id"])
    assert job["state"] == "done" and job["progress"]["done"] == 1.0, job
    result = httpx.get(f"{base}/{job['id']}/result", timeout=60).json()
    assert result["rule"]["name"] == "mine" and result["summary"]["alerts"] > 10
    assert [one["id"] for one in httpx.get(base, timeout=60).json()["items"]] == [job["id"]]
    stopped = httpx.post(f"{base}/{job['id']}/cancel", json={}, timeout=60)
    assert stopped.json()["state"] == "done", "of one that has ended nothing changes"


@pytest.mark.usefixtures("gate")
def test_cancel(base: str) -> None:
    job = httpx.post(base, json={"rule": "mine", "text": "rule: mine", **SPAN}, timeout=60).json()
    assert httpx.post(f"{base}/{job['id']}/cancel", json={}, timeout=60).json()["state"] == "cancelled"
    assert httpx.get(f"{base}/{job['id']}", timeout=60).json()["state"] == "cancelled"


def test_what_is_wrong_is_said(base: str) -> None:
    unknown = httpx.post(base, json={"rule": "smok", **SPAN}, timeout=60)
    assert unknown.status_code == 422 and "smok" in unknown.text and "smoke" in unknown.json()["errors"][0]["valid"]
    assert httpx.post(base, json={"rule": "smoke", "against": "nothing", **SPAN}, timeout=60).status_code == 422
    assert httpx.post(base, json={"rule": "smoke"}, timeout=60).status_code == 422
    assert httpx.post(base, json={"rule": "smoke", "colour": "red", **SPAN}, timeout=60).status_code == 422
    for path in ("nothing", "nothing/result"):
        assert httpx.get(f"{base}/{path}", timeout=60).status_code == 404
    job = httpx.post(base, json={"rule": "mine", "text": "rule: mine\nwen: {}", **SPAN}, timeout=60).json()
    ended = _ended(base, job["id"])
    assert ended["state"] == "failed" and "wen" in ended["error"]
    lines = ended["error"].splitlines()
    assert any(line.startswith("rule.yaml:2: ") for line in lines) and not any("/" in line.split(": ")[0] for line in lines), lines


def _ended(base: str, name: str) -> dict[str, Any]:
    for _ in range(3000):
        job: dict[str, Any] = httpx.get(f"{base}/{name}", timeout=60).json()
        if job["state"] not in {"waiting", "running"}:
            return job
        time.sleep(0.1)
    raise AssertionError(job)
