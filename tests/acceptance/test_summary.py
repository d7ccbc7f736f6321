"""The end of a run that is summed up: what the feeds brought is waited for as long as it is being read, however slow the machine."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tocsin.app import summary


class Slow:
    """A node whose correlator reads one entry whenever it is asked, up to `stuck`."""

    def __init__(self, entries: int, stuck: int) -> None:
        self.entries, self.stuck, self.asked, self.stopped = entries, stuck, 0, list[str]()
        self.journal = self.children = self

    async def stop(self, name: str) -> None:
        self.stopped.append(name)

    @property
    def health(self) -> dict[str, dict[str, Any]]:
        self.asked += 1
        done = min(self.asked // 2, self.stuck)
        return {"ingest": {"last": True}, "correlate": {"last_seq": done, "untold": 0}}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def last(node: Slow) -> int:
        return node.entries

    async def sleep(_seconds: float) -> None:
        pass

    monkeypatch.setattr(summary, "last_seq", last)
    monkeypatch.setattr(summary, "asyncio", SimpleNamespace(sleep=sleep))


@pytest.mark.parametrize(("stuck", "whole"), [(10_000, True), (9_000, False)], ids=["slow", "stuck"])
async def test_a_correlator_that_gets_on_is_waited_for_and_one_that_does_not_is_given_up(stuck: int, whole: bool) -> None:
    node: Any = Slow(10_000, stuck)
    async with asyncio.timeout(60):
        assert await summary.fell_silent(node, patience=10.0) == whole
    assert node.stopped == ["ingest"]
    assert node.asked // 2 >= (10_000 if whole else 9_000 + 50)  # a hundred looks in vain, two questions each
