"""Reconciliation in its process: where reading begins, and how much of the processor it takes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.app import reconcile
from tocsin.journal import times as moments
from tocsin.kernel.fault import Skippable


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.integers(1, 30), min_size=0, max_size=25).map(sorted),
    st.sets(st.integers(1, 25), max_size=12),
    st.sets(st.integers(1, 25), max_size=6),
    st.integers(1, 6),
    st.integers(0, 32),
)
async def test_reading_begins_at_the_first_entry_of_a_moment(
    times: list[int], lost: set[int], timeless: set[int], first: int, moment: int
) -> None:
    """Whatever entries are lost or know no time, and whether the beginning has been removed."""
    entries = {seq: time for seq, time in enumerate(times, 1) if seq >= first and seq not in lost}

    async def state(_stream: str) -> Any:
        return SimpleNamespace(first=min(first, len(times) + 1), last=len(times), lapsed=0)

    async def next_of(_journal: Any, _subject: str, seq: int) -> Any:
        if seq in lost:
            raise Skippable("damaged")
        found = min((one for one in entries if one >= seq), default=None)
        return None if found is None else SimpleNamespace(seq=found, ingest=0 if found in timeless else entries[found])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moments, "next_of", next_of)
        start = await reconcile.first_known_at(SimpleNamespace(state=state), moment)  # type: ignore[arg-type]
    known = {seq: time for seq, time in entries.items() if seq not in timeless}
    assert all(time < moment for seq, time in known.items() if seq < start.seq)
    assert all(time >= moment for seq, time in known.items() if seq >= start.seq)
    if not start.complete:
        assert first > 1 and start.seq == min(first, len(times) + 1)


async def test_it_sleeps_four_times_as_long_as_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, slept = 0.0, 0.0

    async def sleep(seconds: float) -> None:
        nonlocal slept
        slept += seconds

    monkeypatch.setattr(reconcile.time, "thread_time", lambda: clock)
    monkeypatch.setattr(reconcile.asyncio, "sleep", sleep)
    pause = reconcile.Pause()
    for work in (0.001, 0.002, 0.003, 0.1, 0.0001, 0.02) * 20:
        clock += work
        await pause()
    assert slept == pytest.approx((reconcile.SHARE - 1) * clock, rel=0.05)
    clock = slept = 0.0
    pause = reconcile.Pause(lambda: True)  # events wait
    for work in (0.001, 0.002, 0.003, 0.1, 0.0001, 0.02) * 20:
        clock += work
        await pause()
    assert slept == pytest.approx((reconcile.SHARE_BEHIND - 1) * clock, rel=0.05)
