"""The commands. Nothing heavy is imported before a command is chosen."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from . import __version__, arguments

#: Exit codes of every command.
OK, PROBLEMS, CANNOT_RUN = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Command:
    """`arguments` adds the command's own options; `run` is `module:function` under `tocsin.app`, imported when called."""

    about: str
    examples: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: str


COMMANDS: dict[str, Command] = {
    "demo": Command(
        "Play a recorded city as if it were now, on this machine only.",
        "tocsin demo\ntocsin demo --no-browser --port 0 --for 30s --json",
        arguments.demo,
        "begin:demo",
    ),
    "run": Command("Run a node for a city.", "tocsin run examples/seattle --data /var/lib/tocsin", arguments.run, "begin:run"),
    "check": Command(
        "Check a city directory: every mistake with file, line and what would be valid.",
        "tocsin check examples/seattle\ntocsin check examples/seattle --dry-run",
        arguments.check,
        "checks:main",
    ),
    "test": Command(
        "Run a city's rule tests in virtual time.",
        "tocsin test examples/seattle\ntocsin test examples/seattle -k smoke",
        arguments.test,
        "ruletests:main",
    ),
    "feed": Command(
        "Try a feed: what a file decodes to, and what would be quarantined.",
        "tocsin feed try examples/seattle/feeds/calls.yaml examples/seattle/recorded/fire_calls_2017_july.csv",
        arguments.feed,
        "tryfeed:main",
    ),
    "reload": Command(
        "Put an edited city directory in force on the running node: rules, feeds and layers, all or nothing.",
        "tocsin reload examples/seattle --data /var/lib/tocsin",
        arguments.reload,
        "reload:main",
    ),
    "replay": Command(
        "Run a stopped node's journal through its rules again and compare the alerts: same journal, same rules, same alerts.",
        "tocsin replay examples/seattle --json",
        arguments.replay,
        "replay:main",
    ),
    "explain": Command(
        "Say when a rule rings; why it rang, or why it did not, at a place and time; or why an alert was raised.",
        "tocsin explain examples/seattle alarm-then-fire\n"
        "tocsin explain examples/seattle alarm-then-fire --near -122.33,47.61 --at '2017-07-04 21:05' --within 500m\n"
        "tocsin explain examples/seattle 3f2a91c0",
        arguments.explain,
        "why:main",
    ),
    "backtest": Command(
        "Try a rule on the archive: what it would have rung for, caught and missed, before it is switched on.",
        "tocsin backtest examples/seattle structure-fire --from 2017-07-01 --to 2017-07-08\n"
        "tocsin backtest CITY medical-surge --from 2026-01-01 --to 2026-04-01 --sweep cluster.sources=3..6 --incidents incident.mass_casualty\n"
        "tocsin backtest CITY smoke-unhealthy --from 2026-01-01 --to 2026-04-01 --against new-version.yaml --json",
        arguments.backtest,
        "backtest:main",
    ),
    "alerts": Command(
        "List the alerts and their states, now or as they were known at some time.",
        "tocsin alerts examples/seattle --at 2017-07-04T21:05:00-07:00",
        arguments.alerts,
        "then:main",
    ),
    "baseline": Command(
        "Learn from history what is usual at each hour of the week, for a rule with a baseline.",
        "tocsin baseline learn CITY calls-above-usual --from 2026-01-05T00:00:00Z\ntocsin baseline learn CITY calls-above-usual --file calls=calls_2025.csv",
        arguments.baseline,
        "baseline:main",
    ),
    "archive": Command(
        "History: what is kept, joining files, verifying and repairing, importing, legal holds, retention, a second place.",
        "tocsin archive status CITY\n"
        "tocsin archive import CITY calls calls_2025.csv calls_2026.parquet\n"
        "tocsin archive verify CITY --repair\n"
        "tocsin archive verify CITY --repair --peer 's3://city-history/seattle?endpoint=https://objects.example.org'\n"
        "tocsin archive compact CITY\n"
        "tocsin archive retention CITY --json\n"
        "tocsin archive rebuild CITY\n"
        "tocsin archive mirror CITY 's3://city-history/seattle?endpoint=https://objects.example.org'\n"
        "tocsin archive restore CITY --data /var/lib/tocsin\n"
        "tocsin archive hold add CITY --reason 'incident 2026-114' --from 2026-01-05T14:00:00Z --to 2026-01-06T00:00:00Z --bbox=-122.4,47.5,-122.2,47.7\n"
        "tocsin archive hold add CITY --reason 'incident 2026-114' --alert 3f09a2c14b --within '1 km' --around '1 h'\n"
        "tocsin archive hold list CITY\n"
        "tocsin archive hold release CITY 1",
        arguments.archive,
        "archive:main",
    ),
    "search": Command(
        "Search the archive: words, place, time, kind, feed, source; newest first.",
        "tocsin search examples/seattle --text 'pike \"aid response\"' --from '2017-07-04 20:00'\n"
        "tocsin search examples/seattle --near -122.33,47.61 --radius '1 km' --kind call.fire --out fires.gpkg",
        arguments.search,
        "query:search",
    ),
    "query": Command(
        "Ask the archive in SQL, read only, in a sandbox of its own.",
        "tocsin query examples/seattle \"SELECT kind, count(*) FROM events WHERE event_time >= '2017-07-04' AND event_time < '2017-07-05' GROUP BY 1\"\n"
        "tocsin query examples/seattle - --out calls.parquet < calls.sql",
        arguments.query,
        "query:query",
    ),
    "report": Command(
        "Reports over the archive: volume by hour of the week, forecast, feeds, response times, coverage, false alarms.",
        "tocsin report examples/seattle coverage\n"
        "tocsin report CITY volume --kind call --from '2026-01-05 00:00' --to '2026-03-02 00:00' --out volume.csv\n"
        "tocsin report CITY all --kind call --from '2026-01-05 00:00' --to '2026-03-02 00:00' --pdf march.pdf",
        arguments.report,
        "report:main",
    ),
    "exercise": Command(
        "Practise: inject a written scenario beside real life, marked everywhere, and score how it was noticed.",
        "tocsin exercise list examples/seattle\n"
        "tocsin exercise start examples/seattle warehouse-fire --by 'Training officer'\n"
        "tocsin exercise stop examples/seattle\n"
        "tocsin exercise score examples/seattle warehouse-fire --json",
        arguments.exercise,
        "exercise:main",
    ),
    "warm-up": Command(
        "Compile the kernels of correlation and of reading feeds into the cache, so that the first start is quick.",
        "tocsin warm-up",
        arguments.nothing,
        "checks:warm_up",
    ),
}


BEGIN = """begin here:
  tocsin demo                      a recorded city, live on a map, on this machine only
  cp -r examples/seattle mycity    a city of your own; then edit city.yaml, feeds/, rules/ and layers.yaml
  tocsin check mycity              every mistake in it, with file and line
  tocsin run mycity                run it; the console is at http://127.0.0.1:8700
  tocsin COMMAND --help            options and examples of a command"""


class Parser(argparse.ArgumentParser):
    """The top parser; `command_help` gives one command's help as text, for the docs."""

    commands: dict[str, argparse.ArgumentParser]

    def command_help(self, name: str) -> str:
        return self.commands[name].format_help()


def build_parser() -> Parser:
    parser = Parser(
        prog="tocsin",
        description="Open, self-hosted domain awareness for emergency operations.",
        epilog=BEGIN,
        formatter_class=arguments.Formatter,
    )
    parser.add_argument("--version", action="version", version=f"tocsin {__version__}")
    parser.commands = {}
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=argparse.ArgumentParser)
    for name, command in COMMANDS.items():
        sub = subparsers.add_parser(name, help=command.about, description=command.about, formatter_class=arguments.Formatter)
        command.arguments(sub)
        _exemplify(sub, f"tocsin {name}", command.examples.split("\n"))
        parser.commands[name] = sub
    return parser


def _exemplify(parser: argparse.ArgumentParser, called: str, examples: Sequence[str]) -> None:
    """A command shows all of its examples; an action of it (`tocsin archive import`) those that begin with its own words."""
    parser.epilog = "examples:\n" + "\n".join(f"  {line}" for line in examples)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                words = f"{called} {name}"
                _exemplify(sub, words, [line for line in examples if line.startswith(f"{words} ")])


def _unknown(argv: Sequence[str]) -> str:
    """What to say about a first word that is no command; nothing where it is one."""
    word = argv[0] if argv else "-"
    if word.startswith("-") or word in COMMANDS:
        return ""
    from difflib import get_close_matches

    near = get_close_matches(word, COMMANDS, 1)
    return f"tocsin: there is no command {word!r}{f'; did you mean {near[0]!r}?' if near else ''} ('tocsin' alone lists them)"


def _joined(argv: Sequence[str]) -> Iterator[str]:
    """A place west of Greenwich begins with a minus sign, and is no option all the same."""
    words = iter(argv)
    for word in words:
        following = next(words, None) if word in {"--near", "--bbox"} else None
        yield word if following is None else f"{word}={following}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns 0 (ok), 1 (found problems) or 2 (could not run)."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(words)
    except KeyboardInterrupt:
        print("tocsin: interrupted", file=sys.stderr)
        return CANNOT_RUN


def _run(words: Sequence[str]) -> int:
    if unknown := _unknown(words):
        print(unknown, file=sys.stderr)
        return CANNOT_RUN
    parser = build_parser()
    given = parser.parse_args(list(_joined(words)))
    if given.command is None:
        parser.print_help()
        return OK
    from importlib import import_module

    from .kernel.fault import Misconfigured, TocsinError

    module, function = COMMANDS[given.command].run.split(":")
    try:
        code: int = getattr(import_module(f"tocsin.app.{module}"), function)(given)
        sys.stdout.flush()
    except Misconfigured as fault:
        print(fault, file=sys.stderr)
        return PROBLEMS
    except BrokenPipeError:  # whoever read the output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CANNOT_RUN
    except (TocsinError, OSError) as fault:
        print(f"tocsin {given.command}: {_said(fault)}", file=sys.stderr)
        return CANNOT_RUN
    return code


def _said(fault: Exception) -> str:
    """`some.csv: No such file or directory`, without the number that the system gives it."""
    if isinstance(fault, OSError) and fault.strerror:
        return f"{fault.filename}: {fault.strerror}" if fault.filename else fault.strerror
    return str(fault)


if __name__ == "__main__":
    sys.exit(main())
