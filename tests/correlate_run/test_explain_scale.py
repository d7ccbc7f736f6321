"""What makes explanations quick changes no answer: looking only at what is near, and at no more facts than a search has patience for."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from runkit import LAT, LON, METRE, SMOKY, T0, Journal, plan, rule, smoke

from tocsin.correlate.explain import chain
from tocsin.correlate.explain.explainer import Explainer, Knowing, inquire
from tocsin.correlate.explain.scene import Scene
from tocsin.correlate.explain.told import told as from_messages
from tocsin.correlate.series.sample import Sample
from tocsin.correlate.series.steps import StepsPattern
from tocsin.model.explanation import Question
from tocsin.model.plan import Accumulate, Change, Match, Operator, Rate, Silence, Step
from tocsin.model.plan import Sequence as Steps
from tocsin.model.predicate import Selector
from tocsin.model.time import MINUTE, SECOND

SMOKE, CALL = Selector("fire.smoke", text="fire.smoke"), Selector("call", text="call")


def fill(pattern: StepsPattern, anchor: Sample, chosen: dict[int, Sample], others: list[int], facts: list[Sample], left: list[int]) -> Any:
    """Every place by every fact, newest first, as far as `left` goes."""
    if not others:
        return chosen
    for fact in facts:
        left[0] -= 1
        if left[0] < 0:
            return None
        if fact.seq not in {one.seq for one in chosen.values()} and pattern.fits(others[0], fact, chosen, anchor):
            found = fill(pattern, anchor, {**chosen, others[0]: fact}, others[1:], facts, left)
            if found is not None:
                return found
    return None


@pytest.mark.parametrize("patience", [3, 40, 20_000])
@pytest.mark.parametrize("any_order", [False, True])
def test_a_search_finds_what_looking_at_every_fact_finds(patience: int, any_order: bool) -> None:
    draw, seen = Random(patience), {True: 0, False: 0}
    for _ in range(300):
        steps = tuple(Step(SMOKE, draw.choice((300.0, 900.0)), draw.choice((5, 20)) * SECOND) for _ in range(draw.randint(1, 2)))
        pattern = StepsPattern(Steps(CALL, steps, during=30 * SECOND if any_order else 0, any_order=any_order))
        facts = []
        for seq in range(draw.randint(1, 30)):
            place = LAT + draw.randint(0, 4) * 200 * METRE
            facts.append(Sample(draw.randint(0, 60) * SECOND, seq, 0, 1.0, LON, place, draw.randint(0, 7)))
        facts.sort()
        anchor = draw.choice(facts)
        found = chain.search(pattern, anchor, facts, patience)
        known = [one for one in reversed(facts) if one.seq < anchor.seq and abs(one.time - anchor.time) <= pattern.span]
        left, wanted = [patience], None
        for place, others in pattern.places(anchor):
            wanted = wanted or fill(pattern, anchor, {place: anchor}, others, known, left)
        assert (found.chosen, found.patience < 0 and not found.chosen) == (wanted, left[0] < 0 and not wanted)
        seen[wanted is None] += 1
    assert min(seen.values()) > 10


OPERATORS: list[Operator] = [
    Silence(SMOKE, 3 * MINUTE),
    Silence(SMOKE, 2 * MINUTE, "feed"),
    Rate(SMOKE, 3 * MINUTE, above=6.0),
    Change(SMOKE, 3 * MINUTE, 60e-9),
    Accumulate(SMOKY, 6 * MINUTE, MINUTE, total=2 * MINUTE),
    Match(SMOKY, 2, None, MINUTE, 5 * MINUTE),
]


@pytest.mark.parametrize("when", OPERATORS, ids=lambda when: type(when).__name__)
def test_looking_at_what_is_near_only_answers_the_same(when: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    said = set()
    for seed in range(12):
        draw, journal = Random(seed), Journal()
        for number, at in enumerate(sorted(draw.sample(range(1500), 80))):
            row = smoke(f"S-{draw.randint(0, 5)}", at, draw.randint(0, 6) * 100, draw.choice([20.0, 100.0, 160.0]))
            journal.add(at, [row | {"id": f"e{number}"} | ({"lon": None, "lat": None} if draw.random() < 0.05 else {})])
        journal.tick(1600)
        of = rule("asked", when)
        north = draw.choice((0, 100, 300, 5_000)) * METRE
        asked = Question("asked", T0 + draw.randint(300, 1500) * SECOND, LON, LAT + north, draw.choice((0.0, 150.0, 301.0)), 10 * MINUTE)
        answers = []
        for near in (True, False):
            with monkeypatch.context() as patched:
                if not near:
                    patched.setattr(Scene, "vicinity", None)
                explainer = Explainer(inquire(of, Knowing(plan(of)), asked, T0 + 1600 * SECOND), {"sensors": ("fire.smoke",)})
                for entry in journal.entries:
                    explainer.take(entry)
                answers.append(msgspec.json.encode(explainer.answer(from_messages([], asked.at))))
        assert answers[0] == answers[1]
        said.add(msgspec.json.decode(answers[0])["summary"])
    assert len(said) > 3
