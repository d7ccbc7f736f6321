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
DRAFT = """rule: mine
title: Mine
why: To see.
when:
  match: {of: "fire.smoke where value >= 150 ug/m3"}
alert: {severity: minor, headline: "Smoke"}
"""


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
    asked = httpx.post(base, json={"rule": "mine", "text": DRAFT, **SPAN}, timeout=60)
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
    job = httpx.post(base, json={"rule": "mine", "text": DRAFT, **SPAN}, timeout=60).json()
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
    ended = _ended(
        base, httpx.post(base, json={"rule": "mine", "text": DRAFT, "sweep": "match.nonsense=1..2", **SPAN}, timeout=60).json()["id"]
    )
    assert ended["state"] == "failed" and "nonsense" in ended["error"], "what only the archive or the rule shows is said by the job"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (DRAFT.replace("when:", "wen:"), 4, "unknown key 'wen'"),
        ("# why\n\n---\n# what\n" + DRAFT.replace("when:", "wen:"), 8, "unknown key 'wen'"),
        (DRAFT.replace(" where ", " whre "), 5, "whre"),
        (DRAFT + "title: [\n", 7, "title"),
        (DRAFT + "---\n" + DRAFT, 0, "holds 2 rules; exactly one is expected"),
        ("# nothing\n", 0, "holds 0 rules; exactly one is expected"),
    ],
    ids=["key", "below a comment", "condition", "written twice", "two rules", "no rule"],
)
@pytest.mark.parametrize(("key", "file"), [("text", "rule.yaml"), ("against_text", "against.yaml")])
def test_mistakes_of_a_draft_are_named_by_line_at_once(base: str, key: str, file: str, text: str, line: int, words: str) -> None:
    before = len(httpx.get(base, timeout=60).json()["items"])
    refused = httpx.post(base, json={"rule": "smoke", key: text, **SPAN}, timeout=60)
    assert refused.status_code == 422 and refused.headers["content-type"] == "application/problem+json", refused.text
    told = refused.json()
    assert told["type"] == "urn:tocsin:problem:invalid-rule"
    place = f"{file}:{line}" if line else file
    assert any(one["parameter"] == place and words in f"{one['found']}; {one['valid']}" for one in told["errors"]), told["errors"]
    assert all(one["parameter"].split(":")[0] == file for one in told["errors"])
    assert f"{place}: " in told["detail"]
    assert len(httpx.get(base, timeout=60).json()["items"]) == before, "no job was made of it"


def _ended(base: str, name: str) -> dict[str, Any]:
    for _ in range(3000):
        job: dict[str, Any] = httpx.get(f"{base}/{name}", timeout=60).json()
        if job["state"] not in {"waiting", "running"}:
            return job
        time.sleep(0.1)
    raise AssertionError(job)
