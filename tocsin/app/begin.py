"""How `tocsin run` and `tocsin demo` begin: the nursery imports what the node's processes share while this one imports what it needs."""

from __future__ import annotations

import argparse
import gc

from .nursery import Nest, spawn
from .steps import step


def run(arguments: argparse.Namespace) -> int:
    nest = _first()
    from . import node

    step("imports")
    return node.main(arguments, nest)


def demo(arguments: argparse.Namespace) -> int:
    nest = _first()
    from . import demo

    step("imports")
    return demo.main(arguments, nest)


def _first() -> Nest:
    gc.disable()  # until the node is ready: what is imported and read stays
    nest = spawn()
    step("nursery started")
    return nest
