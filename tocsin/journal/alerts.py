"""The ALERTS stream: what the engine says and what operators do, appended and read back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from tocsin.kernel.fault import Skippable
from tocsin.model.alert import Alert, Transition
from tocsin.model.exercise import alert_subject, is_exercise

from . import codec, streams
from .connection import Ack, Journal
from .encode import MSG_ID
from .fence import PREFIX, Fence
from .nats_conf import subject_token
from .reader import DamagedEntry, Report, last_seq, stored, verified


async def publish_alert(
    journal: Journal,
    alert: Alert,
    msg_id: str | None = None,
    patience: float = 10.0,
    times: Mapping[str, int] | None = None,
    fence: Fence | None = None,
) -> Ack:
    """Journals one revision. `msg_id` defaults to id and revision: the server refuses the same revision twice (for two
    minutes; the view refuses it for ever). `times`: header -> wall clock ns (`encode.WALL`, `READ`, `TOLD`), for latency figures
    only. `fence`: behind which this process publishes, None where it is the only one. Raises as `Journal.append`, and Fenced."""
    identity = msg_id or f"{alert.id}.{alert.revision}.{alert.status}"
    headers = {MSG_ID: identity} | {name: str(at) for name, at in (times or {}).items()}
    subject, content = alert_subject(alert.id, f"alert.{subject_token(alert.rule)}"), codec.encode(alert)
    if fence is None:
        return await journal.append(subject, content, headers, patience)
    return await fence.append(journal, subject, content, headers, patience)


async def publish_transition(journal: Journal, transition: Transition, msg_id: str | None = None, patience: float = 10.0) -> Ack:
    """Journals what an operator did. Raises as `Journal.append`."""
    identity = msg_id or f"{transition.alert}.{transition.at}.{transition.to}.{transition.by}"
    subject = alert_subject(transition.alert, f"transition.{subject_token(transition.alert)}")
    return await journal.append(subject, codec.encode(transition), {MSG_ID: identity}, patience)


async def read_alerts(
    journal: Journal,
    start_seq: int,
    *,
    follow: bool = True,
    until: int | None = None,
    on_damage: Report | None = None,
    exercise: bool = False,
) -> AsyncIterator[tuple[int, str, dict[str, Any]]]:
    """(stream sequence, subject, JSON object) from `start_seq` on; see `reader.read`. Alerts of an exercise, and what people do to them, are given
    only with `exercise`: whoever tells anybody outside must not ask for them."""
    if not follow and until is None:
        until = await last_seq(journal, streams.ALERTS)
    async for raw in verified(journal, streams.ALERTS, start_seq, until, on_damage):
        if raw.subject.startswith(PREFIX):  # says who may publish, nothing about alerts
            continue
        if not exercise and is_exercise(raw.subject):
            continue
        try:
            content = codec.decode_object(raw.data)
        except Skippable as error:
            journal.counters.damaged += 1
            if on_damage is not None:
                on_damage(DamagedEntry(streams.ALERTS, raw.seq, raw.seq, "damaged", str(error)))
            continue
        yield raw.seq, raw.subject, content


async def first_told_at(journal: Journal, moment: int) -> int:
    """Sequence of the first message of ALERTS that was told at journal clock `moment` (µs) or later, by halving; one more than the last when there is
    none. Raises Retriable."""
    state = await journal.state(streams.ALERTS)
    low, high = max(state.first, 1), state.last + 1
    while low < high:
        middle = (low + high) // 2
        seq, clock = await _clock_from(journal, middle, high)
        if clock is None or clock >= moment:
            high = middle
        else:
            low = seq + 1
    return low


async def _clock_from(journal: Journal, seq: int, end: int) -> tuple[int, int | None]:
    """The first message from `seq` on, before `end`, that tells a journal clock."""
    while seq < end:
        raw = await stored(journal, streams.ALERTS, seq)
        if raw is not None and not raw.subject.startswith("lost."):
            try:
                content = codec.decode_object(raw.data)
            except Skippable:
                content = {}  # damaged; the readers count it
            clock = content.get("updated", content.get("at"))
            if clock is not None:
                return seq, int(clock)
        seq += 1
    return end, None
