"""The jobs, as plans: what every engine in a run has to answer.

| job | meaning | rules |
|---|---|---|
| threshold | two readings in a row >= 3 turn on, two <= 1.5 turn off, per source | 30 |
| cluster | 3 distinct sources, value >= 3, within 500 m and 5 min (3 % of the events pass) | 40 |
| dense | the same with every event passing | 40 |
| sequence | A then B within 1 km and 10 min | 10 |
| absence | A and no B within 500 m in 5 min | 10 |
| density-P | cluster with the threshold lowered until about P percent of the events pass | 40 |
| history-OPERATOR-N | an operator that keeps a history (`history_jobs.py`) | N |
| mixed-N | 35 % threshold, 30 % cluster, 20 % sequence, 15 % absence, random kinds, thresholds, radii and windows | N |

No rule thins its alerts (`per`), so that every completed match is an answer that can be compared.
"""

from __future__ import annotations

import numpy as np

from bench import history_jobs
from bench.stream import KINDS, LAT0, LON0, Stream
from tocsin.model.plan import Absence, AlertSpec, Cluster, Match, Operator, Plan, RulePlan, Sequence, Step
from tocsin.model.predicate import Compare, Selector

SECOND, MINUTE = 1_000_000, 60_000_000
NAMES = ("threshold", "cluster", "sequence", "absence", "dense", "mixed-100", "mixed-1000", "mixed-10000")

#: Threshold by percent of events that pass, between `cluster` (3 to 6, by the length of the stream) and `dense` (100). `passing` counts what really passes.
DENSITIES = {10: 1.4, 30: 0.6}
PLOTTED = ("cluster", "density-10", "density-30", "dense", "mixed-1", "mixed-10", "mixed-100", "mixed-1000", "mixed-10000")


def known(job: str) -> bool:
    name, _, number = job.rpartition("-")
    if job.startswith("history-"):
        return history_jobs.known(job)
    if name == "mixed":
        return number.isdigit() and int(number) > 0
    return job in NAMES or (name == "density" and number.isdigit() and int(number) in DENSITIES)


def passing(job: str, stream: Stream) -> float:
    """Share of the stream's events that the rules of a cluster job look at."""
    selectors = [operator.of for operator in operators(job) if isinstance(operator, Cluster)]
    lowest = {int(of.kind.removeprefix("kind.")): -np.inf if of.at_least is None else of.at_least for of in selectors}
    return float(np.mean(stream.value >= np.array([lowest.get(kind, np.inf) for kind in range(KINDS)])[stream.kind]))


def at_least(kind: int, value: float | None) -> Selector:
    return Selector(f"kind.{kind}", at_least=value, text=f"kind.{kind} where value >= {value}")


def at_most(kind: int, value: float) -> Selector:
    return Selector(f"kind.{kind}", where=Compare("value", "<=", value), text=f"kind.{kind} where value <= {value}")


def plan(operators: list[Operator], delay: int) -> Plan:
    rules = tuple(RulePlan(f"r{i}", f"{i:012x}", "", "", operator, AlertSpec(headline="")) for i, operator in enumerate(operators))
    return Plan(rules=rules, origin=(LON0, LAT0), delay=delay)


def operators(job: str) -> list[Operator]:
    match job:
        case "threshold":
            return [Match(at_least(kind, 3.0), samples=2, until=at_most(kind, 1.5)) for kind in range(10, 40)]
        case "cluster":
            return [Cluster(at_least(kind, 3.0), 500.0, 5 * MINUTE, sources=3) for kind in range(40)]
        case "dense":
            return [Cluster(at_least(kind, None), 500.0, 5 * MINUTE, sources=3) for kind in range(40)]
        case "sequence":
            return [Sequence(at_least(i, 3.0), (Step(at_least(10 + i, 3.0), 1000.0, 10 * MINUTE),)) for i in range(10)]
        case "absence":
            return [Absence(at_least(i, 4.0), at_least(20 + i, 2.0), 500.0, 5 * MINUTE) for i in range(10)]
    if job.startswith("history-"):
        return history_jobs.operators(job)
    if job.startswith("density-"):
        low = DENSITIES[int(job.removeprefix("density-"))]
        return [Cluster(at_least(kind, low), 500.0, 5 * MINUTE, sources=3) for kind in range(40)]
    return mixed(int(job.removeprefix("mixed-")))


def mixed(count: int, seed: int = 1) -> list[Operator]:
    rng = np.random.default_rng(seed)
    return [_random(rng) for _ in range(count)]


def _random(rng: np.random.Generator) -> Operator:
    first, second = (int(rng.integers(0, 40)) for _ in range(2))
    radius = float(rng.choice([100, 250, 500, 1000, 2000], p=[0.2, 0.3, 0.3, 0.15, 0.05]))
    window = int(rng.choice([60, 120, 300, 600])) * SECOND

    def threshold(kind: int) -> float:
        return float(rng.choice([2.0, 3.0, 4.0, 5.0])) if kind < 10 else round(float(rng.uniform(2.5, 5.5)), 3)

    draw = rng.random()
    if draw < 0.35:
        return Match(at_least(first, threshold(first)), samples=int(rng.integers(1, 4)), until=at_most(first, 1.0))
    if draw < 0.65:
        return Cluster(at_least(first, threshold(first)), radius, window, sources=int(rng.integers(3, 6)))
    a, b = at_least(first, threshold(first)), at_least(second, threshold(second))
    if draw < 0.85:
        return Sequence(a, (Step(b, radius, window),))
    return Absence(a, b, radius, window)
