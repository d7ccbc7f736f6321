"""2 decode: bytes to events, one module per format.

A format is a module with a function `decode(body, spec) -> Decoded` (`feeds/contract.py`) and three facts: `OPTIONS`, what a feed may
set; `defaults(spec)`, what it maps by itself; `FLAT`, whether paths are plain column names; and, when kinds
of options are not enough, `problems(spec)`. It is pure: no clock, no I/O, no logging.
Every reject keeps bytes that decode again as a message of their own, so that a record can be retried from quarantine.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import ModuleType
from typing import Final, cast

from tocsin.feeds import mapping
from tocsin.feeds.contract import Format
from tocsin.kernel.fault import Misconfigured, Problem, nearest
from tocsin.model.feed import FeedSpec

from . import options
from .options import Options

#: Name in a feed file -> module, imported when a feed first asks for it.
FORMATS: Final[Mapping[str, str]] = {
    "csv": "tocsin.feeds.formats.csv_rows",
    "json": "tocsin.feeds.formats.json_records",
    "ndjson": "tocsin.feeds.formats.ndjson",
    "cloudevents": "tocsin.feeds.formats.cloudevents",
    "geojson": "tocsin.feeds.formats.geojson",
    "cap": "tocsin.feeds.formats.cap",
    "arrow": "tocsin.feeds.formats.arrow_ipc",
}
#: How a transport that reads a growing file may cut it into messages: at any `line` end, at line ends with the first line (the
#: `header`) repeated in front of every piece, or not at all (`whole`).
FRAMING: Final[Mapping[str, str]] = {"csv": "header", "ndjson": "line"}


def make_format(spec: FeedSpec) -> Format:
    """The feed's format, its mapping checked. Raises Misconfigured with everything that is wrong."""
    found = problems(spec)
    if found:
        raise Misconfigured(Problem(spec.file, spec.line, f"feed {spec.name}: {message}") for message in found)
    return load(spec.format.name)


def load(name: str) -> Format:
    """The format of this name. Raises KeyError for an unknown one."""
    return cast(Format, _module(name))


def framing(spec: FeedSpec) -> str:
    """`line`, `header` or `whole` for this feed: a CSV whose columns are declared has no header line."""
    name = FRAMING.get(spec.format.name, "whole")
    return "line" if name == "header" and spec.format.options.get("columns") else name


def declared_options(name: str) -> Options:
    """What a feed may set for this format, with defaults and a word of explanation. Raises KeyError for an unknown format."""
    return cast(Options, _module(name).OPTIONS)


def problems(spec: FeedSpec) -> list[str]:
    """Everything wrong with a feed's format, options, mapping and attributes, in words; for `tocsin check`."""
    if spec.format.name not in FORMATS:
        return [f"format {spec.format.name!r} does not exist; {nearest(spec.format.name, FORMATS)}"]
    module = _module(spec.format.name)
    found = options.problems(spec, module.OPTIONS)
    if not found and hasattr(module, "problems"):
        found = module.problems(spec)
    return found or mapping.problems(spec, module.defaults(spec), module.FLAT)


def _module(name: str) -> ModuleType:
    return importlib.import_module(FORMATS[name])
