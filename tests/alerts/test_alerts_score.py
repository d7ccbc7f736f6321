"""The score of an exercise: noticed in time, late, missed, false; and how long a person took."""

import pytest

from tocsin.alerts.score import score
from tocsin.model.exercise import Detection, Run
from tocsin.model.time import SECOND, to_iso

BEGAN = 1_500_000_000 * SECOND
CENTRE = (10.0, 50.0)


def alert(name, rule="smoke", at=10.0, taken=None, by="ann", north=0.0, **more):
    history = [{"at": to_iso(BEGAN + round(at * SECOND)), "from": None, "to": "open", "by": "engine", "note": ""}]
    if taken is not None:
        history.append({"at": to_iso(BEGAN + round(taken * SECOND)), "from": "open", "to": "acknowledged", "by": by, "note": ""})
    base = {
        "id": name,
        "rule": rule,
        "headline": name,
        "known_at": history[0]["at"],
        "history": history,
        "lon": 10.0,
        "lat": 50.0 + north / 111_195,
    }
    return base | {"parent": None, "status": "raised"} | more


def run(*expect):
    return Run("ab12", "drill", "Drill", BEGAN, 60 * SECOND, "lead", expect, seq=5)


def wanted(rule="smoke", within=30, after=0, **more):
    return Detection(rule, rule, within * SECOND, after * SECOND, **more)


@pytest.mark.parametrize(
    ("alerts", "verdict", "took"),
    [
        ([alert("a")], "detected", 10.0),
        ([alert("a", at=30)], "detected", 30.0),
        ([alert("a", at=30.5)], "late", 30.5),
        ([], "missed", None),
        ([alert("a", rule="flood")], "missed", None),
        ([alert("later", at=20), alert("first", at=5)], "detected", 5.0),
    ],
)
def test_verdicts(alerts, verdict, took):
    found = score(run(wanted()), alerts, CENTRE)
    [row] = found["detections"]
    assert (row["verdict"], row["alert_s"]) == (verdict, took)
    assert found["summary"][verdict] == 1


def test_what_rings_before_it_can_be_known_is_no_answer():
    found = score(run(wanted(after=15)), [alert("early", at=10), alert("right", at=17)], CENTRE)
    assert [(row["alert"], row["alert_s"]) for row in found["detections"]] == [("right", 2.0)]
    assert [one["alert"] for one in found["false"]] == ["early"]


def test_the_place_counts_where_one_is_named():
    near = wanted(north=1000.0, radius=300.0)
    assert score(run(near), [alert("a", north=1250)], CENTRE)["summary"]["detected"] == 1
    assert score(run(near), [alert("a", north=1350)], CENTRE)["summary"]["missed"] == 1
    assert score(run(near), [alert("a", lon=None, lat=None)], CENTRE)["summary"]["missed"] == 1


def test_each_alert_answers_once():
    found = score(run(wanted(), wanted()), [alert("a")], CENTRE)
    assert [row["verdict"] for row in found["detections"]] == ["detected", "missed"]


def test_only_people_acknowledge():
    expect = wanted(acknowledged=60 * SECOND)
    cases = {
        (12.5, "ann"): (2.5, True, "ann"),
        (70.1, "ann"): (60.1, False, "ann"),
        (12.5, "exercise"): (None, False, None),
        (12.5, "rule"): (None, False, None),
        (None, ""): (None, False, None),
    }
    for (taken, by), answer in cases.items():
        [row] = score(run(expect), [alert("a", taken=taken, by=by)], CENTRE)["detections"]
        assert (row["acknowledged_s"], row["acknowledged_in_time"], row["by"]) == answer
    [row] = score(run(wanted()), [alert("a", taken=12.5)], CENTRE)["detections"]
    assert row["acknowledged_in_time"] is None


def test_what_was_folded_or_retracted_is_not_false():
    others = [alert("under", at=11, parent="a"), alert("gone", at=12, status="retracted"), alert("wrong", at=13, rule="flood")]
    found = score(run(wanted()), [alert("a"), *others], CENTRE)
    assert [(one["alert"], one["at_s"]) for one in found["false"]] == [("wrong", 13.0)]
    assert found["summary"] == {
        "expected": 1, "detected": 1, "late": 0, "missed": 0, "false": 1, "acknowledged": 0, "alert_median_s": 10.0,
        "acknowledged_median_s": None,
    }  # fmt: skip
