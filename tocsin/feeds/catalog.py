"""Every transport by name. A module is imported when a feed uses it, so a laptop without MQTT feeds loads no MQTT client."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from tocsin.kernel.clock import Clock
from tocsin.kernel.fault import Misconfigured, Problem, nearest
from tocsin.model.feed import FeedSpec

from .contract import Transport
from .options import Option, read_options
from .turns import Turns
from .webhook_hub import Hub

#: name -> module:class. The class takes (spec, options, context); the module declares `OPTIONS`.
TRANSPORTS: Final[Mapping[str, str]] = {
    "webhook": "webhook:Webhook",
    "mqtt": "mqtt:Mqtt",
    "mqtt_broker": "mqtt_broker:MqttBroker",
    "http_poll": "http_poll:HttpPoll",
    "file_tail": "file_tail:FileTail",
    "replay": "replay:Replay",
}

#: These write a message down as it came before it is decoded, so a feed with personal fields must not use them.
STORES_RAW: Final = frozenset({"mqtt"})

#: (feed, opened) -> raw messages published for it to the embedded server, each with what confirms it; calls `opened` when it listens.
Inbox = Callable[[str, Callable[[], None]], AsyncIterator[tuple[bytes, Callable[[], Awaitable[None]]]]]


@dataclass(frozen=True, slots=True)
class Context:
    """What transports may use of the node. `data`: its data directory; `root`: the city directory, for relative paths.
    `progress` (feed, 0 to 1) and `shed` (feed, messages lost) go to the feed's health; the supervisor sets them. `turns`: who may play
    its recording. `until`: city time at which recordings end, whatever more they have, µs."""

    clock: Clock
    data: Path
    root: Path
    hub: Hub
    inbox: Inbox
    progress: Callable[[str, float], None] = lambda _feed, _part: None
    shed: Callable[[str, int], None] = lambda _feed, _count: None
    turns: Turns = field(default_factory=Turns)
    until: int | None = None


def declared_options(name: str) -> Mapping[str, Option]:
    """The options of a transport. Raises KeyError for an unknown one."""
    module = importlib.import_module(f".transports.{TRANSPORTS[name].partition(':')[0]}", __package__)
    return cast(Mapping[str, Option], module.OPTIONS)


def problems(spec: FeedSpec) -> list[Problem]:
    """What is wrong with the transport part of a feed, for `tocsin check`."""
    try:
        options_of(spec)
    except Misconfigured as fault:
        return list(fault.problems)
    return []


def make_transport(spec: FeedSpec, context: Context) -> Transport:
    """Raises `Misconfigured`."""
    options = options_of(spec)
    module, _, name = TRANSPORTS[spec.transport.name].partition(":")
    made = getattr(importlib.import_module(f".transports.{module}", __package__), name)
    return cast(Transport, made(spec, options, context))


def options_of(spec: FeedSpec) -> dict[str, Any]:
    """The options of a feed's transport, checked. Raises Misconfigured."""
    name = spec.transport.name
    if name not in TRANSPORTS:
        raise Misconfigured([Problem(spec.file, spec.line, f"feed {spec.name}: no transport {name!r}; {nearest(name, TRANSPORTS)}")])
    if spec.personal and name in STORES_RAW:
        words = (
            f"feed {spec.name}: declares personal fields, but the {name} transport stores every message as it came before they can be dropped; "
            f"use one of {', '.join(sorted(TRANSPORTS.keys() - STORES_RAW))}"
        )
        raise Misconfigured([Problem(spec.file, spec.line, words)])
    return read_options(spec, declared_options(name))
