"""Health: states, counters, the items of `GET /feeds`, metrics that promtool accepts."""

import subprocess

import pytest
from house import START, make_spec

from tocsin.feeds.contract import Receipt
from tocsin.feeds.health import STATES, FeedHealth, Health, PerMinute
from tocsin.kernel.clock import Clock
from tocsin.model.time import MINUTE, SECOND

#: Keys of a feed in docs/wiring.md.
KEYS = {
    "name", "title", "purpose", "owner", "retention", "sensitivity", "transport", "format", "state", "received", "accepted", "duplicates",
    "conflicts", "quarantined", "per_min", "last_event_time", "last_received", "expected_every_s", "error", "exercise_shift_s", "licence", "kinds",
}  # fmt: skip


def health_of(**more) -> FeedHealth:
    return FeedHealth(make_spec(**more), Clock(1.0, 0, START))


def test_a_feed_is_stale_after_three_times_its_interval_of_city_time():
    health = health_of(expected_every=10 * SECOND)
    started = health.started
    assert health.state(started) == "waiting"
    assert health.state(started + 30 * SECOND) == "waiting"
    assert health.state(started + 30 * SECOND + 1) == "stale"
    health.took(started + MINUTE, Receipt(accepted=1))
    assert health.state(started + MINUTE + 30 * SECOND) == "ok"
    assert health.state(started + MINUTE + 30 * SECOND + 1) == "stale"


def test_a_feed_without_an_expected_interval_is_never_stale():
    assert health_of().state(2**60) == "waiting"


def test_a_clock_that_jumps_back_does_not_make_a_feed_stale():
    health = health_of(expected_every=10 * SECOND)
    assert health.state(health.started - 100 * SECOND) == "waiting"


def test_an_error_is_failing_until_something_good_comes():
    health = health_of()
    health.failed("no route")
    assert health.state(health.started) == "failing"
    health.heard()
    assert health.state(health.started) == "waiting"
    health.failed("no route")
    health.took(START, Receipt(accepted=1))
    assert (health.state(START), health.error) == ("ok", None)


def test_nothing_but_garbage_is_failing_though_the_source_answers():
    health = health_of()
    for _ in range(3):
        assert health.state(START) != "failing"
        health.took(START, Receipt(rejected=5))
    health.heard()
    assert health.state(START) == "failing"
    assert "quarantine" in health.error
    health.took(START, Receipt(rejected=5, duplicates=1))
    assert health.error is None


def test_an_ended_recording_is_ended_not_stale():
    health = health_of(expected_every=SECOND)
    health.ended = True
    assert health.state(2**60) == "ended"


def test_records_a_minute_are_those_of_the_last_sixty_seconds():
    now = [1000.5]
    rate = PerMinute(lambda: now[0])
    rate.add(5)
    now[0] += 30
    rate.add(7)
    assert rate.total() == 12
    now[0] += 30
    assert rate.total() == 7
    now[0] += 3000
    assert rate.total() == 0
    rate.add(1)
    assert rate.total() == 1


def test_the_item_has_the_shape_of_the_wiring():
    spec = make_spec(expected_every=90 * SECOND, shift=-2 * SECOND, licence="CC0")
    health = FeedHealth(spec, Clock())
    health.took(START, Receipt(1, 2, 3, 4))
    health.last_event_time = START - SECOND
    health.kinds |= {"b", "a"}
    item = health.item()
    assert set(item) == KEYS
    assert (item["received"], item["accepted"], item["duplicates"], item["conflicts"], item["quarantined"], item["per_min"]) == (
        10,
        1,
        2,
        3,
        4,
        10,
    )
    assert (item["last_received"], item["last_event_time"]) == ("2017-07-04T21:00:00Z", "2017-07-04T20:59:59Z")
    assert (item["expected_every_s"], item["exercise_shift_s"], item["kinds"], item["retention"]) == (90.0, -2.0, ["a", "b"], "30 d")
    assert FeedHealth(make_spec(), Clock()).item()["exercise_shift_s"] is None


def sample_values(text: str) -> dict[str, float]:
    return {name: float(value) for name, value in (row.rsplit(" ", 1) for row in text.splitlines() if not row.startswith("#"))}


@pytest.fixture
def health():
    made = Health([make_spec("levels"), make_spec('odd "name"\\')], Clock())
    made.feeds["levels"].took(START, Receipt(1, 2, 3, 4))
    made.progress("levels", 0.5)
    made.shed("levels", 7)
    return made


def test_metrics_count_what_health_counts(health):
    values = sample_values(health.metrics({"levels": 99}, {"levels": 5}))
    assert values['tocsin_ingest_records_total{feed="levels",result="conflicts"}'] == 3
    assert values['tocsin_ingest_shed_messages_total{feed="levels"}'] == 7
    assert values['tocsin_ingest_in_flight_bytes{feed="levels"}'] == 99
    assert values['tocsin_ingest_last_received_timestamp_seconds{feed="levels"}'] == START / SECOND
    assert values['tocsin_ingest_quarantine_dropped_records_total{feed="levels"}'] == 5
    assert values['tocsin_ingest_replay_progress_ratio{feed="levels"}'] == 0.5
    assert sum(values[f'tocsin_ingest_feed_state{{feed="levels",state="{state}"}}'] for state in STATES) == 1


def test_metrics_pass_promtool(health):
    done = subprocess.run(["promtool", "check", "metrics"], input=health.metrics({}, {}).encode(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
