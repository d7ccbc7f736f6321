"""Supervision in the small, without the processes of a node: what cannot be started is tried again, and whoever is told to end does, whatever comes in that moment."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tocsin.app.children import Birth, Births, Child, Family
from tocsin.app.layout import Layout
from tocsin.app.nursery import Know, Nest, spawn
from tocsin.app.shard import Post


class Nobody:
    """Births that fail as often as they are told to; then a child that lives until it is ended."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.born: list[Birth] = []

    async def start(self, name: str, data: Path, log: Path) -> Birth:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        self.born.append(Birth(len(self.born)))
        return self.born[-1]

    async def go(self, birth: Birth) -> None:
        pass


async def test_a_child_that_cannot_be_started_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.app.children.Backoff", lambda base, cap: SimpleNamespace(next=lambda: 0.01, reset=lambda: None))
    said: list[str] = []
    births: Any = Nobody(failures=2)
    child = Child("keep", tmp_path, tmp_path / "keep.log", births, said.append)
    child.start()
    async with asyncio.timeout(120):
        while not births.born:
            await asyncio.sleep(0.01)
    assert said == ["keep cannot be started: [Errno 11] Resource temporarily unavailable; trying again"] * 2
    births.born[0].end(1)
    async with asyncio.timeout(120):
        while len(births.born) < 2:
            await asyncio.sleep(0.01)
    assert said[-1].startswith("keep ended with 1; starting it again")
    births.born[1].end(0)
    async with asyncio.timeout(120):
        await child.stop()


@pytest.mark.parametrize("turns", range(6))
async def test_a_post_that_is_ended_in_the_moment_it_gets_news_ends(turns: int) -> None:
    """`asyncio.wait_for` of Python 3.11 would swallow the cancellation, and the process would go on for ever with its other tasks gone."""

    async def publish(subject: str, payload: bytes) -> None:
        pass

    post = Post(SimpleNamespace(publish=publish), None, 0, 0, 0)  # type: ignore[arg-type]
    task = asyncio.create_task(post.run())
    while not post._news._waiters:
        await asyncio.sleep(0)
    post._news.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=60)
    assert done == {task}
    assert task.cancelled()


def frozen() -> Nest:
    """A nursery that never gets as far as to listen."""
    nest = spawn()
    os.kill(nest[0].pid, signal.SIGSTOP)
    return nest


async def test_nobody_waits_for_ever_for_a_child_that_a_frozen_nursery_never_bears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Child.stop, "__defaults__", (0.2,))
    nest, said, layout = frozen(), list[str](), Layout(tmp_path)
    layout.create()
    async with asyncio.timeout(120), Births(said.append, nest) as births:
        family = Family(layout, births, said.append)
        family.start("serve")
        while len(births._alive) < 1:
            await asyncio.sleep(0)
        await family.aclose()
    assert nest[0].returncode == -signal.SIGKILL
    assert said[0] == "serve was not born within 0.2 s; killing the process that starts the others"


async def test_a_nursery_that_was_frozen_while_it_was_told_something_large_does_not_keep_the_node_from_ending() -> None:
    nest = frozen()
    async with asyncio.timeout(120):
        async with Births(lambda _: None, nest) as births:
            telling = asyncio.create_task(births.know(Know(bytes(32 << 20))))
            while not births._one.locked():
                await asyncio.sleep(0)
        await telling
    assert nest[0].returncode == -signal.SIGKILL
