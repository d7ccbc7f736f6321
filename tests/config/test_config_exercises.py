"""Exercises as written: what they become, and mistakes with their line."""

import pytest

from tocsin.config.exercises import load_exercises, parse_exercises
from tocsin.config.feeds import parse_feeds
from tocsin.kernel.fault import Misconfigured
from tocsin.model.exercise import Detection, Span
from tocsin.model.time import MINUTE, SECOND

HEAD = "exercise: drill\ntitle: Drill\npurpose: practice\n"
EVENT = "events:\n  - {at: 2 min, kind: fire.smoke, arrives: +1 min}\n"


def test_what_is_written_is_what_it_becomes():
    text = (
        HEAD
        + EVENT
        + (
            "recorded:\n  - {from: 2017-07-04T21:00:00Z, to: 2017-07-04T21:10:00Z, at: 1 min, feeds: [calls]}\n"
            "expect:\n  - {rule: smoke, after: 3 min, within: 30 s, acknowledged: 1 min, east: 1 km, radius: 200 m}\n  - {rule: smoke, name: again, within: 20 min}\n"
        )
    )
    [found], problems = parse_exercises(text, rules=["smoke"])
    assert problems == []
    assert [(one.at, one.arrives, one.feed, one.id) for one in found.events] == [(2 * MINUTE, MINUTE, "test", "event-1")]
    assert found.expect[0] == Detection("smoke", "smoke", 30 * SECOND, 3 * MINUTE, MINUTE, 1000.0, 0.0, 200.0)
    assert found.expect[1].name == "again"
    assert found.recorded == (Span(1_499_202_000 * SECOND, 1_499_202_600 * SECOND, MINUTE, ("calls",)),)
    assert found.runs == 21 * MINUTE, "a minute beyond the last thing that counts"
    [short], _ = parse_exercises(HEAD + "runs: 5 min\n" + EVENT)
    assert short.runs == 5 * MINUTE


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD, "x.yaml:1: nothing happens; write events, or recorded"),
        (HEAD + EVENT + "expect: [{rule: smok, within: 5 s}]\n", "x.yaml:6: expect[1].rule: there is no rule 'smok'; did you mean"),
        (HEAD + "recorded: [{from: 2017-07-04T21:00:00Z, to: 2017-07-04T20:00:00Z}]\n", "x.yaml:4: recorded[1].to: is not after its from"),
        (HEAD + "events: [{at: 0, kind: a, action: cancel}]\n", "x.yaml:4: events[1]: cancel needs refers_to"),
        ("exercise: drill\n" + EVENT, "title"),
    ],
)
def test_mistakes_are_said_with_their_line(text, words):
    _, problems = parse_exercises(text, "x.yaml", ["smoke"])
    assert any(words in str(problem) for problem in problems), problems


def test_names_are_unique_in_a_city(tmp_path):
    (tmp_path / "exercises").mkdir()
    for name in ("a", "b"):
        (tmp_path / "exercises" / f"{name}.yaml").write_text(HEAD + EVENT)
    with pytest.raises(Misconfigured, match=r"'drill' is already defined in exercises/a\.yaml"):
        load_exercises(tmp_path)
    assert load_exercises(tmp_path / "nowhere") == {}


@pytest.mark.parametrize("name", ["exercise", "exercise.calls"])
def test_no_real_feed_can_be_taken_for_an_exercise(name):
    text = f"feed: {name}\npurpose: p\nowner: o\nretention: 1 day\nsensitivity: public\ntransport: webhook\nformat: cap\n"
    _, problems = parse_feeds(text)
    assert any("is kept for exercises" in problem.message for problem in problems)
    assert parse_feeds(text.replace(name, "exercises"))[1] == []
