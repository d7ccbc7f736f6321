"""`tocsin check`, `tocsin explain` and `tocsin warm-up`."""

from __future__ import annotations

import argparse
import json
import sys
import time

from tocsin.config.check import as_json, as_text, read_city
from tocsin.config.load import Report, load_city
from tocsin.kernel.fault import Misconfigured, Problem, nearest


def full_report(arguments: argparse.Namespace) -> Report:
    """The city's own problems, and what its transports, formats and layers say of their options."""
    return examine(read_city(arguments.city))


def examine(report: Report) -> Report:
    """Adds what transports, formats and layers say to a report of a city."""
    from tocsin.feeds import catalog, formats
    from tocsin.geo.layers import load_layers
    from tocsin.geo.tiles import load_tiles

    if report.city is None:
        return report
    for spec in report.city.feeds:
        report.problems += catalog.problems(spec)
        report.problems += [Problem(spec.file, spec.line, words) for words in formats.problems(spec)]
    for load in (
        lambda layers: load_layers(layer for layer in layers if layer.kind != "tiles"),
        load_tiles,
    ):
        try:
            load(report.city.layers)
        except Misconfigured as fault:
            report.problems += fault.problems
    report.sort()
    return report


def main(arguments: argparse.Namespace) -> int:
    report = full_report(arguments)
    print(json.dumps(as_json(report)) if arguments.json else as_text(report))
    return 1 if report.problems else 0


def explain(arguments: argparse.Namespace) -> int:
    rules = {rule.name: rule for rule in load_city(arguments.city).plan.rules}
    rule = rules.get(arguments.rule)
    if rule is None:
        raise Misconfigured([Problem(str(arguments.city), 0, f"there is no rule {arguments.rule!r}; {nearest(arguments.rule, rules)}")])
    if arguments.json:
        print(
            json.dumps(
                {
                    "rule": rule.name,
                    "version": rule.version,
                    "words": rule.words,
                    "why": rule.why,
                    "source": rule.source,
                    "file": rule.file,
                    "line": rule.line,
                }
            )
        )
    else:
        print(
            f"{rule.title} ({rule.name}, version {rule.version}, {rule.file}:{rule.line})\n\n{rule.words}\n\nWhy: {rule.why}"
            + (f"\nFrom: {rule.source}" if rule.source else "")
        )
    return 0


def warm_up(arguments: argparse.Namespace) -> int:
    from tocsin.correlate.engine import Engine
    from tocsin.feeds import scan

    began = time.monotonic()
    Engine.warm_up()
    scan.load()
    seconds = time.monotonic() - began
    if arguments.json:
        print(json.dumps({"seconds": round(seconds, 2)}))
    else:
        print(f"The kernels are ready ({seconds:.1f} s).", file=sys.stderr)
    return 0
