"""How `tocsin run` and `tocsin demo` begin: the nursery imports what the node's processes share while this one imports what it needs."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Iterator
from contextlib import contextmanager

from .nursery import Nest, spawn
from .steps import step


def run(arguments: argparse.Namespace) -> int:
    with _first() as nest:
        from . import node

        step("imports")
        return node.main(arguments, nest)


def demo(arguments: argparse.Namespace) -> int:
    with _first() as nest:
        from . import demo

        step("imports")
        return demo.main(arguments, nest)


@contextmanager
def _first() -> Iterator[Nest]:
    """The nursery at work; no garbage is collected before the node is ready (`pauses.shorten`): what is imported and read stays."""
    gc.disable()
    try:
        nest = spawn()
        step("nursery started")
        yield nest
    finally:
        gc.enable()
