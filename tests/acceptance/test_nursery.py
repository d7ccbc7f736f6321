"""Where a node's processes are born: killed, it and its children are there again; told to end, nobody stays; and what it forks is quiet."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .node_world import Node, cmdline, ndjson, parent, reading, running, smoke_feed, write_city

NAMES = ("ingest", "correlate", "serve")

pytestmark = pytest.mark.crash


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("nursery")
    with running(write_city(folder / "city", feeds={"smoke": smoke_feed()}), folder / "data") as started:
        yield started


def living(node: Node) -> dict[str, int]:
    """Children that are there, by name."""
    found = {}
    for name in NAMES:
        try:
            found[name] = node.child(name)
        except LookupError:
            continue
    return found


def matches(node: Node, place: float) -> None:
    """Events come in, and an alert comes out."""
    node.post_until_taken(ndjson(reading(f"{place}a", f"{place}a", 200, place), reading(f"{place}b", f"{place}b", 200, place + 50)))
    node.alert_near(place)


def below(pid: int) -> set[int]:
    """The process and every one that comes of it."""
    all_of = {int(path.name) for path in Path("/proc").glob("[0-9]*")}
    found = {pid}
    while more := {each for each in all_of if parent(each) in found} - found:
        found |= more
    return found


def test_everyone_is_a_child_of_the_nursery_and_has_a_name(node: Node) -> None:
    nursery = node.child("nursery")
    node.eventually("everyone", lambda: len(living(node)) == len(NAMES))
    for name, pid in living(node).items():
        assert parent(pid) == nursery
        assert Path(f"/proc/{pid}/comm").read_text().strip() == name


def test_nothing_but_the_journal_and_logs_is_inherited(node: Node) -> None:
    """No socket, lock or pipe of the supervisor or of another child: what one holds open, another cannot keep from ending."""
    supervisor = sockets(node.process.pid) | sockets(node.child("nursery"))
    for pid in living(node).values():
        assert not sockets(pid) & supervisor
        assert [name for name in opened(pid) if name.endswith(("/lock", "journal.lock"))] == []


def opened(pid: int) -> list[str]:
    names = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            names.append(os.readlink(path))
        except OSError:
            continue
    return names


def sockets(pid: int) -> set[str]:
    return {name for name in opened(pid) if name.startswith(("socket:", "pipe:"))}


def test_nothing_runs_in_the_nursery_that_could_be_cut_short_by_a_fork(node: Node) -> None:
    names = {path.joinpath("comm").read_text().strip() for path in Path(f"/proc/{node.child('nursery')}/task").iterdir()}
    assert names <= {"python", "jemalloc_bg_thd"}  # the second is an allocator's that stops for a fork, as its threads do
    assert len(list(Path(f"/proc/{node.child('nursery')}/task").iterdir())) <= 2


def test_when_the_nursery_is_killed_all_are_born_again(node: Node) -> None:
    before, nursery = living(node), node.child("nursery")
    os.kill(before["correlate"], signal.SIGSTOP)  # this one does not hear that it is to end
    os.kill(nursery, signal.SIGKILL)
    node.eventually("the end of the old ones", lambda: not {pid for pid in before.values() if cmdline(pid)})
    node.eventually("new ones", lambda: len(living(node)) == len(NAMES))
    assert node.child("nursery") != nursery
    assert not set(living(node).values()) & set(before.values())
    matches(node, 3000.0)


def test_each_that_is_killed_is_born_again(node: Node) -> None:
    for number, name in enumerate(NAMES):
        pid = node.child(name)
        os.kill(pid, signal.SIGKILL)
        node.eventually(f"{name} again", lambda name=name, pid=pid: living(node).get(name, pid) != pid)  # type: ignore[misc]
        matches(node, 6000.0 + 3000 * number)


def test_a_frozen_nursery_does_not_keep_the_node_from_ending(tmp_path: Path) -> None:
    with running(write_city(tmp_path / "city"), tmp_path / "data") as node:
        everyone = below(node.process.pid)
        assert len(everyone) >= 6  # the supervisor, the nursery, three children and the journal
        os.kill(node.child("nursery"), signal.SIGSTOP)
        node.process.send_signal(signal.SIGTERM)
        node.eventually("the end of everyone", lambda: not [pid for pid in everyone if cmdline(pid)])


def test_nobody_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    with running(write_city(tmp_path / "city"), tmp_path / "data") as node:
        everyone = below(node.process.pid)
        os.kill(node.process.pid, signal.SIGKILL)
        node.eventually("the end of everyone", lambda: not [pid for pid in everyone if cmdline(pid)])
