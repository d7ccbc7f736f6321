"""Delivering with patience: while the house cannot take a message, its source waits; nothing is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from tocsin.feeds.contract import Message, Receipt, Sink
from tocsin.kernel.backoff import Backoff
from tocsin.kernel.fault import Retriable

T = TypeVar("T")


async def deliver_patiently(sink: Sink, message: Message, cap: float = 30.0) -> Receipt:
    """Delivers again and again until it is taken. `cap`: longest wait between two attempts, seconds."""
    backoff = Backoff(base=0.1, cap=cap)
    while True:
        try:
            return await sink.deliver(message)
        except Retriable as fault:
            await asyncio.sleep(max(fault.after or 0.0, backoff.next()))


async def deliver_in_order(
    messages: AsyncIterable[T],
    deliver: Callable[[T], Coroutine[Any, Any, object]],
    confirm: Callable[[T], Awaitable[None]],
    in_flight: int,
) -> None:
    """Delivers up to `in_flight` messages side by side and confirms each after its delivery, in the order they came.

    Ends with the messages. On any fault what is under way is cancelled unconfirmed, and the fault is raised.
    """
    flying: asyncio.Queue[tuple[T, asyncio.Task[object]] | None] = asyncio.Queue(in_flight)

    async def confirm_all() -> None:
        while (next_one := await flying.get()) is not None:
            message, delivery = next_one
            await delivery
            await confirm(message)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(confirm_all())
            async for message in messages:
                await flying.put((message, group.create_task(deliver(message))))
            await flying.put(None)
    except ExceptionGroup as faults:
        raise faults.exceptions[0] from None
