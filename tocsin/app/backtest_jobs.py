"""Back-tests that were asked for through the API: each in a child process, a few at a time, results kept in the data directory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tocsin.kernel.clock import Clock
from tocsin.kernel.fault import Misconfigured, Problem
from tocsin.model.time import to_iso

Json = dict[str, Any]
#: Back-tests that run beside one another, that wait, whose results are kept; seconds one may take.
AT_ONCE, WAITING, KEPT = 1, 8, 50
SECONDS: Final = 3_600.0
_OPTIONS: Final = ("from", "to", "against", "order", "sweep", "incidents", "within", "before", "after", "budget", "near", "warm_up")
#: Rules that are not the city's, by their key: what their mistakes call them.
_DRAFTS: Final = {"text": "rule.yaml", "against_text": "against.yaml"}
_NAME: Final = re.compile(r"[0-9a-f]{16}")
_WORDS: Final = 4_000  # characters of an error that are kept
_LINES: Final = 200
_CRASH: Final = "Traceback (most recent call last):"
log = logging.getLogger(__name__)
#: A line of the child is at most a progress report or one line of an error.
_LINE: Final = 1 << 20


@dataclass(slots=True)
class Job:
    """`state`: waiting, running, done, failed, cancelled."""

    id: str
    question: Json
    asked: int
    state: str = "waiting"
    ended: int | None = None
    progress: Json = field(default_factory=lambda: {"done": 0.0, "clock": None, "alerts": 0, "events": 0})
    error: str | None = None

    def as_json(self) -> Json:
        ended = None if self.ended is None else to_iso(self.ended)
        return {
            "id": self.id,
            "state": self.state,
            "rule": self.question["rule"],
            "question": self.question,
            "asked": to_iso(self.asked),
            "ended": ended,
            "progress": self.progress,
            "error": self.error,
        }


class Jobs:
    """`api.backtests.Backtests`. `folder`: one folder a job, with `job.json` and `result.json`."""

    def __init__(self, city: Path, data: Path, folder: Path) -> None:
        self._city = city
        self._data = data
        self._folder = folder
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._clock = Clock()
        self._known()

    def _known(self) -> None:
        """Jobs of an earlier life of this process: those that had not ended were ended with it."""
        for path in sorted(self._folder.glob("*/job.json")):
            with contextlib.suppress(OSError, ValueError, TypeError):
                found = json.loads(path.read_text())
                job = Job(**found)
                if job.state in {"waiting", "running"}:
                    job.state, job.error = "failed", "the server was stopped meanwhile; ask again"
                self._jobs[job.id] = job

    async def start(self, question: Mapping[str, Any]) -> Json:
        """Raises ValueError when too many wait already, Misconfigured when a draft is no rule of this city."""
        drafts = {file: question[key] for key, file in _DRAFTS.items() if key in question}
        if drafts and (problems := await asyncio.to_thread(_wrong, self._city, drafts)):
            raise Misconfigured(problems)
        if sum(job.state == "waiting" for job in self._jobs.values()) >= WAITING:
            raise ValueError(f"{WAITING} back-tests wait already; wait for one to end, or cancel one")
        job = Job(secrets.token_hex(8), dict(question), self._clock.now())
        self._jobs[job.id] = job
        await asyncio.to_thread(self._save, job)
        self._tasks[job.id] = asyncio.create_task(self._run(job), name=f"back-test {job.id}")
        await asyncio.to_thread(self._forget)
        return job.as_json()

    def jobs(self) -> Sequence[Json]:
        """Newest first."""
        return [job.as_json() for job in sorted(self._jobs.values(), key=lambda one: -one.asked)]

    def job(self, name: str) -> Json | None:
        job = self._jobs.get(name)
        return None if job is None else job.as_json()

    def result(self, name: str) -> bytes | None:
        """None while there is none."""
        job = self._jobs.get(name)
        if job is None or job.state != "done" or not _NAME.fullmatch(name):
            return None
        with contextlib.suppress(OSError):
            return (self._folder / name / "result.json").read_bytes()
        return None

    async def cancel(self, name: str) -> Json | None:
        """Kills it, if it has not ended."""
        job, task = self._jobs.get(name), self._tasks.get(name)
        if job is None:
            return None
        if task is not None and not task.done():
            job.state = "cancelled"
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._end(job)
        return job.as_json()

    async def close(self) -> None:
        """Kills all of them."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for name in list(self._tasks):
            self._end(self._jobs[name])

    async def _run(self, job: Job) -> None:
        try:
            async with self._slots:
                job.state = "running"
                async with asyncio.timeout(SECONDS):
                    await self._child(job)
        except TimeoutError:
            job.state, job.error = "failed", f"it took longer than {SECONDS:g} s; ask about a shorter span"
        except OSError as fault:
            job.state, job.error = "failed", f"it could not be started: {fault}"
        finally:
            self._end(job)

    def _end(self, job: Job) -> None:
        """Whatever became of it; one that was waiting never began."""
        if self._tasks.pop(job.id, None) is None:
            return
        if job.state in {"waiting", "running"}:
            job.state, job.error = "failed", "the server was stopped meanwhile; ask again"
        job.ended = self._clock.now()
        self._save(job)

    async def _child(self, job: Job) -> None:
        folder = self._folder / job.id
        words: list[str] = []
        with (folder / "result.json").open("wb") as out:
            child = await asyncio.create_subprocess_exec(
                *self._command(job), stdout=out, stderr=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL, limit=_LINE
            )
            try:
                assert child.stderr is not None
                async for line in child.stderr:
                    self._heard(job, line.decode(errors="replace").rstrip(), words)
                code = await child.wait()
            finally:
                if child.returncode is None:
                    child.kill()
                    await child.wait()
        job.state = "done" if code == 0 else "failed"
        if code == 0:
            job.progress = job.progress | {"done": 1.0}
        else:
            job.error = _said(words, code)
            if _CRASH in words:
                log.error("back-test %s of %s crashed:\n%s", job.id, job.question["rule"], "\n".join(words))

    def _heard(self, job: Job, line: str, words: list[str]) -> None:
        if line.startswith('{"progress"'):
            with contextlib.suppress(ValueError):
                job.progress = json.loads(line)["progress"]
        elif line:
            own = f"{self._folder / job.id}/"  # a draft's mistakes are in `rule.yaml:3`, wherever the node keeps it
            words.append(line.removeprefix("tocsin backtest: ").replace(own, ""))
            del words[:-_LINES]

    def _command(self, job: Job) -> list[str]:
        asked = job.question
        rule = asked["rule"]
        if "text" in asked:
            rule = self._draft(job, "text")
        command = [
            sys.executable,
            "-m",
            "tocsin",
            "backtest",
            str(self._city),
            rule,
            "--data",
            str(self._data),
            "--json",
            "--progress-lines",
        ]
        if "against_text" in asked:
            asked = asked | {"against": self._draft(job, "against_text")}
        return command + [f"--{name.replace('_', '-')}={asked[name]}" for name in _OPTIONS if name in asked]

    def _draft(self, job: Job, key: str) -> str:
        """Where the child finds a rule that is not the city's."""
        path = self._folder / job.id / _DRAFTS[key]
        path.write_text(job.question[key], encoding="utf-8")
        return str(path)

    def _save(self, job: Job) -> None:
        folder = self._folder / job.id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = {name: getattr(job, name) for name in ("id", "question", "asked", "state", "ended", "progress", "error")}
        aside = folder / "job.json.new"
        aside.write_text(json.dumps(kept))
        aside.replace(folder / "job.json")

    def _forget(self) -> None:
        """The oldest that have ended."""
        ended = sorted((job for job in self._jobs.values() if job.ended is not None or job.state == "failed"), key=lambda one: one.asked)
        for job in ended[: max(0, len(self._jobs) - KEPT)]:
            del self._jobs[job.id]
            shutil.rmtree(self._folder / job.id, ignore_errors=True)


def _wrong(city: Path, drafts: Mapping[str, str]) -> list[Problem]:
    from .backtest_rules import check  # it takes a second that only drafts need

    return check(city, drafts)


def _said(words: list[str], code: int) -> str:
    """What a child that failed said, for people: of a crash its last words; the log has the rest."""
    if _CRASH in words:
        return f"it crashed, which is a defect of Tocsin: {words[-1]}; the log of serve says where"[-_WORDS:]
    return "\n".join(words)[-_WORDS:] or f"it ended with code {code}"
