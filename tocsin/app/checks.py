"""`tocsin check` and `tocsin warm-up`."""

from __future__ import annotations

import argparse
import json
import sys
import time

from tocsin.config.check import as_json, as_text, read_city
from tocsin.config.load import Report
from tocsin.correlate.shards.assign import shares
from tocsin.kernel.fault import Misconfigured, Problem


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
    told, text = as_json(report), as_text(report)
    if arguments.shards and report.city is not None:
        ways = [(rule.name, share) for rule, share in zip(report.city.plan.rules, shares(report.city.plan), strict=True)]
        told["shards"] = [{"rule": name, "way": share.way, "why": share.why, "reach_m": share.reach} for name, share in ways]
        text += "\n" + "\n".join(f"{name}: {share.way} ({share.why})" for name, share in ways)
    if arguments.dry_run and report.city is not None and not report.problems:
        from . import dryrun

        dry, warnings = dryrun.rehearse(report.city, arguments.city, arguments.data or arguments.city / "var")
        report.warnings += warnings
        told = {**as_json(report), **{key: told[key] for key in ("shards",) if key in told}, "dry_run": dry}
        text = f"{dryrun.as_text(dry)}\n{as_text(report)}"
    print(json.dumps(told) if arguments.json else text)
    return 1 if report.problems else 0


def warm_up(arguments: argparse.Namespace) -> int:
    from tocsin.archive import compiled
    from tocsin.correlate.engine import Engine
    from tocsin.feeds import scan

    began = time.monotonic()
    Engine.warm_up()
    scan.load()
    compiled.LIBRARY.load()
    seconds = time.monotonic() - began
    if arguments.json:
        print(json.dumps({"seconds": round(seconds, 2)}))
    else:
        print(f"The kernels are ready ({seconds:.1f} s).", file=sys.stderr)
    return 0
