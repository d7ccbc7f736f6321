"""A node: one city, one data directory, five processes under supervision; `tocsin run`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import json
import os
import pickle
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tocsin.correlate.shards.matches import FORMAT
from tocsin.correlate.shards.regions import Regions, around
from tocsin.journal import matches
from tocsin.journal.connection import Journal, connect
from tocsin.journal.endpoint import Endpoint
from tocsin.journal.server import EmbeddedServer
from tocsin.kernel.clock import Clock
from tocsin.kernel.fault import Fatal, Misconfigured, Problem
from tocsin.kernel.ports import free_port
from tocsin.model.city import City
from tocsin.model.time import parse_span, to_iso

from . import inforce
from .children import Births, Child, Family
from .inforce import Prepared
from .layout import Layout, NodeFile, console_dist
from .nursery import Know, Nest
from .pauses import shorten
from .steps import step

HTTP_PORT, INGEST_PORT, MQTT_PORT = 8700, 8701, 8702
READY_SECONDS = 300.0  # a cold kernel cache compiles first
FASTEST = 100_000  # times real time: a second of the wall is more than a day, and nothing can be seen any more
MOST_SHARDS, MOST_STANDBYS = 64, 3
SLOW_SECONDS = 8.0  # a start that takes longer compiles, mostly
GIVE_UP = 3  # a process that ends so often before it was ready is broken


@dataclass(frozen=True, slots=True)
class Options:
    """How to run a node. A port of 0 takes any free one. `speed` replaces the exercise's own. `shards`: processes that share
    the matching, 1 for none beside correlate; `cuts`: longitudes between their regions, none for some about the city's centre.
    `standbys`: processes that wait for each of these and for correlate. `state`: address of the PostgreSQL database of the alerts view, without
    its password; empty for a SQLite file."""

    city: Path
    data: Path
    http_port: int = HTTP_PORT
    ingest_port: int = INGEST_PORT
    mqtt_port: int = MQTT_PORT
    journal: str | None = None
    speed: float | None = None
    shards: int = 1
    cuts: tuple[float, ...] = ()
    standbys: int = 0
    state: str = ""
    say: Callable[[str], None] = field(default=lambda text: print(text, file=sys.stderr, flush=True))


@dataclass(slots=True)
class Running:
    """A node that is up."""

    city: City
    children: Family
    node: NodeFile
    journal: Journal
    health: dict[str, dict[str, Any]]
    ready_seconds: float

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.node.http_port}"


def port_for(wanted: int, option: str) -> int:
    """`wanted` if nobody has it, any free one for 0. Raises Misconfigured naming the option."""
    if wanted == 0:
        return free_port()
    if not 0 <= wanted <= 65_535:
        raise Misconfigured([Problem(option, 0, f"{wanted} is no port; valid is 1 to 65535, or 0 for any free one")])
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as fault:
            words = f"port {wanted} is taken ({fault.strerror}); choose another with {option} PORT, or {option} 0 for any free one"
            raise Misconfigured([Problem(option, 0, words)]) from None
    return wanted


def exercise_clock(city: City, speed: float | None, earlier: dict[str, Any] | None) -> Clock:
    """Real time, or recorded time from its start; a node started again on the same data goes on where its clock was."""
    if city.exercise is None:
        return Clock()
    if earlier:
        return Clock(**earlier)
    return Clock(speed or city.exercise.speed, time.time_ns() // 1000, city.exercise.start)


@contextlib.asynccontextmanager
async def journal_of(options: Options, city: City) -> AsyncIterator[tuple[Endpoint, int]]:
    """The embedded server under watch, or the external one. Gives its endpoint and MQTT port (0: none)."""
    if options.journal:
        yield replace(external(options.journal), replicas=city.replicas), 0
        return
    if city.replicas > 1:
        words = f"journal.replicas: {city.replicas} copies need a NATS cluster of as many servers; name it with --journal URL, or leave this out"
        raise Misconfigured([Problem("city.yaml", 0, words)])
    mqtt = [feed.name for feed in city.feeds if feed.transport.name == "mqtt"]
    server = EmbeddedServer(
        options.data, 0, options.mqtt_port, feeds=mqtt, on_restart=lambda why: options.say(f"journal: {why}; starting it again")
    )
    await server.start()
    watch = asyncio.create_task(server.watch(), name="journal server")
    try:
        yield server.endpoint, server.mqtt_port or 0
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        await server.stop()


def external(url: str) -> Endpoint:
    """nats://user:password@host:4222, or several such of one cluster, separated by commas -> Endpoint. Raises Misconfigured."""
    from urllib.parse import urlsplit

    servers, logins = [], list[tuple[str | None, str | None]]()
    for one in re.split(r",(?=\s*\w+://)", url):  # a password may have a comma, too
        try:
            parts = urlsplit(one.strip())
            if parts.scheme not in {"nats", "tls"} or not parts.hostname:
                raise ValueError(one)
            host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            servers.append(f"{parts.scheme}://{host}:{parts.port or 4222}")
        except ValueError:  # also for a port that is none
            words = f"{one!r} is not a NATS address; write nats://user:password@host:4222, several of one cluster with commas between"
            raise Misconfigured([Problem("--journal", 0, words)]) from None
        if parts.username:
            logins.append((parts.username, parts.password))
    if len(set(logins)) > 1:
        raise Misconfigured([Problem("--journal", 0, "the servers of a cluster share one user and password; name them with the first one")])
    return Endpoint(",".join(servers), *(logins[0] if logins else (None, None)))


@contextlib.asynccontextmanager
async def running(options: Options, nest: Nest | None = None) -> AsyncIterator[Running]:
    """Starts everything in order, gives the node when it is ready, and stops everything in reverse. `nest`: a nursery started already."""
    began = time.monotonic()
    layout = Layout(options.data.resolve())
    async with Births(options.say, nest) as births, contextlib.aclosing(Family(layout, births, options.say)) as children:
        with contextlib.ExitStack() as closing:
            again = layout.node_file.exists()
            if again:
                closing.enter_context(_begun(layout, children))
            city, texts, surely = await asyncio.to_thread(inforce.load, options.city.resolve())
            step("configuration read")
            if not again:
                closing.enter_context(_begun(layout, children))
            prepared = inforce.prepare(city, texts, surely, layout)
            if prepared.pinned is not None:
                await births.know(Know(pickle.dumps((prepared.bundle.version, prepared.pinned))))
            async with _started(options, layout, prepared, children, began) as node:
                yield node


@contextlib.contextmanager
def _begun(layout: Layout, children: Family) -> Iterator[None]:
    """Holds the data directory; the processes that every node has get ready in it. Where a node ran before, that is while the
    configuration is read; a directory for one that cannot be read is not made."""
    layout.create()
    with contextlib.closing(layout.lock()):
        for name in ("serve", "correlate", "ingest"):
            children.start(name)
        yield


@contextlib.asynccontextmanager
async def _started(options: Options, layout: Layout, prepared: Prepared, children: Family, began: float) -> AsyncIterator[Running]:
    """The journal starts while the children get ready; each begins its work when what it needs is there."""
    city = prepared.city
    earlier = NodeFile.read(layout).clock if layout.node_file.exists() and city.exercise else None
    correlation, waiting = works(options, city)
    for name in (*correlation, *waiting):
        children.start(name)
    async with contextlib.AsyncExitStack() as stack:
        endpoint, mqtt_port = await stack.enter_async_context(journal_of(replace(options, data=layout.data), city))
        step("journal started")
        journal = await stack.enter_async_context(await connect(endpoint, name="node"))
        stack.push_async_callback(children.aclose)  # they end before the journal does
        await inforce.put(journal, prepared.bundle)
        node = node_file(options, layout, city, endpoint, mqtt_port)
        if city.exercise is None:
            node = node.started(Clock())
        node.write(layout)
        if node.cuts:
            await share_out(journal, node.cuts, options)
        health = await listen(journal)
        await children.go(*waiting, *(("serve",) if node.clock else ()))  # real time waits for nobody, so views can be made meanwhile
        step("configuration in force")
        await ready(health, *await children.go(*correlation))
        step("correlating")
        node = node.started(exercise_clock(city, options.speed, earlier))
        node.write(layout)
        await ready(health, *await children.go("serve", "ingest"))
        step("ready")
        children.start("keep")  # nobody waits for it: alerts do not need history
        await children.go("keep")
        yield Running(city, children, node, journal, health, time.monotonic() - began)


def node_file(options: Options, layout: Layout, city: City, endpoint: Endpoint, mqtt_port: int) -> NodeFile:
    """What the processes must know before the node has a clock. Raises Misconfigured for ports that are taken."""
    return NodeFile(
        city=str(options.city.resolve()),
        data=str(layout.data),
        url=endpoint.url,
        user=endpoint.user or "",
        password=endpoint.password or "",
        http_port=port_for(options.http_port, "--port"),
        ingest_port=port_for(options.ingest_port, "--ingest-port"),
        mqtt_port=mqtt_port,
        exercise_speed=None if city.exercise is None else (options.speed or city.exercise.speed),
        console=str(console_dist()),
        cuts=regions_of(options, city).cuts,
        standbys=options.standbys,
        state=options.state,
        replicas=endpoint.replicas,
    )


def regions_of(options: Options, city: City) -> Regions:
    """How the matching is shared out."""
    return Regions(options.cuts) if options.cuts else around(*city.centre, options.shards)


async def share_out(journal: Journal, cuts: tuple[float, ...], options: Options) -> None:
    """Shards begin anew with the journal where others have matched it before: those of an earlier version, or between other cuts."""
    if await matches.begin(journal, f"{FORMAT} {json.dumps(cuts)}", alone=options.journal is None):
        options.say("the journal is matched again from its start: it had been shared out in another way, or by another version")


def works(options: Options, city: City) -> tuple[list[str], list[str]]:
    """Processes of correlation: the shards and correlate, whose work must be under way before the node is ready, and who stands by."""
    cuts = regions_of(options, city).cuts
    first = [*(f"shard-{shard}" for shard in range(len(cuts) + 1 if cuts else 0)), "correlate"]
    return first, [f"{work}.{number + 2}" for number in range(options.standbys) for work in first]


async def listen(journal: Journal) -> dict[str, dict[str, Any]]:
    """The newest health report of every process, kept current."""
    health: dict[str, dict[str, Any]] = {}

    async def heard(message: Any) -> None:
        report = json.loads(message.data)
        health[report["process"]] = report

    await journal.subscribe("health.>", heard)
    return health


async def ready(health: dict[str, dict[str, Any]], *waited: Child) -> None:
    """Raises Fatal, with the end of its log, for a process that keeps ending or does not report within `READY_SECONDS`."""
    deadline = time.monotonic() + READY_SECONDS
    while missing := [child for child in waited if child.name not in health]:
        late = time.monotonic() > deadline
        for child in missing:
            if late or child.restarts >= GIVE_UP:
                why = f"did not get ready in {READY_SECONDS:.0f} s" if late else f"ended {child.restarts} times at start"
                raise Fatal(f"{child.name} {why}; its log {child.log} ends with:\n{child.log_tail()}")
        await asyncio.sleep(0.02)


def stop_signal() -> asyncio.Event:
    """From now on SIGINT and SIGTERM end nothing but set this."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


async def until_stopped(stop: asyncio.Event, seconds: float | None) -> None:
    """Until it is set, or the time is up."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


def options_of(arguments: argparse.Namespace, city: Path, data: Path) -> Options:
    """Raises Misconfigured."""
    speed = getattr(arguments, "speed", None)
    if speed is not None and not 0.01 <= speed <= FASTEST:
        raise Misconfigured([Problem("--speed", 0, f"{speed:g} is no speed; valid is 0.01 to {FASTEST:,}, as in 720")])
    check_shards(getattr(arguments, "shards", 1), getattr(arguments, "cuts", None) or (), getattr(arguments, "standbys", 0))
    return Options(
        city=city,
        data=data,
        http_port=HTTP_PORT if arguments.port is None else arguments.port,
        ingest_port=INGEST_PORT if arguments.ingest_port is None else arguments.ingest_port,
        mqtt_port=MQTT_PORT if arguments.mqtt_port is None else arguments.mqtt_port,
        journal=getattr(arguments, "journal", None),
        speed=speed,
        shards=getattr(arguments, "shards", 1),
        cuts=getattr(arguments, "cuts", None) or (),
        standbys=getattr(arguments, "standbys", 0),
        state=state_of(arguments),
    )


def state_of(arguments: argparse.Namespace) -> str:
    """The address of the state store without its password, empty for the SQLite file. Raises Misconfigured, for a missing driver, too."""
    if not hasattr(arguments, "state"):  # a demonstration is thrown away, and writes nowhere else
        return ""
    from tocsin.alerts.address import chosen

    address = chosen(arguments.state)
    if address is None:
        return ""
    from tocsin.alerts.postgres import checked

    checked(address)
    return address.text


def check_shards(shards: int, cuts: tuple[float, ...], standbys: int) -> None:
    """Raises Misconfigured."""
    if not 1 <= shards <= MOST_SHARDS:
        raise Misconfigured([Problem("--shards", 0, f"{shards} is no number of shards; valid is 1 to {MOST_SHARDS}")])
    if cuts and len(cuts) != shards - 1:
        words = f"{shards} shards have {shards - 1} cuts between them, found {len(cuts)}"
        raise Misconfigured([Problem("--cuts", 0, words)])
    if not 0 <= standbys <= MOST_STANDBYS:
        raise Misconfigured([Problem("--standbys", 0, f"{standbys} is no number of standbys; valid is 0 to {MOST_STANDBYS}")])


def wall_seconds(text: str | None) -> float | None:
    """`30s`, `2 min` -> seconds. Raises Misconfigured."""
    if text is None:
        return None
    try:
        return parse_span(text) / 1e6
    except ValueError as fault:
        raise Misconfigured([Problem("--for", 0, str(fault))]) from None


def welcome(node: Running) -> str:
    lines = [
        f"Tocsin is ready after {node.ready_seconds:.1f} s: {node.address}",
        "  read and write for everyone on this machine, for nobody else (sign-in is not built yet)",
        f"  data      {node.node.data}",
        f"  webhooks  http://127.0.0.1:{node.node.ingest_port}/feeds/NAME (tokens: tokens/ of the data)",
    ]
    if node.node.mqtt_port:
        lines.append(f"  MQTT      127.0.0.1:{node.node.mqtt_port} (passwords: nats.creds.json of the data)")
    if node.node.state:
        lines.append(f"  state     {node.node.state}")
        if trouble := node.health.get("serve", {}).get("state"):
            lines.append(f"            {trouble}")
    if node.city.exercise and node.node.clock:
        clock = Clock(**node.node.clock)
        lines.append(f"  EXERCISE  {node.city.exercise.title}, from {to_iso(node.city.exercise.start)}, {clock.speed:g} times real time")
    return "\n".join([*lines, "  Ctrl-C stops it."])


async def run(options: Options, seconds: float | None, as_json: bool, nest: Nest) -> int:
    from .summary import summary

    patience = asyncio.get_running_loop().call_later(SLOW_SECONDS, options.say, "starting; compiling the kernels, once, takes a minute ...")
    async with running(options, nest) as node:
        patience.cancel()
        shorten()
        stop = stop_signal()  # before anybody is told that it is ready
        options.say(welcome(node))
        await until_stopped(stop, seconds)
        options.say("stopping ...")
        if as_json:
            print(json.dumps(await summary(node)), flush=True)
    return 0


def main(arguments: argparse.Namespace, nest: Nest) -> int:
    """`nest`: a nursery that was started already."""
    city: Path = arguments.city
    data = arguments.data or city / "var"
    os.umask(0o077)
    options, seconds = options_of(arguments, city, data), wall_seconds(arguments.duration)
    try:
        return asyncio.run(run(options, seconds, arguments.json, nest))
    except OSError as fault:
        if fault.errno not in (errno.ENOSPC, errno.EDQUOT) or fault.filename:
            raise
        raise Fatal(f"{data}: {fault.strerror}") from None
