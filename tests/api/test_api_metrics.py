"""`/metrics` as Prometheus reads it: promtool finds nothing, no series comes twice."""

import shutil
import subprocess

from api_world import alert

from tocsin.api.metrics import Meter, family, merge

INGEST = """# HELP tocsin_ingest_records_total Records received.
# TYPE tocsin_ingest_records_total counter
tocsin_ingest_records_total{feed="calls"} 12
# HELP tocsin_ingest_publish_seconds Time to durable.
# TYPE tocsin_ingest_publish_seconds histogram
tocsin_ingest_publish_seconds_bucket{le="0.1"} 3
tocsin_ingest_publish_seconds_bucket{le="+Inf"} 4
tocsin_ingest_publish_seconds_sum 0.5
tocsin_ingest_publish_seconds_count 4
# HELP tocsin_build_info Version.
# TYPE tocsin_build_info gauge
tocsin_build_info{version="0.1.0"} 1
"""
CORRELATE = """# HELP tocsin_build_info Version, in other words.
# TYPE tocsin_build_info gauge
tocsin_build_info{version="0.1.0"} 1
# HELP tocsin_correlate_state_bytes Memory.
# TYPE tocsin_correlate_state_bytes gauge
tocsin_correlate_state_bytes 1e6
"""


def promtool(text):
    """Debian package `prometheus`; without it this test fails, as `make test` says beforehand."""
    tool = shutil.which("promtool")
    assert tool, "promtool is missing: apt-get install prometheus"
    found = subprocess.run([tool, "check", "metrics"], input=text, text=True, capture_output=True, timeout=60, check=False)
    return found.returncode, found.stdout + found.stderr


def series(text):
    return [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]


def test_the_whole_page_is_clean(world, client):
    world.feed([{"id": "1"}])
    world.raise_alert(alert(1))
    for path in ("/api/v1/events", "/api/v1/nothing", "/", "/api/v1/events?limit=0"):
        client.get(path)
    world.report("ingest", metrics=INGEST)
    world.report("correlate", metrics=CORRELATE)
    client.get("/metrics")
    reply = client.get("/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert promtool(reply.text) == (0, "")
    names = series(reply.text)
    assert len(names) == len(set(names))
    for wanted in (
        'tocsin_ingest_records_total{feed="calls"} 12',
        'tocsin_ingest_publish_seconds_bucket{le="+Inf"} 4',
        "tocsin_correlate_state_bytes 1e6",
        "tocsin_serve_events_total 1",
        'tocsin_serve_alerts{state="open"} 1',
        'tocsin_serve_process_up{process="ingest"} 1',
        'tocsin_serve_requests_total{method="GET",route="/api/v1/events",status="422"} 1',
        'tocsin_serve_requests_total{method="GET",route="/{path:path}",status="404"} 1',
        'tocsin_serve_request_duration_seconds_count{route="/metrics"} 1',
    ):
        assert wanted in reply.text.splitlines(), wanted
    assert reply.text.count("# HELP tocsin_build_info") == 1


def test_promtool_would_complain():
    """The check above can fail: these are things it finds."""
    for text in ("# TYPE a counter\na 1\n", "# HELP a_ms x\n# TYPE a_ms gauge\na_ms 1\n", "a{ 1\n", "# HELP a x\n# TYPE a counter\na 1\n"):
        assert promtool(text)[0] != 0, text


def test_merging_two_processes_of_one_family():
    a = family("x_total", "counter", "Of a.", [({"process": "a"}, 1)])
    b = family("x_total", "counter", "Of b.", [({"process": "b"}, 2.5), ({"process": "a"}, 9)])
    assert merge([a, b]) == '# HELP x_total Of a.\n# TYPE x_total counter\nx_total{process="a"} 1\nx_total{process="b"} 2.5\n'


def test_families_stay_together_and_rubbish_is_left_out():
    text = "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n"
    page = merge([text, "not a metric line at all !\n# a comment\n\n", text.replace("a_total 1", 'a_total{x="1"} 2 1700000000')])
    assert page == text + 'a_total{x="1"} 2 1700000000\n'
    assert merge(["# HELP empty_total E.\n# TYPE empty_total counter\n"]) == ""
    assert family("x", "gauge", "X.", []) == ""


def test_labels_and_words_are_escaped():
    text = family("x", "gauge", 'a "b"\nc', [({"file": 'a\\b"c\nd'}, 1)])
    assert text == '# HELP x a "b"\\nc\n# TYPE x gauge\nx{file="a\\\\b\\"c\\nd"} 1\n'
    assert promtool(text) == (0, "")


def test_the_meter_counts_into_buckets():
    meter = Meter()
    for seconds in (0.0005, 0.03, 99.0):
        meter.record("GET", "/x", 200, seconds, streamed=False)
    meter.record("GET", "/stream", 200, 3600.0, streamed=True)
    text = meter.text()
    assert promtool(text) == (0, "")
    for wanted in ('le="0.001"} 1', 'le="0.05"} 2', 'le="5.0"} 2', 'le="+Inf"} 3', '_count{route="/x"} 3'):
        assert wanted in text
    assert 'route="/stream",status="200"} 1' in text
    assert text.count('route="/stream"') == 1
