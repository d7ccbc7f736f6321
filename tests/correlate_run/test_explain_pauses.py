"""An outage as an explanation tells it: a feed that was dead while a rule needed it is said, one that was not is not."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from runkit import LAT, LON, SMOKY, T0, Journal, plan, rule, smoke, told

from tocsin.correlate.explain.explainer import Explainer, Knowing, inquire
from tocsin.correlate.explain.pauses import Pace
from tocsin.correlate.explain.told import told as from_messages
from tocsin.model.explanation import Explanation, Question
from tocsin.model.plan import Cluster
from tocsin.model.time import MINUTE, SECOND

TWO = rule("r", Cluster(SMOKY, 500.0, 10 * MINUTE, 2))
PACE = {"sensors": Pace("sensors", MINUTE, 3 * MINUTE)}


def asked(of: Journal, at: float, paces: dict[str, Pace] = PACE, kinds: tuple[str, ...] = ("fire.smoke",), **more: Any) -> Explanation:
    rules = plan(TWO)
    question = Question("r", T0 + round(at * SECOND), LON, LAT, **more)
    now = max(entry.ingest for entry in of.entries)
    explainer = Explainer(inquire(TWO, Knowing(rules), question, now), {"sensors": kinds}, paces)
    for entry in of.entries:
        if entry.ingest >= explainer.inquiry.first:  # where reading begins
            explainer.take(entry)
    messages = [(i, "alert.r", msgspec.json.decode(msgspec.json.encode(one))) for i, one in enumerate(asyncio.run(told(rules, of)).alerts)]
    return explainer.answer(from_messages(messages, question.at))


def journal(*speaks: float, until: float = 7200) -> Journal:
    """A feed that says at these seconds that there is no smoke, in a journal that ticks all the time."""
    made = Journal()
    for at in range(0, round(until) + 1, 30):
        made.add(at, [smoke("a", at, value=10.0)]) if at in speaks else made.tick(at)
    return made


def minutes(first: int, last: int) -> tuple[int, ...]:
    return tuple(range(first * 60, last * 60 + 1, 60))


def test_a_feed_that_was_dead_when_the_rule_needed_it() -> None:
    answer = asked(journal(*minutes(0, 100)), 6600)  # at minute 110, after ten minutes without a word
    (clause,) = [one for one in answer.clauses if one.clause == "feed"]
    assert clause.state == "unknown" and clause.unit == "s" and clause.short == 7 * 60
    assert (clause.found, clause.needed) == ("10 min", "every 1 min")
    assert clause.words == (
        "nothing new of feed sensors came since 2017-07-14T04:20:00Z (until 2017-07-14T04:30:00Z), 10 min; it is expected every 1 min"
    )
    assert answer.verdict == "silent" and answer.summary.endswith(clause.words)


def test_an_outage_that_was_over_by_then() -> None:
    answer = asked(journal(*minutes(0, 95), *minutes(105, 120)), 6600)
    (clause,) = [one for one in answer.clauses if one.clause == "feed"]
    assert "came from 2017-07-14T04:15:00Z to 2017-07-14T04:25:00Z, 10 min" in clause.words
    long_ago = asked(journal(*minutes(0, 20), *minutes(30, 120)), 6600)
    assert [one.clause for one in long_ago.clauses if one.clause == "feed"] == []  # before anything the rule looks at


def test_what_was_read_may_begin_in_the_outage() -> None:
    answer = asked(journal(0), 7000)
    assert [one.words for one in answer.clauses if one.clause == "feed" and "at least " in one.words]


def test_a_feed_that_spoke_as_expected_or_promises_nothing_is_not_named() -> None:
    of = journal(*minutes(0, 120))
    assert not [one for one in asked(of, 6600).clauses if one.clause == "feed"]
    exactly = asked(journal(*minutes(0, 105), *minutes(108, 120)), 6600)
    assert not [one for one in exactly.clauses if one.clause == "feed"]  # three times the interval is not too long yet
    dead = journal(*minutes(0, 100))
    assert not [one for one in asked(dead, 6600, {}).clauses if one.clause == "feed"]
    other = asked(dead, 6600, {"radar": Pace("radar", MINUTE, 3 * MINUTE)})
    assert not [one for one in other.clauses if one.clause == "feed"]  # it gives nothing that the rule looks at


def test_what_came_after_the_time_asked_about_ends_no_outage() -> None:
    of = journal(*minutes(0, 100), *minutes(111, 120))
    for with_late in (False, True):
        answer = asked(of, 6600, with_late=with_late)
        assert [one.found for one in answer.clauses if one.clause == "feed"] == ["10 min"]


def test_what_rang_all_the_same_has_a_note() -> None:
    of = journal(*minutes(0, 95), until=6390)
    of.add(6400, [smoke("x", 6400), smoke("y", 6400, 50)])
    for at in range(6420, 7200, 30):
        of.tick(at)
    answer = asked(of, 6600)
    assert answer.verdict == "rang" and answer.looks[0].holds
    assert all(one.state == "held" for one in answer.clauses)
    assert [note for note in answer.notes if note.startswith("nothing new of feed sensors came from")]
