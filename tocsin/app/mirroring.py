"""The archive's mirror, as the commands use it: sent with `tocsin archive mirror`, read with `--archive s3://...`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tocsin.config.load import load_city
from tocsin.kernel.document import Node
from tocsin.kernel.fault import Fatal, Misconfigured, Problem
from tocsin.kernel.scalar import Size
from tocsin.model.city import City
from tocsin.model.mirror import Address, parse
from tocsin.model.time import HOUR, parse_span

from .layout import Layout

if TYPE_CHECKING:
    from tocsin.archive.mirror.mirrored import Mirrored, Place

#: Instead of an address: the one that city.yaml says.
OWN: Final = "mirror"


def address_of(text: str, city: City | None, option: str) -> Address:
    """An address from the command line. What it leaves out is taken from city.yaml where that names the same bucket. Raises Misconfigured."""
    said = None if city is None or city.mirror is None else city.mirror.to
    if text == OWN:
        if said is None:
            raise Misconfigured([Problem(option, 0, "city.yaml names no mirror; write its address, as in s3://bucket/prefix")])
        return said
    try:
        found = parse(text)
    except ValueError as fault:
        raise Misconfigured([Problem(option, 0, str(fault))]) from None
    return said if said is not None and not found.endpoint and found.place == said.place else found


def place_of(arguments: argparse.Namespace, city: City) -> Place | None:
    """What `--archive` names; None without it. Raises Misconfigured."""
    if arguments.archive is None:
        if arguments.cache is not None or arguments.cache_size is not None:
            raise Misconfigured([Problem("--cache", 0, "goes with --archive alone")])
        return None
    from tocsin.archive.mirror.cache import ROOM
    from tocsin.archive.mirror.mirrored import Place

    room = ROOM
    if arguments.cache_size is not None:
        try:
            room = Size().parse(Node(0, arguments.cache_size))
        except ValueError as fault:
            raise Misconfigured([Problem("--cache-size", 0, str(fault))]) from None
    return Place(address_of(arguments.archive, city, "--archive"), arguments.cache, room)


def mirrored(arguments: argparse.Namespace, city: City) -> Mirrored:
    """The archive that `--archive` names. Raises Misconfigured, Fatal, Retriable."""
    from .archive import Progress

    place = place_of(arguments, city)
    if place is None:
        raise Fatal("no mirror is named")
    progress = Progress(arguments.json)

    def say(what: str, share: float) -> None:
        progress(what, share)
        if share >= 1:
            progress.end()

    return place.opened(say)


def copies(arguments: argparse.Namespace) -> tuple[Path | None, Address | None]:
    """Where damaged files may be had: a folder, and a mirror: that which `--peer` names, else that of city.yaml. Raises Misconfigured."""
    said, city = arguments.peer, load_city(arguments.city)
    if said == OWN or (said is not None and said.startswith("s3://")):
        return None, address_of(said, city, "--peer")
    return None if said is None else Path(said), None if city.mirror is None else city.mirror.to


def send(arguments: argparse.Namespace, show: Callable[[argparse.Namespace, dict[str, Any], str], None]) -> int:
    """`tocsin archive mirror`: what the bucket has not, and the catalogue. Raises Misconfigured, Fatal, Retriable, OSError."""
    from tocsin.archive.catalog import Catalog
    from tocsin.archive.mirror.bucket import Bucket
    from tocsin.archive.mirror.sending import Sender, words

    from .archive import Progress

    layout = Layout((arguments.data or arguments.city / "var").resolve())
    city = None if arguments.to is not None and arguments.to != OWN and arguments.grace is not None else load_city(arguments.city)
    address = address_of(arguments.to or OWN, city, "ADDRESS")
    grace = _grace(arguments.grace, city)
    if not (layout.archive / "catalog.db").exists():
        raise Fatal(f"there is no archive in {layout.archive}; name the data directory of a node with --data")
    catalog, progress = Catalog(layout.archive, write=True), Progress(arguments.json)
    try:
        sent = Sender(catalog, Bucket(address), grace, progress).run()
    finally:
        progress.end()
        catalog.close()
    show(arguments, {"to": address.place, **asdict(sent)}, words(sent, address.place))
    return 1 if sent.damaged or sent.undead or sent.versions else 0


def _grace(text: str | None, city: City | None) -> int:
    if text is None:
        return HOUR if city is None or city.mirror is None else city.mirror.grace
    try:
        return parse_span(text)
    except ValueError as fault:
        raise Misconfigured([Problem("--grace", 0, str(fault))]) from None


def main() -> int:
    """`tocsin archive mirror`, as keep starts it: it ends with keep."""
    from tocsin.cli import main as run

    from .process import die_with_parent

    die_with_parent()
    return run(["archive", "mirror", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
