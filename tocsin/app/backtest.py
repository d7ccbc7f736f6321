"""`tocsin backtest`: what a rule would have rung for over the city's own history, before it is switched on."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tocsin.archive.holdings import Archive
from tocsin.archive.mirror.mirrored import Place
from tocsin.correlate.engine import Engine
from tocsin.correlate.fingerprint import alerts_hash
from tocsin.journal.codec import encode
from tocsin.kernel.fault import Fatal, Misconfigured, Problem
from tocsin.model.alert import Alert
from tocsin.model.archive import Holdings, Want
from tocsin.model.length import parse_length
from tocsin.model.plan import RulePlan
from tocsin.model.time import DAY, SECOND, format_span, parse_span, to_iso
from tocsin.query.backtest import diff as differences
from tocsin.query.backtest import sweep as sweeps
from tocsin.query.backtest.loosen import Looser, looser, misses
from tocsin.query.backtest.nouns import Allowance, Incident, Matching, Trial
from tocsin.query.backtest.nouns import Span as Stretch
from tocsin.query.backtest.overlap import overlap
from tocsin.query.backtest.tally import by_day, by_place, by_source, by_week, summary, verdict
from tocsin.query.backtest.words import as_text

from . import backtest_rules as versions
from .backtest_order import JOURNAL, TIME, order_of
from .backtest_run import Heard, Pass, Progress, Runner, Span, bounds, known_kinds, ring, warm_up
from .guest import behave
from .mirroring import mirrored, place_of
from .then import instant

#: Alerts that are listed in a result.
LISTED: Final = 1000
#: Version of the result's shape.
FORMAT: Final = 1
_MATCHING: Final = Matching()
_BAR: Final = 0.2  # seconds between two looks of the progress bar

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, checked. `near`: near misses that are listed, 0: they are not looked for; `alerts`: the file that gets every alert whole."""

    rules: versions.Rules
    span: Span
    against: RulePlan | None = None
    sweep: sweeps.Sweep | None = None
    incidents: str | None = None
    matching: Matching = _MATCHING
    budget: Allowance | None = None
    near: int = 20
    alerts: Path | None = None


def question(arguments: argparse.Namespace) -> Question:
    """From the command line. Raises Misconfigured, Fatal."""
    rules = versions.find(arguments.city.resolve(), arguments.rule)
    start, stop = _instant(arguments.start, "--from", rules), _instant(arguments.end, "--to", rules)
    if stop <= start:
        raise Misconfigured([Problem("--to", 0, f"{to_iso(stop)} is not after {to_iso(start)}")])
    if arguments.order not in {None, JOURNAL, TIME}:
        raise Misconfigured([Problem("--order", 0, f"found {arguments.order!r}; valid: journal, time")])
    other = None if arguments.against is None else versions.other(rules, arguments.against)
    sweep = None if arguments.sweep is None else sweeps.parse(arguments.sweep)
    if arguments.incidents is not None:
        known_kinds(rules.city, arguments.incidents)
    plans = [rules.plan(rules.rule), *([rules.plan(other)] if other is not None else [])]
    lateness = [rules.city.plan.lateness, *(feed.lateness for feed in rules.city.feeds if feed.lateness is not None)]
    warm = warm_up(plans, lateness) if arguments.warm_up is None else _span(arguments.warm_up, "--warm-up")
    return Question(
        rules,
        Span(start, stop, arguments.order or "", warm),
        other,
        sweep,
        arguments.incidents,
        Matching(_length(arguments.within, "--within"), _span(arguments.before, "--before"), _span(arguments.after, "--after")),
        _budget(arguments.budget, rules.rule),
        arguments.near,
        arguments.alerts,
    )


#: How a pass is made: by the runner itself, or somewhere else.
RunPass = Callable[[Runner, Holdings, Callable[[Progress], None]], Pass]


def answer(
    asked: Question, holdings: Holdings, told: Callable[[Progress], None] = lambda _progress: None, run: RunPass = Runner.run
) -> Json:
    """The whole result, as `--json` and the API give it. Raises Fatal when nothing is stored, Misconfigured for a sweep of what is no number."""
    rules = asked.rules
    _anything(asked, holdings)
    now, tried = (None, []) if asked.sweep is None else versions.variants(rules, asked.sweep)
    near = looser(rules.rule) if asked.near else []
    plans = [rules.plan(rules.rule), *([rules.plan(asked.against)] if asked.against is not None else [])]
    more = [rule for _, rule in tried] + [one.rule for one in near]
    plans += [rules.plan(rule) for rule in more]
    if not asked.span.order:
        asked = replace(asked, span=replace(asked.span, order=order_of(holdings, plans[:1], asked.span.start, asked.span.stop)))
    found = run(Runner(rules.city, plans, asked.span, asked.incidents), holdings, told)
    if asked.alerts is not None:
        _write(asked.alerts, [alert for _, alert in _of(rules.rule, found.trials[0])])
    if not found.events:
        found.notes.append("nothing that the rule looks at is stored in this span")
    return _put_together(asked, found, now, [value for value, _ in tried], near)


def _put_together(asked: Question, found: Pass, now: str | None, values: Sequence[str], near: Sequence[Looser]) -> Json:
    rules, city = asked.rules, asked.rules.city
    stretch = Stretch(asked.span.start, asked.span.stop, city.timezone)
    own = _of(rules.rule, found.trials[0])
    rings = [ring(*one) for one in own]
    trial = Trial(rules.rule.name, rules.rule.version, rings)
    standing = trial.standing
    days = by_day(standing, stretch)
    at = 1 + (asked.against is not None)
    result: Json = {
        "format": FORMAT,
        "rule": _rule(rules.rule),
        "city": city.name,
        "span": {"from": to_iso(asked.span.start), "to": to_iso(asked.span.stop), "timezone": city.timezone, "order": asked.span.order},
        "read": _read(found, asked.span),
        "summary": summary(trial, stretch),
        "alerts_hash": alerts_hash(alert for _, alert in own),
        "by_day": days,
        "by_week": by_week(days),
        "by_place": by_place(standing),
        "by_source": by_source(standing),
        "budget": verdict(standing, asked.budget, stretch),
        "near_misses": _near(asked, own, near, found, at + len(values)),
        "incidents": None,
        "against": None,
        "sweep": None,
        "alerts": [one.as_json() for one in rings[:LISTED]],
        "notes": found.notes,
        **found.more,
    }
    if asked.incidents is not None:
        result["incidents"] = {"kind": asked.incidents, **overlap(rings, found.incidents, asked.matching)}
    if asked.against is not None:
        result["against"] = _against(asked, trial, found, stretch)
    if asked.sweep is not None:
        trials = [(value, _trial(found.trials[at + place])) for place, value in enumerate(values)]
        incidents: Sequence[Incident] | None = found.incidents if asked.incidents is not None else None
        rows = sweeps.table(trials, stretch, incidents, asked.matching, asked.budget)
        result["sweep"] = {"key": asked.sweep.key, "now": now, "rows": rows, "suggestion": sweeps.suggestion(rows, now)}
    return result


def _against(asked: Question, trial: Trial, found: Pass, stretch: Stretch) -> Json:
    assert asked.against is not None
    other = Trial(asked.against.name, asked.against.version, [ring(*one) for one in _of(asked.against, found.trials[1])])
    told = differences.diff(trial, other)
    told["summary"] = summary(other, stretch)
    if asked.incidents is not None:
        told["incidents"] = {
            key: value for key, value in overlap(other.rings, found.incidents, asked.matching).items() if not key.endswith("list")
        }
    return told


def _near(asked: Question, own: Sequence[tuple[Heard, Alert]], near: Sequence[Looser], found: Pass, at: int) -> Json | None:
    if not asked.near:
        return None
    rang = frozenset((event.feed, event.id) for _, alert in own for event in alert.evidence)
    pairs = [(one, alert) for place, one in enumerate(near) for _, alert in _of(one.rule, found.trials[at + place])]
    return misses(pairs, rang, asked.near)


def _of(rule: RulePlan, alerts: Sequence[tuple[Heard, Alert]]) -> list[tuple[Heard, Alert]]:
    """Alerts of one rule of a plan, in the order they became known."""
    return sorted((one for one in alerts if one[1].rule == rule.name), key=lambda one: (one[0].raised, one[1].id))


def _write(path: Path, alerts: Sequence[Alert]) -> None:
    """A line each, in the bytes that live journals. Raises Fatal."""
    try:
        path.write_bytes(b"".join(encode(alert) + b"\n" for alert in alerts))
    except OSError as fault:
        raise Fatal(f"--alerts {path}: {fault.strerror}") from None


def _trial(alerts: Sequence[tuple[Heard, Alert]]) -> Trial:
    """Of a variant: its name is the last of its plan's."""
    mine = [one for one in alerts if "--" in one[1].rule]
    return Trial("", "", [ring(*one) for one in sorted(mine, key=lambda one: (one[0].raised, one[1].id))])


def _rule(rule: RulePlan) -> Json:
    return {"name": rule.name, "version": rule.version, "title": rule.title, "words": rule.words}


def _read(found: Pass, span: Span) -> Json:
    return {
        "rows": found.rows,
        "events": found.events,
        "imported": found.imported,
        "files": found.files,
        "late": found.late,
        "withdrawn": found.withdrawn,
        "until": to_iso(found.ended) if found.ended else None,
        "warm_up_s": span.warm / SECOND,
        "seconds": round(found.seconds, 3),
        "events_per_s": round(found.rows / found.seconds) if found.seconds else None,
    }


def _anything(asked: Question, holdings: Holdings) -> None:
    """Raises Fatal when the archive has nothing of the span, and says what it has."""
    with holdings.look(Want(figures=True)) as look:
        if not look.rows:
            raise Fatal("the archive is empty; a running node fills it, and 'tocsin archive import' takes in recorded files")
        first, last = bounds(look)
    span = asked.span
    if last < span.start - DAY or first >= span.stop:
        raise Fatal(
            f"nothing is stored from {to_iso(span.start)} to {to_iso(span.stop)}; the archive holds {to_iso(first)} to {to_iso(last)}"
        )


def _instant(text: str, option: str, rules: versions.Rules) -> int:
    return instant(text if len(text) > 10 else f"{text} 00:00", rules.city, option)


def _span(text: str, option: str) -> int:
    try:
        return parse_span(text)
    except ValueError as fault:
        raise Misconfigured([Problem(option, 0, str(fault))]) from None


def _length(text: str, option: str) -> float:
    try:
        return parse_length(text)
    except ValueError as fault:
        raise Misconfigured([Problem(option, 0, str(fault))]) from None


def _budget(text: str | None, rule: RulePlan) -> Allowance | None:
    """`6 per 12 h`; without one what the rule declares."""
    if text is None:
        own = rule.alert.budget
        return None if own is None else Allowance(own.alerts, own.per, True)
    count, per, span = text.partition(" per ")
    if not per or not count.strip().isdigit():
        raise Misconfigured([Problem("--budget", 0, f"found {text!r}; valid is a number of alerts per span, as in '6 per 12 h'")])
    return Allowance(int(count), _span(span, "--budget"))


class Bar:
    """Progress on a terminal; as JSON lines where another process reads them."""

    def __init__(self, lines: bool, shown: bool) -> None:
        self._lines = lines
        self._shown = shown
        self._began = self._last = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._last < _BAR or not (self._lines or self._shown):
            return
        self._last = now
        if self._lines:
            row = {"done": round(progress.done, 4), "clock": to_iso(progress.clock), "alerts": progress.alerts, "events": progress.events}
            print(json.dumps({"progress": row}), file=sys.stderr, flush=True)
            return
        left = (now - self._began) * (1 / progress.done - 1) if progress.done > 0.01 else 0.0
        filled = round(progress.done * 30)
        about = f", about {format_span(round(left) * SECOND)} left" if left >= 1 else ""
        words = f"{progress.alerts} alerts, at {to_iso(progress.clock)[:16]}{about}"
        print(f"\r[{'#' * filled}{'.' * (30 - filled)}] {progress.done:4.0%} {words:<60}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._shown and not self._lines and self._last > self._began:
            print(f"\r{' ' * 110}\r", end="", file=sys.stderr, flush=True)


@contextmanager
def made_by(arguments: argparse.Namespace, asked: Question, data: Path, mirror: Place | None) -> Iterator[RunPass]:
    """What makes the pass: this process, or Spark. Raises Misconfigured, Fatal."""
    if arguments.on not in {"here", "spark"}:
        raise Misconfigured([Problem("--on", 0, f"found {arguments.on!r}; valid: here, spark")])
    if arguments.on == "here":
        given = [name for name in ("master", "work", "parts", "spark_conf") if getattr(arguments, name)]
        if given:
            raise Misconfigured([Problem(f"--{given[0].replace('_', '-')}", 0, "goes with --on spark alone")])
        yield Runner.run
        return
    from .backtest_spark import on_spark

    with on_spark(arguments, asked.rules.bundle.version, data, mirror) as run:
        yield run


def main(arguments: argparse.Namespace) -> int:
    if arguments.progress_lines:
        Engine.warm_up()  # before stepping back: whoever compiles first holds up everybody else, a node that starts, too
        behave()
    asked = question(arguments)
    data: Path = (arguments.data or arguments.city / "var").resolve()
    if arguments.archive is None and not (data / "archive").is_dir():
        raise Fatal(f"there is no archive in {data / 'archive'}; name the data directory of a node with --data, or a mirror with --archive")
    archive = Archive(data / "archive") if arguments.archive is None else mirrored(arguments, asked.rules.city)
    bar = Bar(arguments.progress_lines, sys.stderr.isatty())
    try:
        with made_by(arguments, asked, data, None if arguments.archive is None else place_of(arguments, asked.rules.city)) as run:
            result = answer(asked, archive, bar, run)
    finally:
        bar.end()
        archive.close()
    print(json.dumps(result) if arguments.json else as_text(result))
    return 0
