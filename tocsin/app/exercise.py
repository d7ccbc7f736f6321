"""`tocsin exercise`: begin, stop and score an exercise on a running node; and the same for the API."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import sys
from pathlib import Path
from typing import Any

from tocsin.alerts.score import score
from tocsin.alerts.store import AlertStore
from tocsin.alerts.view import AlertsView
from tocsin.journal.alerts import read_alerts
from tocsin.journal.connection import Journal
from tocsin.journal.exercises import CONTROL, all_runs, newest_run
from tocsin.kernel.fault import Fatal, Misconfigured, Problem, nearest
from tocsin.model.city import City
from tocsin.model.exercise import Run, Scenario, run_of
from tocsin.model.time import format_span, to_iso

from . import inforce
from .health import ask_ingest
from .layout import Layout

Json = dict[str, Any]


class ExerciseDesk:
    """What the API knows of exercises. `journal`: of the serve process; `root`: the city directory."""

    def __init__(self, journal: Journal, root: Path, view: AlertsView) -> None:
        self._journal, self._root, self._view = journal, root, view

    async def listed(self) -> Json:
        """What could be begun, what is running, and what was. Raises Misconfigured (a mistake in a file), Retriable."""
        known = await asyncio.to_thread(scenarios, self._root)
        runs = await all_runs(self._journal)
        running = runs[-1] if runs and not runs[-1].end else None
        return {
            "items": [scenario_json(one) for one in known.values()],
            "running": None if running is None else run_json(running),
            "runs": [run_json(one) for one in reversed(runs)],
        }

    async def running(self) -> Json | None:
        """The run that goes on now. Raises Retriable."""
        run = await newest_run(self._journal)
        return None if run is None or run.end else run_json(run)

    async def control(self, do: str, name: str, by: str) -> Json:
        """Asks ingest to begin or stop. Its answer; raises Retriable."""
        return await control(self._journal, do, name, by)

    async def score(self, run: str, city: City) -> Json | None:
        """None for a run that never was."""
        found = next((one for one in await all_runs(self._journal) if one.id == run), None)
        return None if found is None else await asyncio.to_thread(scored, found, self._view, city)


def scenarios(root: Path) -> dict[str, Scenario]:
    """Those of a city directory; what reads them is loaded when somebody first asks. Raises Misconfigured."""
    from tocsin.config.exercises import load_exercises

    return load_exercises(root)


async def control(journal: Journal, do: str, name: str, by: str) -> Json:
    """Raises Retriable when ingest does not answer."""
    return await ask_ingest(journal, CONTROL, {"do": do, "name": name, "by": by})


def scored(run: Run, view: AlertsView, city: City) -> Json:
    """The score of a run from the alerts view."""
    alerts = [found for name in view.ids(lambda name: run_of(name) == run.id) if (found := view.get(name)) is not None]
    return score(run, alerts, city.centre)


def scenario_json(one: Scenario) -> Json:
    return {
        "name": one.name,
        "title": one.title,
        "purpose": one.purpose,
        "events": len(one.events),
        "recorded": len(one.recorded),
        "expected": len(one.expect),
        "runs_s": one.runs / 1e6,
    }


def run_json(run: Run) -> Json:
    return {
        "run": run.id,
        "name": run.name,
        "title": run.title,
        "by": run.by,
        "began": to_iso(run.at),
        "ends": to_iso(run.at + run.runs),
        "ended": None if run.ended is None else to_iso(run.ended),
        "why": run.why,
    }


async def _asked(arguments: argparse.Namespace) -> Json:
    from .explain import opened  # the API, for which this module is there as well, does not need it

    root = arguments.city.resolve()
    layout = Layout((arguments.data or root / "var").resolve())
    if arguments.action == "list":
        return {"items": [scenario_json(one) for one in scenarios(root).values()]}
    if arguments.action != "score" and not layout.node_file.is_file():
        raise Fatal(f"no node runs on {layout.data}; start it with 'tocsin run', or name its data directory with --data")
    async with opened(layout) as journal:
        if arguments.action == "score":
            return await _score(journal, root, layout, arguments.name)
        answer = await control(journal, arguments.action, getattr(arguments, "name", ""), arguments.by or getpass.getuser())
        if not answer["ok"]:
            raise Fatal(str(answer["reason"]))
        return answer


async def _score(journal: Journal, root: Path, layout: Layout, name: str) -> Json:
    """Of the newest run of that name, or of the run with that id."""
    runs = await all_runs(journal)
    run = next((one for one in reversed(runs) if name in (one.name, one.id)), None)
    if run is None:
        known = {one.name for one in runs}
        hint = nearest(name, known) if known else "none was ever begun"
        raise Misconfigured([Problem("exercise", 0, f"there was no run of {name!r}; {hint}")])
    city = (await inforce.current(journal, root, layout)).city
    store = AlertStore.open("sqlite://")
    messages = [message async for message in read_alerts(journal, 1, follow=False, exercise=True) if _of(run, message[2])]
    store.apply(messages)
    try:
        return scored(run, AlertsView(store, {rule.name: rule for rule in city.plan.rules}), city)
    finally:
        store.close()


def _of(run: Run, content: Json) -> bool:
    return run_of(str(content.get("id") or content.get("alert") or "")) == run.id


def as_text(found: Json) -> str:
    """A score for people."""
    lines = [f"EXERCISE {found['title']} (run {found['run']}, began {found['began']}, {found['why'] or 'still running'})"]
    for row in found["detections"]:
        took = "never" if row["alert_s"] is None else f"after {format_span(round(row['alert_s'] * 1e6))}"
        taken = "by nobody" if row["acknowledged_s"] is None else f"by {row['by']} after {format_span(round(row['acknowledged_s'] * 1e6))}"
        lines.append(f"  {row['verdict']:8}  {row['name']}: alert {took}, acknowledged {taken}")
    lines += [f"  false     {one['headline']} ({one['rule']})" for one in found["false"]]
    total = found["summary"]
    counts = ", ".join(f"{total[name]} {name}" for name in ("detected", "late", "missed", "false"))
    lines.append(f"  {counts}; {total['acknowledged']} of {total['expected']} acknowledged")
    return "\n".join(lines)


def main(arguments: argparse.Namespace) -> int:
    """0: done; a score with something late or missed is 1."""
    found = asyncio.run(_asked(arguments))
    if arguments.json:
        print(json.dumps(found))
    elif arguments.action == "list":
        lines = [f"{one['name']}: {one['title']} ({one['events']} events, {one['expected']} expected)" for one in found["items"]]
        print("\n".join(lines) or "exercises/ has none")
    elif arguments.action == "score":
        print(as_text(found))
    else:
        words = "began" if arguments.action == "start" else "stopped"
        print(f"EXERCISE {found['title']}: {words}; run {found['run']}", file=sys.stderr)
    return int(arguments.action == "score" and bool(found["summary"]["late"] + found["summary"]["missed"]))
