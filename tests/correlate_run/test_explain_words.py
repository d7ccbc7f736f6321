"""What an explanation says of each operator: which clause failed, what was found, what was needed, and how far apart they are."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from runkit import LAT, LON, METRE, SMOKY, T0, Journal, batch, plan, rule, smoke, told
from shapely import box, to_wkb

from tocsin.correlate.explain.explainer import Explainer, Knowing, inquire
from tocsin.correlate.explain.told import told as from_messages
from tocsin.model.explanation import Clause, Explanation, Question
from tocsin.model.links import Key, Zone, Zones
from tocsin.model.plan import (
    Absence,
    Accumulate,
    Active,
    Alerts,
    Around,
    Change,
    Cluster,
    Inside,
    Match,
    Operator,
    Per,
    Rate,
    RulePlan,
    Silence,
    Step,
    Timer,
    WarnedArea,
    Within,
    ZoneEvent,
)
from tocsin.model.plan import Sequence as Steps
from tocsin.model.predicate import Compare, Selector
from tocsin.model.time import MINUTE, SECOND

LEVEL = Selector("water.level", 3.5, "length", None, "water.level where value >= 3.5 m")
ANY_LEVEL = Selector("water.level", None, "length", None, "water.level")
CALL, UNIT, PERMIT = (Selector(kind, text=kind) for kind in ("call", "unit", "permit"))


def fact(kind: str, at: float, north: float = 0.0, source: str = "s", **more: Any) -> dict[str, Any]:
    row = {"id": f"{kind}{source}@{at:g}", "kind": kind, "source": source, "event_time": T0 + round(at * SECOND)}
    return row | {"lon": LON, "lat": LAT + north * METRE, **more}


def level(at: float, value: float, source: str = "g") -> dict[str, Any]:
    return fact("water.level", at, source=source, value=value, unit="m")


def journal(*rows: dict[str, Any], until: float = 3600, attrs: dict[str, str] | None = None) -> Journal:
    """One entry an event, learnt when it happened, and ticks afterwards."""
    made = Journal()
    for row in rows:
        made.add((row["event_time"] - T0) / SECOND, [row], attrs)
    last = max((entry.ingest for entry in made.entries), default=T0)
    for at in range((last - T0) // SECOND + 5, round(until), 5):
        made.tick(at)
    return made


def ask(when: Operator | RulePlan, of: Journal, at: float = 600, others: Sequence[RulePlan] = (), **asked: Any) -> Explanation:
    """Near the origin, up to `at` seconds, with what the correlator told."""
    one = when if isinstance(when, RulePlan) else rule("r", when)
    rules = plan(one, *others)
    stream = asyncio.run(told(rules, of))
    question = Question(one.name, T0 + round(at * SECOND), **({"lon": LON, "lat": LAT} | asked))
    now = max(entry.ingest for entry in of.entries)
    explainer = Explainer(inquire(one, Knowing(rules), question, now), {"gauges": ("water.level",)})
    for entry in of.entries:
        explainer.take(entry)
    messages = [(i, f"alert.{a.rule}", msgspec.json.decode(msgspec.json.encode(a))) for i, a in enumerate(stream.alerts)]
    return explainer.answer(from_messages(messages, now if question.with_late else question.at))


def failed(answer: Explanation) -> Clause:
    assert answer.verdict == "silent", answer.summary
    return next(clause for clause in answer.clauses if clause.state == "failed")


def near(value: float | None, wanted: float) -> bool:
    return value is not None and abs(value - wanted) < 0.6


def test_a_value_short_of_its_threshold() -> None:
    clause = failed(ask(Match(LEVEL), journal(level(590, 3.1))))
    assert clause.clause == "match.of" and clause.words.endswith("value 3.1 m, threshold >= 3.5 m: 0.4 m short")
    assert (clause.found, clause.needed, clause.short, clause.unit) == ("3.1 m", ">= 3.5 m", 0.4, "m")
    centimetres = failed(ask(Match(LEVEL), journal(level(590, 310) | {"unit": "cm"})))
    assert centimetres.words.endswith("value 310 cm, threshold >= 350 cm: 40 cm short") and centimetres.unit == "cm"


def test_a_unit_a_missing_value_and_an_attribute() -> None:
    assert "its unit is Cel, which is no length" in failed(ask(Match(LEVEL), journal(level(590, 9) | {"unit": "Cel"}))).words
    assert "it has no value" in failed(ask(Match(LEVEL), journal(level(590, 9) | {"value": None}))).words
    typed = Selector("call", None, None, Compare("attrs.type", "==", "fire"), "call where attrs.type == 'fire'")
    clause = failed(ask(Match(typed), journal(fact("call", 590, attrs={"type": "aid"}), attrs={"type": "string"})))
    assert "attrs.type is 'aid', not == 'fire'" in clause.words
    severe = Selector("call", None, None, Compare("severity", ">=", 3), "call where severity >= severe")
    clause = failed(ask(Match(severe), journal(fact("call", 590, severity=1))))
    assert "severity is minor, not >= severe: 2 levels short" in clause.words and (clause.short, clause.unit) == (2.0, "1")
    one_of = Selector("call", None, None, Compare("severity", "in", (0.0, 4.0)), "call where severity in (unknown, extreme)")
    assert "severity is minor, not in (unknown, extreme)" in failed(ask(Match(one_of), journal(fact("call", 590, severity=1)))).words


def test_nothing_near_and_when_the_feed_was_last_heard() -> None:
    answer = ask(Match(CALL), journal(fact("call", 590, 7200, feed="cad")), within=5000.0)
    clause = failed(answer)
    assert clause.found == "none" and "no event of call came within 5 km in the 10 min" in clause.words
    assert "the nearest was 7.2 km away, 2.2 km too far" in clause.words and near(clause.short, 2200)
    assert "feed cad last heard at 2017-07-14T02:49:50Z" in clause.words
    empty = failed(ask(Match(ANY_LEVEL), journal(fact("call", 590))))
    assert "feed gauges not heard" in empty.words  # it declares the kind


def test_samples_in_a_row_and_a_state_that_is_on_already() -> None:
    twice = Match(LEVEL, 2, Selector("water.level", None, "length", Compare("value", "<", 3.0), "water.level where value < 3 m"))
    clause = failed(ask(twice, journal(level(500, 3.1), level(590, 3.6))))
    assert clause.clause == "match.samples" and clause.short == 1 and "1 of 2 samples in a row passed; needs 1 more" in clause.words
    on = ask(twice, journal(level(-200, 4), level(-100, 4), level(590, 4)))
    assert failed(on).clause == "match.until" and "it is on since 2017-07-14T02:38:20Z and rings once" in failed(on).words


def test_a_cluster_says_how_far_the_next_one_was() -> None:
    five = Cluster(SMOKY, 500.0, 10 * MINUTE, 5)
    rows = [smoke(f"s{i}", 580 + i, i * 20) for i in range(4)] + [smoke("s9", 570, 672)]
    clause = failed(ask(five, journal(*sorted(rows, key=lambda row: row["event_time"]))))
    assert clause.clause == "cluster.sources" and (clause.found, clause.needed, clause.short) == ("4", "5", 1.0)
    assert clause.words.startswith("4 of 5 sources of fire.smoke where value >= 150 ug/m3 within 500 m in 10 min")
    assert "the nearest further one was 612 m away, 112 m too far (smoke s9" in clause.words and clause.words.endswith("needs 1 more")
    early = failed(ask(Cluster(SMOKY, 500.0, 60 * SECOND, 2), journal(smoke("a", 500), smoke("b", 590))))
    assert "the next in time was 30 s too early" in early.words


def test_a_sequence_says_which_step_is_missing() -> None:
    steps = Steps(CALL, (Step(UNIT, 500.0, 5 * MINUTE),))
    far = failed(ask(steps, journal(fact("call", 400), fact("unit", 500, 800)), within=1000.0))
    assert far.clause == "sequence.1" and "800 m away, 300 m too far" in far.words and near(far.short, 300)
    late = failed(ask(steps, journal(fact("call", 100), fact("unit", 500))))
    assert "1 min 40 s too early" in late.words and late.short == 100
    none = failed(ask(steps, journal(fact("unit", 500))))
    assert none.words.startswith("call: none; no event of call came")
    zoned = Steps(CALL, (Step(UNIT, 500.0, 5 * MINUTE),), same=("attrs.zone",))
    other = failed(
        ask(zoned, journal(fact("call", 400, attrs={"zone": "A"}), fact("unit", 500, attrs={"zone": "B"}), attrs={"zone": "string"}))
    )
    assert "attrs.zone is 'A', not 'B'" in other.words


def test_an_absence_that_was_answered_or_still_runs() -> None:
    when = Absence(CALL, UNIT, 500.0, 5 * MINUTE)
    answered = failed(ask(when, journal(fact("call", 200), fact("unit", 498, 300))))
    assert answered.clause == "absence.expect" and answered.short == 2
    assert "answered it after 4 min 58 s, 2 s before the time was up, 300 m away" in answered.words
    runs = failed(ask(when, journal(fact("call", 400), fact("unit", 450, 900))))
    assert runs.clause == "absence.during" and runs.words.endswith("1 min 45 s left")  # deadlines wait for late events
    assert (
        "the nearest was 900 m away, 400 m too far to count"
        in ask(when, journal(fact("call", 400), fact("unit", 450, 900))).clauses[1].words
    )

    # What could not have answered it is not told as what nearly did: another incident, or the other end of the city.
    same = Absence(CALL, UNIT, math.inf, MINUTE, ("attrs.n",))
    other = {"n": "string"}
    told = ask(same, journal(fact("call", 400, attrs={"n": "1"}), fact("unit", 470, attrs={"n": "2"}), attrs=other)).clauses[1].words
    assert told == "no unit came with the same attrs.n"
    told = ask(same, journal(fact("call", 400, attrs={"n": "1"}), fact("unit", 470, attrs={"n": "1"}), attrs=other)).clauses[1].words
    assert told == "no unit came with the same attrs.n; the next came 10 s too late"
    far = journal(fact("call", 200), fact("unit", 510, 9_000))
    assert "too late" not in ask(when, far).clauses[1].words


def test_a_silence_says_who_was_heard_and_when() -> None:
    when = Silence(CALL, 5 * MINUTE)
    short = failed(ask(when, journal(fact("call", 400, source="E2"), fact("call", 520, source="E2"))))
    assert "sensors/E2 was quiet for 1 min 15 s: 3 min 45 s short of 5 min" in short.words and short.short == 225
    before = failed(ask(when, journal(fact("call", -900, source="E2"))))
    assert "it has been silent since 2017-07-14T02:30:00Z: that rang then" in before.words


def test_a_change_a_rate_and_a_total_say_how_much_is_missing() -> None:
    rises = failed(ask(Change(ANY_LEVEL, 10 * MINUTE, 0.5), journal(level(100, 2.0), level(400, 2.2), level(590, 2.3))))
    assert rises.clause == "change.by" and "changed by 0.3 m in 10 min (rise of 0.5 m asked): 0.2 m short" in rises.words
    steep = failed(ask(Change(ANY_LEVEL, 10 * MINUTE, None, 0.2 / 3600, samples=3), journal(level(100, 2.0), level(590, 2.3))))
    assert steep.clause == "change.samples" and steep.words.startswith("2 of 3 samples")
    often = failed(ask(Rate(CALL, 10 * MINUTE, above=3.0), journal(*(fact("call", 500 + i, source=f"c{i}") for i in range(3)))))
    assert (
        often.clause == "rate.above"
        and "all: count 3 events in the 10 min" in often.words
        and "more than 3 events: just not more" in often.words
    )
    total = Accumulate(LEVEL, 20 * MINUTE, 5 * MINUTE, 10 * MINUTE)
    wet = failed(ask(total, journal(level(100, 4.0), level(400, 4.0), level(580, 1.0))))
    assert (
        wet.clause == "accumulate.total"
        and "8 min came together within 20 min, 10 min asked: 2 min short" in wet.words
        and wet.short == 120
    )


def square(east: float, north: float, size: float) -> bytes:
    """A square area whose corner is so far from the origin, metres."""
    across = METRE / 0.6743  # cosine of the latitude
    west, south = LON + east * across, LAT + north * METRE
    return bytes(to_wkb(box(west, south, west + size * across, south + size * METRE)))


def test_areas_say_how_far_away_and_when() -> None:
    zones = Zones("yards", "1", (), (Zone("East yard", square(200, -500, 1000)),))
    enters = failed(ask(ZoneEvent(UNIT, "enters", zones), journal(fact("unit", 590))))
    assert enters.clause == "zone.enters" and "it was 200 m outside East yard" in enters.words and near(enters.short, 200)
    warned = Inside(CALL, WarnedArea(Selector("warning", text="warning"), 2 * MINUTE))
    over = failed(ask(warned, journal(fact("warning", 400, area=square(-500, -500, 1000)), fact("call", 590))))
    assert over.clause == "inside.area" and "ended 1 min 9 s before" in over.words
    away = failed(ask(warned, journal(fact("warning", 580, area=square(300, -500, 1000)), fact("call", 590))))
    assert "is 300 m away" in away.words and near(away.short, 300)
    round_ = failed(ask(Inside(CALL, Around(UNIT, 400.0, HOURS)), journal(fact("unit", 500, 650), fact("call", 590))))
    assert "is 650 m away, 250 m too far" in round_.words


HOURS = 120 * MINUTE


def test_staying_says_what_ended_it() -> None:
    stays = ZoneEvent(UNIT, "stays", None, 10 * MINUTE, 2 * MINUTE, 15.0)
    moved = failed(ask(stays, journal(*(fact("unit", at, 80.0 if at < 300 else 0.0) for at in range(0, 600, 60)))))
    assert moved.clause == "zone.stays" and "80 m away" in moved.words and "65 m too far for 15 m" in moved.words
    gap = failed(ask(stays, journal(fact("unit", 100), fact("unit", 590))))
    assert gap.clause == "zone.max_gap" and "no position for 8 min 10 s" in gap.words and gap.short == 370


def test_a_timer_says_what_is_left_or_what_stopped_it() -> None:
    timer = Timer(CALL, 5 * MINUTE, Key("all"), UNIT)
    runs = failed(ask(timer, journal(fact("call", 400))))
    assert runs.clause == "timer.during" and runs.words.endswith("1 min 45 s left")
    stopped = failed(ask(timer, journal(fact("call", 100), fact("unit", 350))))
    assert stopped.clause == "timer.until" and "stopped it, 50 s before the time was up" in stopped.words and stopped.short == 50


def test_guards_say_what_was_active_until_when_and_how_far() -> None:
    unless = rule("r", Match(CALL), unless=(Active(PERMIT, 1000.0, 10 * MINUTE),))
    held = failed(ask(unless, journal(fact("permit", 500, 200), fact("call", 590))))
    assert held.clause == "unless.1" and "was active, 200 m away until 2017-07-14T02:58:20" in held.words
    needs = replace(rule("r", Match(CALL)), only=(Active(PERMIT, 1000.0, 10 * MINUTE),))
    far = failed(ask(needs, journal(fact("permit", 500, 1300), fact("call", 590))))
    assert far.clause == "while.1" and "the nearest was 1.3 km away, 300 m too far" in far.words and near(far.short, 300)
    ended = failed(ask(needs, journal(fact("permit", -100), fact("call", 590))))
    assert "the last one ended 1 min 29 s before" in ended.words
    inside = replace(rule("r", Match(CALL)), only=(Within(WarnedArea(Selector("warning", text="warning"), HOURS)),))
    assert "is 300 m away" in failed(ask(inside, journal(fact("warning", 400, area=square(300, -500, 1000)), fact("call", 590)))).words
    assert ask(inside, journal(fact("warning", 400, area=square(-300, -500, 1000)), fact("call", 590))).verdict == "rang"


def test_what_became_of_a_match() -> None:
    thin = rule("r", Match(CALL), per=Per(30 * MINUTE, 500.0))
    answer = ask(thin, journal(fact("call", -700), fact("call", 590, 20)))
    assert answer.verdict == "joined" and answer.alerts[0].joined and answer.looks[0].holds
    assert "it joined the alert" in answer.clauses[-1].words and "was not raised again" in answer.clauses[-1].words
    absent = rule("r", Absence(CALL, UNIT, 500.0, 2 * MINUTE))
    late = journal(fact("call", 400))
    late.entries = [entry for entry in late.entries if entry.ingest <= T0 + 560 * SECOND]
    late.add(565, [fact("unit", 450)])
    answer = ask(absent, late)
    assert answer.verdict == "retracted" and answer.alerts[0].status == "retracted"


def test_what_was_known_then_and_what_came_too_late() -> None:
    of = Journal().add(500, [smoke("a", 500)]).add(650, [smoke("b", 510)]).tick(700)
    two = Cluster(SMOKY, 500.0, 10 * MINUTE, 2)
    then = ask(two, of)
    assert then.verdict == "silent" and then.known == "then" and "1 of 2 sources" in then.summary
    assert any(note.startswith("1 events of these kinds and this time were learnt only after") for note in then.notes)
    now = ask(two, of, with_late=True)
    assert now.verdict == "rang" and now.known == "now" and now.looks[0].holds
    beyond = Journal().add(500, [smoke("a", 500)]).add(1500, [smoke("b", 510)]).tick(1600)
    assert any("came too late for the live engine" in note for note in ask(two, beyond, 1550, span=1200 * SECOND).notes)


def test_alerts_of_other_rules() -> None:
    others = (rule("fire", Match(CALL)), rule("outage", Match(UNIT)))
    both = replace(rule("r", Alerts(("fire", "outage"), "all", 500.0, 5 * MINUTE)), reads=("fire", "outage"))
    far = ask(both, journal(fact("call", 500), fact("unit", 550, 900)), others=others, within=1000.0)
    missing = failed(far)
    assert missing.words.startswith("an alert of ") and "900 m away, 400 m too far" in missing.words
    assert ask(both, journal(fact("call", 500), fact("unit", 550, 90)), others=others).verdict == "rang"


@pytest.mark.parametrize("at", [-3000, 600, 3500])
def test_an_empty_journal_says_that_there_was_nothing(at: float) -> None:
    of = Journal().add(0, [fact("other", 0)]).tick(3600)
    for when in (Match(CALL), Cluster(SMOKY, 300.0, MINUTE, 2), Silence(CALL, MINUTE), Timer(CALL, MINUTE), Change(ANY_LEVEL, MINUTE, 1.0)):
        answer = ask(when, of, at)
        assert answer.verdict == "silent" and answer.clauses[0].found == "none"
        assert "no feed gave" in answer.summary or "not heard" in answer.summary


def test_batches_of_several_feeds_and_attributes_are_put_together() -> None:
    of = Journal()
    of.entries.append(replace(journal(smoke("a", 500)).entries[0], seq=1))
    of.add(510, [fact("fire.smoke", 510, 40, "b", value=200.0, unit="ug/m3", feed="other", attrs={"x": "y"})], {"x": "string"})
    of.tick(600)
    assert batch([fact("call", 0)]).num_rows == 1
    assert ask(Cluster(SMOKY, 500.0, 10 * MINUTE, 2), of).verdict == "rang"
