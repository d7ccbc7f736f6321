"""What every command may be given: its arguments and options. Imports nothing heavy."""

from __future__ import annotations

import argparse
from pathlib import Path


class Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=110, max_help_position=30)


def _city(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("city", type=Path, metavar="CITY", help="a city directory (city.yaml, feeds/, rules/, layers/, tests/)")


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object last, for programs")


def _ports(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=None, help="console and API (default 8700; 0 takes any free port)")
    parser.add_argument("--ingest-port", type=int, default=None, help="webhooks (default 8701; 0 any)")
    parser.add_argument("--mqtt-port", type=int, default=None, help="MQTT for devices (default 8702; 0 any)")


def demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--city", type=Path, default=None, metavar="CITY", help="another city directory with an exercise (default: the Seattle example)"
    )
    parser.add_argument(
        "--for", dest="duration", default=None, metavar="SPAN", help="end by itself after this long on the wall, as in '30s' or '2 min'"
    )
    parser.add_argument(
        "--speed", type=float, default=None, help="how many times faster than life (default: what the city says; Seattle 720)"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open the console in a browser")
    parser.add_argument("--keep", type=Path, default=None, metavar="DIR", help="keep the data directory here instead of a temporary one")
    _ports(parser)
    _json(parser)


def run(parser: argparse.ArgumentParser) -> None:
    _city(parser)
    parser.add_argument("--data", type=Path, default=None, metavar="DIR", help="where the node keeps its data (default CITY/var)")
    parser.add_argument("--for", dest="duration", default=None, metavar="SPAN", help="end by itself after this long")
    parser.add_argument(
        "--journal",
        default=None,
        metavar="URL",
        help="an external NATS cluster instead of the embedded server, as nats://user:password@host:4222; several servers of it with commas between (docs/external-journal.md)",
    )
    _shards(parser)
    parser.add_argument(
        "--standbys",
        type=int,
        default=0,
        metavar="N",
        help="processes that wait to take over from correlate and from each shard (default 0)",
    )
    parser.add_argument(
        "--state",
        default=None,
        metavar="URL",
        help="keep the alerts view in PostgreSQL instead of a SQLite file, as postgresql://user@host/database; without a password, which goes into a "
        "passfile or PGPASSWORD (docs/postgres.md; default: the environment's TOCSIN_STATE)",
    )
    _ports(parser)
    _json(parser)


def _shards(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shards", type=int, default=1, metavar="N", help="share the matching among N processes, by region and by source")
    parser.add_argument(
        "--cuts",
        type=_longitudes,
        default=None,
        metavar="LON,LON",
        help="longitudes between the regions, one fewer than shards (default: about the city's centre)",
    )


def _longitudes(text: str) -> tuple[float, ...]:
    """`-122.4,-122.3` -> degrees, ascending."""
    try:
        cuts = tuple(float(word) for word in text.split(","))
    except ValueError:
        cuts = (181.0,)
    if any(one >= two for one, two in zip((-180.0, *cuts), (*cuts, 180.0), strict=True)):
        raise argparse.ArgumentTypeError(f"{text!r} are not ascending longitudes between -180 and 180, as in -122.4,-122.3")
    return cuts


def check(parser: argparse.ArgumentParser) -> None:
    _city(parser)
    parser.add_argument("--shards", action="store_true", help="also say how each rule would be shared out (docs/shards.md)")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="also run the rules over the city's recorded feeds, else its archive, and warn of those too loud",
    )
    parser.add_argument(
        "--data", type=Path, default=None, metavar="DIR", help="data directory of a node, for its archive (default CITY/var)"
    )
    _json(parser)


def test(parser: argparse.ArgumentParser) -> None:
    _city(parser)
    parser.add_argument("-k", dest="only", default="", metavar="TEXT", help="only tests whose name contains this")
    _json(parser)


def feed(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="try")
    trial = actions.add_parser("try", help="decode a file with a feed's declaration and print the events", formatter_class=Formatter)
    trial.add_argument("feed", metavar="FEED", help="CITY/feeds/NAME.yaml, or NAME with --city")
    trial.add_argument("file", type=Path, metavar="FILE", help="a file as the feed would send it; - for standard input")
    trial.add_argument("--city", type=Path, default=None, metavar="CITY", help="city directory when FEED is a name")
    trial.add_argument("--limit", type=int, default=20, help="how many events to print (default 20)")
    _json(trial)


def replay(parser: argparse.ArgumentParser) -> None:
    _city(parser)
    parser.add_argument(
        "--data", type=Path, default=None, metavar="DIR", help="data directory of the node whose journal is run again (default CITY/var)"
    )
    _shards(parser)
    _json(parser)


def reload(parser: argparse.ArgumentParser) -> None:
    _city(parser)
    parser.add_argument("--data", type=Path, default=None, metavar="DIR", help="data directory of the running node (default CITY/var)")
    _json(parser)


def explain(parser: argparse.ArgumentParser) -> None:
    _city(parser)
    parser.add_argument("subject", metavar="RULE|ALERT", help="name of a rule, or id of an alert (its first digits are enough)")
    parser.add_argument("--near", default=None, metavar="LON,LAT", help="why did the rule ring, or not, near this place (degrees)")
    parser.add_argument(
        "--at",
        default=None,
        metavar="TIME",
        help="... up to this time: ISO 8601, or the city's own time as in '2017-07-04 21:05' (default now)",
    )
    parser.add_argument(
        "--within", default=None, metavar="LENGTH", help="how near, as in '500 m' (default: the rule's own distance, or 1 km)"
    )
    parser.add_argument("--span", default=None, metavar="SPAN", help="how long before TIME it may have rung (default: the rule's own span)")
    parser.add_argument("--with-late", action="store_true", help="with everything known by now, instead of what was known at TIME")
    parser.add_argument("--data", type=Path, default=None, metavar="DIR", help="data directory of the node (default CITY/var)")
    _json(parser)


def backtest(parser: argparse.ArgumentParser) -> None:
    _city(parser)
    parser.add_argument("rule", metavar="RULE", help="a rule of the city")
    when = "ISO 8601, or the city's own time as in '2026-01-31' or '2026-01-31 21:05'"
    parser.add_argument("--from", dest="start", required=True, metavar="TIME", help=f"where the span begins: {when}")
    parser.add_argument("--to", dest="end", required=True, metavar="TIME", help="where it ends, exclusive")
    parser.add_argument(
        "--against", default=None, metavar="FILE|RULE", help="compare with another version of the rule, or with another rule"
    )
    parser.add_argument(
        "--order",
        metavar="ORDER",
        help="journal: as it was learnt; time: as it happened, imported events too (default: time where there are imported ones, else journal)",
    )
    parser.add_argument(
        "--sweep",
        default=None,
        metavar="KEY=VALUES",
        help="try one number of the rule, as in 'cluster.sources=2..6' or 'value>=100..300:50'",
    )
    parser.add_argument(
        "--incidents", default=None, metavar="KIND", help="kind of the events that really happened: which would have been caught"
    )
    parser.add_argument("--within", default="500 m", metavar="LENGTH", help="an alert counts for an incident so near (default %(default)s)")
    parser.add_argument("--before", default="1 h", metavar="SPAN", help="... known so long before it at most (default %(default)s)")
    parser.add_argument("--after", default="30 min", metavar="SPAN", help="... or so long after it (default %(default)s)")
    parser.add_argument("--budget", default=None, metavar="'N per SPAN'", help="what a shift can take (default: the rule's own budget)")
    parser.add_argument("--near", type=int, default=20, metavar="N", help="near misses to list, 0 for none (default %(default)s)")
    parser.add_argument(
        "--warm-up", default=None, metavar="SPAN", help="take events in from so long before (default: as far as the rule looks)"
    )
    parser.add_argument(
        "--alerts",
        type=Path,
        default=None,
        metavar="FILE",
        help="write every alert of the rule there, whole, a line each, as a node journals them",
    )
    parser.add_argument("--data", type=Path, default=None, metavar="DIR", help="data directory of the node (default CITY/var)")
    parser.add_argument(
        "--on", default="here", metavar="WHERE", help="here (the default), or spark: in parts, on one machine or many (docs/spark.md)"
    )
    spark(parser)
    parser.add_argument("--parts", type=int, default=None, metavar="N", help="on spark: cut into so many (default: two for each core)")
    parser.add_argument(
        "--work",
        default=None,
        metavar="DIR|ADDRESS",
        help="on spark: where what is done is kept: a folder that all machines share, or s3://bucket/prefix (default DATA/work)",
    )
    _elsewhere(parser)
    parser.add_argument("--progress-lines", action="store_true", help=argparse.SUPPRESS)
    _json(parser)


def spark(parser: argparse.ArgumentParser) -> None:
    """Where Spark is, and how it is set."""
    parser.add_argument(
        "--master", default=None, metavar="URL", help="on spark: the cluster, as in spark://host:7077 (default local[2]: this machine)"
    )
    parser.add_argument("--spark-conf", action="append", default=[], metavar="KEY=VALUE", help="on spark: a setting of its own; repeatable")


def alerts(parser: argparse.ArgumentParser) -> None:
    _city(parser)
    parser.add_argument("--at", default=None, metavar="TIME", help="as they were known at this time (default now); as in 'tocsin explain'")
    parser.add_argument("--state", action="append", default=[], metavar="STATE", help="only alerts in this state; repeatable")
    parser.add_argument("--rule", action="append", default=[], metavar="RULE", help="only alerts of this rule; repeatable")
    parser.add_argument("--data", type=Path, default=None, metavar="DIR", help="data directory of the node (default CITY/var)")
    _json(parser)


def baseline(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="learn")
    learn = actions.add_parser("learn", help="learn what is usual and write CITY/baselines/RULE.csv", formatter_class=Formatter)
    _city(learn)
    learn.add_argument("rule", metavar="RULE", help="a rule with a baseline under its rate")
    learn.add_argument("--from", dest="start", default=None, metavar="TIME", help="no earlier events, as in 2026-01-01T00:00:00Z")
    learn.add_argument("--to", dest="end", default=None, metavar="TIME", help="only events before this time")
    learn.add_argument("--data", type=Path, default=None, metavar="DIR", help="journal of a stopped node (default CITY/var)")
    learn.add_argument(
        "--file", dest="files", action="append", default=[], metavar="FEED=FILE", help="instead: a recorded file of a feed; may be repeated"
    )
    learn.add_argument("--dry-run", action="store_true", help="say what would be learnt, write nothing")
    _json(learn)


def archive(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    abouts = {
        "status": "what is there: events, files, bytes, retention, holds",
        "compact": "join small files now",
        "verify": "read every byte, check it against the catalogue and the signed record",
        "import": "take in files of a feed as history, past the journal",
        "hold": "legal holds: what retention must leave alone",
        "retention": "remove now what the feeds' declarations no longer allow to be kept",
        "mirror": "bring a copy in S3-compatible storage up to date (docs/archive-mirror.md)",
        "rebuild": "make a damaged or lost catalogue again from the archive's files (the node is stopped)",
        "restore": "bring back an archive that was lost, from its mirror",
    }
    made = {name: actions.add_parser(name, help=words, description=words, formatter_class=Formatter) for name, words in abouts.items()}
    for name in ("status", "compact", "verify", "retention", "rebuild"):
        _archived(made[name])
    made["verify"].add_argument(
        "--repair", action="store_true", help="fetch damaged files again: from the mirror, the journal, imported files, another copy"
    )
    made["verify"].add_argument(
        "--peer",
        metavar="DIR|ADDRESS",
        help="for --repair: another copy of this archive or of its data directory, or a mirror, s3://... (default: the one that city.yaml says)",
    )
    _archived(made["import"])
    made["import"].add_argument("feed", metavar="FEED", help="name of a feed of the city")
    made["import"].add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="in the feed's format, or Parquet or Arrow with an event's columns"
    )
    made["import"].add_argument("--no-compact", action="store_true", help="leave joining files to the node")
    _holds(made["hold"])
    for name in ("mirror", "restore"):
        _archived(made[name])
        made[name].add_argument(
            "to" if name == "mirror" else "source",
            nargs="?",
            metavar="ADDRESS",
            help="s3://bucket/prefix[?endpoint=https://host:port&region=NAME] (default: what city.yaml says)",
        )
    made["mirror"].add_argument(
        "--grace", metavar="SPAN", help="how long objects stay that are replaced (default: what city.yaml says, else 1 h)"
    )
    for name in ("status", "verify"):
        _elsewhere(made[name])


def _archived(parser: argparse.ArgumentParser) -> None:
    _city(parser)
    parser.add_argument("--data", type=Path, default=None, metavar="DIR", help="data directory of the node (default CITY/var)")
    _json(parser)


def _elsewhere(parser: argparse.ArgumentParser) -> None:
    """Where the archive is read, when not on this machine."""
    parser.add_argument(
        "--archive", default=None, metavar="ADDRESS",
        help="read a mirror instead: s3://bucket/prefix[?endpoint=https://host:port&region=NAME], or mirror for the one that city.yaml says",
    )  # fmt: skip
    parser.add_argument(
        "--cache", type=Path, default=None, metavar="DIR", help="where fetched files are kept (default ~/.cache/tocsin/mirror)"
    )
    parser.add_argument("--cache-size", default=None, metavar="SIZE", help="what they may take, as in '50 GB' (default 20 GB)")


def _holds(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="hold", required=True, metavar="add|list|release")
    add = actions.add_parser("add", help="hold what happened at a time, a place, or in a feed", formatter_class=Formatter)
    _archived(add)
    add.add_argument("--reason", required=True, help="why, as in 'incident 2026-114, fire at the mill'")
    add.add_argument("--from", dest="start", default=None, metavar="TIME", help="what happened from then on, as in 2026-01-05T14:03:00Z")
    add.add_argument("--to", dest="end", default=None, metavar="TIME", help="... and before then")
    add.add_argument("--bbox", default=None, metavar="W,S,E,N", help="within this box (degrees), or without a place")
    add.add_argument("--feed", dest="feeds", action="append", default=[], metavar="FEED", help="only of this feed; repeatable")
    add.add_argument("--alert", default=None, metavar="ID", help="around this alert's place and time (or the beginning of its id), instead")
    add.add_argument("--within", default=None, metavar="LENGTH", help="with --alert: how far from it (default 1 km)")
    add.add_argument("--around", default=None, metavar="SPAN", help="with --alert: before and after it was opened (default 1 h)")
    listing = actions.add_parser("list", help="holds in force", formatter_class=Formatter)
    _archived(listing)
    listing.add_argument("--all", action="store_true", help="released ones too")
    release = actions.add_parser("release", help="let retention go on", formatter_class=Formatter)
    _archived(release)
    release.add_argument("number", type=int, metavar="NUMBER", help="of the hold, as 'list' shows it")
    for one in (add, listing, release):
        one.add_argument("--by", default=None, metavar="NAME", help="who says so (default: the name of this account)")


def exercise(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|start|stop|score")
    for name, about in (
        ("list", "what CITY/exercises/ holds"),
        ("start", "begin one on the running node"),
        ("stop", "end the one that is running"),
        ("score", "how the newest run of one went"),
    ):
        action = actions.add_parser(name, help=about, formatter_class=Formatter)
        _city(action)
        if name in ("start", "score"):
            action.add_argument("name", metavar="NAME", help="name of the exercise" + (", or id of a run" if name == "score" else ""))
        if name in ("start", "stop"):
            action.add_argument("--by", default="", metavar="WHO", help="who leads it (default: this account's name)")
        action.add_argument("--data", type=Path, default=None, metavar="DIR", help="data directory of the node (default CITY/var)")
        _json(action)


def nothing(parser: argparse.ArgumentParser) -> None:
    _json(parser)


def _asks(parser: argparse.ArgumentParser) -> None:
    """What `query` and `search` have in common."""
    parser.add_argument(
        "--format", default=None, metavar="FORMAT", help="json, csv, arrow, parquet (GeoParquet), gpkg (GeoPackage) or fgb (FlatGeobuf)"
    )
    parser.add_argument("--out", type=Path, default=None, metavar="FILE", help="write the rows here; its ending says the format")
    parser.add_argument("--data", type=Path, default=None, metavar="DIR", help="data directory of the node (default CITY/var)")
    parser.add_argument("--plan", action="store_true", help="print the query and what it read as well")
    _elsewhere(parser)


def query(parser: argparse.ArgumentParser) -> None:
    _city(parser)
    parser.add_argument("sql", metavar="SQL", help="one SELECT from events, hourly and daily; - reads it from standard input")
    parser.add_argument("--limit", type=int, default=10_000, metavar="N", help="rows at most (default 10000)")
    parser.add_argument("--within", default="60 s", metavar="SPAN", help="time it may take (default 60 s)")
    parser.add_argument("--all", action="store_true", help="read it although it is much")
    _asks(parser)
    _json(parser)


def search(parser: argparse.ArgumentParser) -> None:
    _city(parser)
    parser.add_argument("--text", default="", metavar="WORDS", help='words of the text, attributes, source or id; "in quotes" for a phrase')
    parser.add_argument("--near", default=None, metavar="LON,LAT", help="only around this place (degrees)")
    parser.add_argument("--radius", default="500 m", metavar="LENGTH", help="... within this distance (default 500 m)")
    parser.add_argument(
        "--from", dest="start", default=None, metavar="TIME", help="not before; ISO 8601, or the city's own time as '2017-07-04 21:05'"
    )
    parser.add_argument("--to", dest="end", default=None, metavar="TIME", help="only before this time")
    for name, words in (("kind", "dotted prefix of the kind"), ("feed", "feed"), ("source", "source")):
        parser.add_argument(f"--{name}", action="append", default=[], metavar=name.upper(), help=f"only this {words}; repeatable")
    parser.add_argument("--severity", type=int, choices=range(5), default=None, help="at least this severity (4 is extreme)")
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="events at most (default 50)")
    parser.add_argument("--cursor", default=None, help="`next` of the page before")
    _asks(parser)
    _json(parser)


def report(parser: argparse.ArgumentParser) -> None:
    _city(parser)
    parser.add_argument(
        "report", metavar="REPORT", help="volume, forecast, feeds, responses, coverage, false-alarms; with --pdf or --html also all"
    )
    parser.add_argument("--from", dest="start", default=None, metavar="TIME", help="not before; ISO 8601, or the city's own time")
    parser.add_argument("--to", dest="end", default=None, metavar="TIME", help="only before this time")
    for name, words in (("kind", "dotted prefix of the kind"), ("feed", "feed")):
        parser.add_argument(f"--{name}", action="append", default=[], metavar=name.upper(), help=f"only this {words}; repeatable")
    parser.add_argument(
        "--on", default="here", metavar="WHERE", help="responses, volume, forecast, feeds: here (the default), or spark (docs/spark.md)"
    )
    spark(parser)
    parser.add_argument("--days", type=int, default=3, help="forecast: days ahead (default 3)")
    parser.add_argument(
        "--begins", default="event_time", metavar="ATTR", help="responses: attribute with the first instant (default event_time)"
    )
    parser.add_argument("--ends", default="arrived", metavar="ATTR", help="responses: attribute with the last instant (default arrived)")
    parser.add_argument("--by", default="", metavar="ATTR", help="responses: attribute that names the station")
    parser.add_argument(
        "--people", default="census-blocks", metavar="LAYER", help="coverage: layer of points with people (default census-blocks)"
    )
    parser.add_argument("--stations", default="fire-stations", metavar="LAYER", help="coverage: layer of points (default fire-stations)")
    parser.add_argument(
        "--pdf", type=Path, default=None, metavar="FILE", help="print it here, by the Chromium of this machine (CHROMIUM names another)"
    )
    parser.add_argument("--html", type=Path, default=None, metavar="FILE", help="write the page here, for any browser to print")
    _asks(parser)
    _json(parser)
