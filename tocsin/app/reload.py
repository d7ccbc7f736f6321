"""`tocsin reload`: puts an edited city directory in force on the running node, whole or not at all."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tocsin.config.bundle import Bundle
from tocsin.config.bundle import pinned as kept
from tocsin.config.ruletests import load_tests
from tocsin.correlate.adopt import kinship
from tocsin.journal.connection import connect
from tocsin.kernel.fault import Fatal, Misconfigured, Problem, Retriable
from tocsin.model.city import City

from . import inforce
from .checks import examine
from .health import endpoint_of
from .layout import Layout, NodeFile
from .node import listen
from .ruletests import run_all

PROCESSES = ("ingest", "correlate", "serve")
CONNECT_SECONDS = 10.0
TAKE_OVER_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """`entry`: the journal entry from which the city is in force. `changed`: False when it was already. `late`: processes that have not
    said within `TAKE_OVER_SECONDS` that they took it over."""

    entry: int
    changed: bool
    words: dict[str, dict[str, int]]
    late: tuple[str, ...]
    seconds: float


async def checked(root: Path) -> tuple[Bundle, City]:
    """The city directory, read once, after everything `check` and `test` say was held against it. Raises Misconfigured with all of it."""
    bundle, report = inforce.gather(root)
    examine(report)
    if report.city is None or report.problems:
        raise Misconfigured(report.problems)
    problems = []
    for verdict in await run_all(load_tests(root, [rule.name for rule in report.city.plan.rules]), report.city):
        if verdict.wrong:
            words = f"the test {verdict.test.name!r} of rule {verdict.test.rule} fails: {'; '.join(verdict.wrong)}"
            problems.append(Problem(verdict.test.file, verdict.test.line, words))
    if problems:
        raise Misconfigured(problems)
    return bundle, report.city


async def reload(root: Path, data: Path) -> Outcome:
    """Checks everything, then journals the change and waits until all processes have taken it over.

    Raises Misconfigured when anything is wrong - nothing has changed then -, Fatal when no node runs on `data`.
    """
    began, layout = time.monotonic(), Layout(data)
    bundle, city = await checked(root)
    node = node_on(layout, root)
    try:
        journal = await connect(endpoint_of(node), name="reload", within=CONNECT_SECONDS)
    except Retriable as fault:
        raise Fatal(f"no node runs on {data}: {fault}. What 'tocsin run' starts with is in force at once") from None
    async with journal:
        before = await inforce.current(journal, root, layout)
        if problems := inforce.unlike(before.city, city):
            raise Misconfigured(problems)
        health = await listen(journal)
        pinned = kept(bundle, city, layout.contents)
        entry, changed = await inforce.put(journal, pinned)
        late = await taken_over(health, entry)
        after = pinned.read(root, layout.contents).city
    return Outcome(entry, changed, compared(before.city, after or city), late, round(time.monotonic() - began, 2))


def node_on(layout: Layout, root: Path) -> NodeFile:
    """Raises Fatal when there never was a node, or when it runs another city."""
    if not layout.node_file.is_file():
        raise Fatal(f"{layout.data} is not the data directory of a node; name it with --data")
    node = NodeFile.read(layout)
    if Path(node.city) != root:
        raise Fatal(f"the node on {layout.data} runs the city {node.city}, not {root}")
    return node


async def taken_over(health: dict[str, dict[str, Any]], entry: int) -> tuple[str, ...]:
    """Waits for the reports of the processes; returns those that did not take over in time."""
    deadline = time.monotonic() + TAKE_OVER_SECONDS
    while True:
        late = tuple(name for name in PROCESSES if health.get(name, {}).get("config", 0) < entry)
        if not late or time.monotonic() > deadline:
            return late
        await asyncio.sleep(0.05)


def compared(before: City, after: City) -> dict[str, dict[str, int]]:
    """How many rules, feeds and layers stay, change, come and go."""
    kin = kinship(before.plan, after.plan)
    return {
        "rules": _counted({rule.name for rule in before.plan.rules}, {rule.name for rule in after.plan.rules}, len(kin.same)),
        "feeds": _compared(
            {feed.name: replace(feed, file="", line=0) for feed in before.feeds},
            {feed.name: replace(feed, file="", line=0) for feed in after.feeds},
        ),
        "layers": _compared({layer.name: layer for layer in before.layers}, {layer.name: layer for layer in after.layers}),
    }


def _compared(before: dict[str, Any], after: dict[str, Any]) -> dict[str, int]:
    return _counted(set(before), set(after), sum(before.get(name) == thing for name, thing in after.items()))


def _counted(before: set[str], after: set[str], same: int) -> dict[str, int]:
    return {"unchanged": same, "changed": len(before & after) - same, "new": len(after - before), "removed": len(before - after)}


def as_text(outcome: Outcome) -> str:
    if not outcome.changed:
        return f"Nothing has changed: this configuration is in force since journal entry {outcome.entry}."
    lines = [f"In force since journal entry {outcome.entry} ({outcome.seconds:.1f} s with all checks):"]
    for noun, counts in outcome.words.items():
        lines.append(f"  {noun:7} " + ", ".join(f"{count} {what}" for what, count in counts.items()))
    return "\n".join(lines)


def main(arguments: argparse.Namespace) -> int:
    os.umask(0o077)
    city: Path = arguments.city.resolve()
    data: Path = (arguments.data or arguments.city / "var").resolve()
    try:
        outcome = asyncio.run(reload(city, data))
    except Misconfigured as fault:
        print(fault, file=sys.stderr)
        print("Nothing has changed: what was in force stays in force.", file=sys.stderr)
        if arguments.json:
            problems = [{"file": one.file, "line": one.line, "message": one.message} for one in fault.problems]
            print(json.dumps({"ok": False, "problems": problems}))
        return 1
    if arguments.json:
        told = {"ok": not outcome.late, "entry": outcome.entry, "changed": outcome.changed, **outcome.words, "seconds": outcome.seconds}
        print(json.dumps(told | {"late": list(outcome.late)}))
    else:
        print(as_text(outcome), file=sys.stderr)
    if outcome.late:
        print(f"It is in the journal, but not yet taken over by: {', '.join(outcome.late)}. Their logs say why.", file=sys.stderr)
    return 2 if outcome.late else 0
