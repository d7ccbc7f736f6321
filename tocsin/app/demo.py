"""`tocsin demo`: a recorded city played as if it were now, in a directory that is thrown away afterwards."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import webbrowser
from pathlib import Path

from .layout import seattle
from .node import Options, options_of, running, stop_signal, until_stopped, wall_seconds, welcome
from .nursery import Nest
from .pauses import shorten
from .summary import summary


async def play(options: Options, seconds: float | None, as_json: bool, browser: bool, nest: Nest) -> int:
    options.say("Starting; the first start compiles the correlation kernels, which takes a while ...")
    async with running(options, nest) as node:
        shorten()
        stop = stop_signal()  # before anybody is told that it is ready
        options.say(welcome(node))
        if browser:
            await asyncio.to_thread(webbrowser.open, node.address)
        await until_stopped(stop, seconds)
        options.say("stopping ...")
        told = await summary(node)
        if as_json:
            print(json.dumps(told), flush=True)
        else:
            words = f"{told['events']} events, {told['duplicates']} duplicates, {told['quarantined']} quarantined, {told['alerts']} alerts"
            options.say(words)
    return 0


def main(arguments: argparse.Namespace, nest: Nest) -> int:
    """`nest`: a nursery that was started already."""
    os.umask(0o077)
    city: Path = arguments.city or seattle()
    seconds = wall_seconds(arguments.duration)
    browser = not arguments.no_browser and bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    if arguments.keep:
        return asyncio.run(play(options_of(arguments, city, arguments.keep), seconds, arguments.json, browser, nest))
    with tempfile.TemporaryDirectory(prefix="tocsin-demo-") as folder:
        return asyncio.run(play(options_of(arguments, city, Path(folder)), seconds, arguments.json, browser, nest))
