"""Warm-up: compile or load every kernel before the engine says it is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tocsin.model.plan import AlertSpec, Match, Per, Plan, RulePlan
from tocsin.model.predicate import Selector

from .columns import Columns
from .kernels import layout

if TYPE_CHECKING:
    from .engine import Engine


def warm_up(engine: type[Engine]) -> None:
    """Runs a tiny engine through everything that calls a kernel. One plan is enough: the kernels do not depend on the rules."""
    alert = AlertSpec("", per=Per(hold=1, place=100.0))
    plan = Plan((RulePlan("warm-up", "0", "", "", Match(Selector("warm")), alert),))
    small = engine(plan)
    kind = small.kind_code("warm", None)
    source = small.source_code("warm", "up")
    columns = Columns(
        seq=np.array([1], np.int64),
        time=np.array([0], np.int64),
        kind=np.array([kind], np.int32),
        source=np.array([source], np.int32),
        lon=np.array([0.0]),
        lat=np.array([0.0]),
        value=np.array([0.0]),
        bits=np.zeros((1, small.words), np.uint64),
    )
    small.push(columns, 1)
    small.tick(2)
    small.withdraw([1])
    memory = small._memory
    for table in range(layout.FULL_RECENT, layout.FULL_STANDING + 1):
        memory.grow(table)
    for name in ("track_states", "watched", "latest"):
        memory.rekey(name, len(memory[name]))
    small.restore(small.snapshot())
