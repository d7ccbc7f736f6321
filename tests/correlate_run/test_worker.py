"""The whole way from journal entries to published alerts."""

from __future__ import annotations

from runkit import (
    LAT,
    LON,
    T0,
    Journal,
    Stream,
    call_then_smoke,
    correlator,
    no_engine,
    plan,
    rule,
    silence,
    smoke,
    smoke_cluster,
    smoke_match,
    told,
)

from tocsin.correlate.fingerprint import alerts_hash
from tocsin.model.ids import alert_id
from tocsin.model.plan import Per, Timer
from tocsin.model.predicate import Selector
from tocsin.model.severity import Action
from tocsin.model.time import MINUTE, SECOND

HOLD = Per(30 * MINUTE, 300.0)


def call(name: str, at: float, north: float = 0.0, kind: str = "call.fire", **more: object) -> dict[str, object]:
    return smoke(name, at, north) | {"kind": kind, "value": None, "unit": None, "text": f"{kind} {name}"} | more


async def test_an_alert_says_what_where_when_and_why() -> None:
    journal = Journal().add(1, [smoke("S-12", 0, 38), smoke("S-31", 5, 99, 182)]).add(30, [smoke("S-7", 27)])
    (alert,) = (await told(plan(smoke_cluster()), journal)).alerts
    assert alert.id == alert_id("v-cluster", "", "sensors", "S-7@27")
    assert (alert.rule, alert.rule_version, alert.status, alert.revision) == ("cluster", "v-cluster", "raised", 1)
    assert alert.headline == "3 sensors near Pike Place"
    assert (alert.opened, alert.known_at, alert.updated, alert.seq) == (T0 + 27 * SECOND, T0 + 30 * SECOND, T0 + 30 * SECOND, 2)
    assert (alert.lon, alert.lat, alert.place, alert.count, alert.sources) == (LON, LAT, "near Pike Place", 1, 3)
    assert alert.radius_m == 99.0
    assert [(event.id, event.role, event.distance_m, event.gap_us) for event in alert.evidence] == [
        ("S-7@27", "anchor", 0.0, 0),
        ("S-31@5", "member", 99.0, -22 * SECOND),
        ("S-12@0", "member", 38.0, -27 * SECOND),
    ]
    assert alert.reasons == (
        "3 distinct sources within 300 m and 10 min: 99 m, 38 m",
        "smoke S-7 at 160 ug/m3 (>= 150 ug/m3), at 2017-07-14T02:40:27Z",
        "smoke S-31 at 182 ug/m3 (>= 150 ug/m3), 99 m away, 22 s before",
        "smoke S-12 at 160 ug/m3 (>= 150 ug/m3), 38 m away, 27 s before",
    )
    assert not alert.late and not alert.exercise


async def test_matches_that_join_are_told_less_often_with_age_and_counted_all() -> None:
    journal = Journal()
    for i in range(40):
        journal.add(i / 10, [smoke(f"S-{i}", i / 10)])
    stream = await told(plan(smoke_match(HOLD)), journal)
    assert [alert.updated - T0 for alert in stream.alerts] == [0, SECOND, 2 * SECOND, 39 * SECOND // 10]
    assert [alert.count for alert in stream.alerts] == [1, 11, 21, 40]
    assert [alert.revision for alert in stream.alerts] == [1, 2, 3, 4]
    assert {alert.status for alert in stream.alerts[1:]} == {"amended"}
    assert len(stream.alerts[-1].evidence) == 40


async def test_a_match_that_joins_is_told_as_one() -> None:
    stream = await told(plan(smoke_match(HOLD)), Journal().add(0, [smoke("a", 0)]).add(60, [smoke("b", 60, 38)]))
    assert [event.role for event in stream.alerts[-1].evidence] == ["anchor", "joined"]
    assert stream.alerts[-1].reasons[-1] == "smoke b at 160 ug/m3 (>= 150 ug/m3), 38 m away, 1 min after"


async def test_a_tick_flushes_what_waits() -> None:
    journal = Journal().add(0, [smoke("a", 0)]).add(0.5, [smoke("b", 0.5)]).tick(0.9).tick(1.0)
    stream = await told(plan(smoke_match(HOLD)), journal)
    assert [(alert.count, alert.updated - T0) for alert in stream.alerts] == [(1, 0), (2, SECOND // 2)]
    correlate = correlator(plan(smoke_match(HOLD)), journal)
    await correlate.run(journal.read(), stream.publish)
    assert len(stream.alerts) == 4, "told by the tick, not by the end"


async def test_hold_ends_and_a_new_alert_begins() -> None:
    journal = Journal().add(0, [smoke("a", 0)]).add(1800, [smoke("b", 1800)]).add(3601, [smoke("c", 3601)])
    stream = await told(plan(smoke_match(HOLD)), journal)
    told_at = sorted((alert.updated, alert.count, alert.evidence[0].id) for alert in stream.alerts)
    assert [alert[1:] for alert in told_at] == [(1, "a@0"), (2, "a@0"), (1, "c@3601")]


async def test_a_cancelled_match_is_retracted() -> None:
    journal = Journal().add(0, [smoke("a", 0), smoke("b", 0)]).add(60, [smoke("x", 60, action=int(Action.CANCEL), refers_to="a@0")])
    stream = await told(plan(smoke_match()), journal)
    last = {alert.evidence[0].source if alert.evidence else "a": alert for alert in stream.last().values()}
    assert (last["a"].status, last["a"].revision) == ("retracted", 2)
    assert last["a"].reasons[-1] == "an event it rested on was cancelled, learnt at 2017-07-14T02:41:00Z"
    assert (last["b"].status, last["b"].revision) == ("raised", 1)


async def test_a_cancel_hours_later_still_finds_what_an_alert_rests_on() -> None:
    journal = Journal().add(0, [smoke("a", 0), smoke("b", 0, value=3)]).tick(4 * 3600)
    later = [smoke("x", 5 * 3600, action=int(Action.CANCEL), refers_to=name) for name in ("a@0", "b@0")]
    running, stream = correlator(plan(smoke_match()), journal.add(5 * 3600, later)), Stream()
    await running.run(journal.read(), stream.publish)
    assert [alert.status for alert in stream.alerts] == ["raised", "retracted"]
    assert running.counters.withdrawn == 1, "the other one had no bearing on anything any more"


async def test_an_update_that_still_matches_amends_the_same_alert() -> None:
    journal = Journal().add(0, [smoke("a", 0)]).add(60, [smoke("a", 60, value=170, action=int(Action.UPDATE), refers_to="a@0")])
    stream = await told(plan(smoke_match()), journal)
    assert [(alert.status, alert.revision, alert.evidence[0].value, alert.count) for alert in stream.alerts] == [
        ("raised", 1, 160, 1),
        ("amended", 2, 170, 1),
    ]
    assert len(stream.last()) == 1


async def test_an_update_that_no_longer_matches_retracts() -> None:
    journal = Journal().add(0, [smoke("a", 0)]).add(60, [smoke("a", 60, value=3, action=int(Action.UPDATE), refers_to="a@0")])
    stream = await told(plan(smoke_match()), journal)
    assert [(alert.status, len(alert.evidence)) for alert in stream.alerts] == [("raised", 1), ("retracted", 0)]


async def test_a_cluster_is_rechecked_when_one_of_its_events_is_cancelled() -> None:
    four = Journal().add(0, [smoke(name, i) for i, name in enumerate("abcd")])
    gone = smoke("x", 60, action=int(Action.CANCEL), refers_to="a@0")
    stream = await told(plan(smoke_cluster(3, HOLD)), four.add(60, [gone]))
    assert [(alert.status, alert.sources) for alert in stream.alerts] == [("raised", 4), ("amended", 3)]
    gone = smoke("y", 70, action=int(Action.CANCEL), refers_to="b@1")
    stream = await told(plan(smoke_cluster(3, HOLD)), four.add(70, [gone]))
    assert stream.alerts[-1].status == "retracted"
    stream = await told(plan(smoke_cluster(3, HOLD)), four.add(80, [smoke("e", 80)]))
    assert [(alert.status, alert.sources) for alert in stream.alerts[-2:]] == [("retracted", 2), ("amended", 3)], "it holds again"


async def test_a_sequence_without_one_of_its_steps_is_retracted() -> None:
    journal = Journal().add(0, [call("F1", 0, 100)]).add(60, [smoke("S-1", 60)])
    stream = await told(plan(call_then_smoke()), journal)
    assert stream.alerts[0].reasons[1:] == (
        "smoke S-1 at 160 ug/m3 (>= 150 ug/m3), at 2017-07-14T02:41:00Z",
        "call.fire F1, 100 m away, 1 min before",
    )
    stream = await told(plan(call_then_smoke()), journal.add(70, [call("x", 70, action=int(Action.CANCEL), refers_to="F1@0")]))
    assert stream.alerts[-1].status == "retracted"


async def test_an_absence_is_retracted_by_a_late_arrival() -> None:
    journal = Journal().add(0, [call("F1", 0)]).tick(304).tick(306).add(320, [call("E5", 200, 300, "unit.onscene")])
    stream = await told(plan(no_engine()), journal)
    assert [(alert.status, alert.opened - T0, alert.known_at - T0) for alert in stream.alerts] == [
        ("raised", 300 * SECOND, 306 * SECOND),
        ("retracted", 300 * SECOND, 306 * SECOND),
    ]
    assert stream.alerts[0].reasons[0] == "no unit.onscene within 500 m in the 5 min after call.fire"


async def test_a_source_that_falls_silent() -> None:
    journal = Journal().add(0, [smoke("S-1", 0)]).tick(100).tick(126)
    (alert,) = (await told(plan(silence()), journal)).alerts
    assert alert.headline == "S-1 not heard"
    assert alert.reasons[0] == "nothing heard from S-1 for 2 min (last at 2017-07-14T02:40:00Z)"


async def test_unknown_units_and_places_do_not_pass() -> None:
    journal = Journal().add(0, [smoke("a", 0, unit="wibble"), smoke("b", 0, unit=None), smoke("c", 0, unit="Cel")])
    journal.add(1, [smoke("d", 1, lon=float("nan")), smoke("e", 1, lat=91.0), smoke("f", 1, 10)])
    rules = plan(smoke_match(), smoke_cluster(2))
    stream = await told(rules, journal)
    assert sorted(alert.evidence[0].source for alert in stream.alerts) == ["d", "e", "f"]
    nowhere = next(alert for alert in stream.alerts if alert.evidence[0].source == "d")
    assert (nowhere.lon, nowhere.place, nowhere.radius_m, nowhere.headline) == (None, "", None, "Smoke at d, 160 ug/m3")


async def test_late_is_said() -> None:
    stream = await told(plan(smoke_match()), Journal().add(121, [smoke("a", 0), smoke("b", 1)]))
    assert [alert.late for alert in stream.alerts] == [True, False]


async def test_a_time_in_the_future_is_clamped_for_matching_kept_as_it_was_and_said() -> None:
    """It moves nothing: neither the clock nor another source's window; a feed's own skew decides what is too far."""
    journal = Journal().add(0, [smoke("a", 0), smoke("b", 3600, 38)]).tick(600).add(630, [smoke("c", 630)])
    stream = await told(plan(smoke_cluster(2)), journal)
    first, second = stream.alerts
    ahead = next(event for event in first.evidence if event.source == "b")
    assert (ahead.event_time, ahead.ahead_us, ahead.gap_us) == (T0 + 3600 * SECOND, 3570 * SECOND, 0)
    assert first.opened == T0 + 30 * SECOND, "the newest time believed"
    assert "dated 59 min 30 s too far into the future: taken as 2017-07-14T02:40:30Z" in "; ".join(first.reasons)
    assert [event.source for event in second.evidence] == ["c", "b"], "in one window with what it was taken as, 600 s before"
    trusting = await told(plan(smoke_cluster(2)), journal, skews={"sensors": 3600 * SECOND})
    assert not any(event.ahead_us for alert in trusting.alerts for event in alert.evidence)


async def test_a_place_that_hears_nothing_moves_on_by_ticks() -> None:
    """Deadlines pass with the city's clock, wherever the next event comes from, or none does."""
    journal = Journal().add(0, [call("F1", 0), smoke("S-1", 0)])
    for at in range(60, 660, 60):
        journal.tick(at)
    stream = await told(plan(no_engine(), silence()), journal)
    assert [(alert.rule, alert.opened - T0, alert.known_at - T0) for alert in stream.alerts] == [
        ("silence", 120 * SECOND, 180 * SECOND),
        ("absence", 300 * SECOND, 360 * SECOND),
    ]


async def test_an_early_warning_is_an_alert_of_its_own_of_the_same_anchor() -> None:
    rules = plan(rule("timer", Timer(Selector("fire.smoke", text="fire.smoke"), 10 * MINUTE, warn=(MINUTE,))))
    stream = await told(rules, Journal().add(0, [smoke("S-1", 0)]).tick(546).tick(606))
    assert [(alert.id, alert.opened - T0, alert.status) for alert in stream.alerts] == [
        (alert_id("v-timer", "|early 1 min", "sensors", "S-1@0"), 540 * SECOND, "raised"),
        (alert_id("v-timer", "", "sensors", "S-1@0"), 600 * SECOND, "raised"),
    ]


def test_an_id_is_of_version_group_and_anchor() -> None:
    names = {
        alert_id(*parts)
        for parts in (("v", "g", "f", "e"), ("w", "g", "f", "e"), ("v", "h", "f", "e"), ("v", "g", "g", "e"), ("v", "g", "f", "i"))
    }
    assert len(names) == 5


async def test_the_same_journal_gives_the_same_hash_and_another_does_not() -> None:
    journal = Journal().add(0, [smoke("a", 0), smoke("b", 1), smoke("c", 2)])
    rules = plan(smoke_match(HOLD), smoke_cluster())
    one, two = await told(rules, journal), await told(rules, journal)
    assert alerts_hash(one.alerts) == alerts_hash(two.alerts)
    assert one.last() == two.last()
    other = await told(rules, journal.add(5, [smoke("d", 5)]))
    assert alerts_hash(other.alerts) != alerts_hash(one.alerts)
