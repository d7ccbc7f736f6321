"""How `tocsin run` and `tocsin demo` begin: the nursery imports what the node's processes share while this one imports what it needs."""

from __future__ import annotations

import argparse

from .nursery import spawn
from .steps import step


def run(arguments: argparse.Namespace) -> int:
    nest = spawn()
    step("nursery started")
    from . import node

    step("imports")
    return node.main(arguments, nest)


def demo(arguments: argparse.Namespace) -> int:
    nest = spawn()
    step("nursery started")
    from . import demo

    step("imports")
    return demo.main(arguments, nest)
