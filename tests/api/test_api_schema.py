"""The OpenAPI document: valid, complete, and no request that follows it (or just misses it) breaks the server."""

import pytest
import schemathesis
from api_world import NOON, World, alert
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

from tocsin.app.library import Library
from tocsin.app.reports import Reports
from tocsin.model.time import EARLIEST, LATEST


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    library = Library(tmp_path_factory.mktemp("archive"), None, dict)  # an archive with nothing in it yet
    world = World(tmp_path_factory.mktemp("schema"), archive=lambda: library)
    reports = Reports(
        lambda: world.city,
        lambda: library,
        dict,
        lambda span: world.alerts.view.whole(span.start or EARLIEST, span.stop or LATEST, 9),
        lambda: NOON,
    )
    world.services.reports = reports.make
    with world.serving():
        world.feed([{"id": str(i), "value": 1.0} for i in range(5)])
        world.raise_alert(alert(1), alert(2))
        world.quarantine.put("q1")
        world.board.now = lambda: 0.0  # whatever has reported stays fresh
        world.report("ingest")
        world.report("correlate")
        yield world


@pytest.fixture(scope="module")
def operations(served):
    schema = schemathesis.openapi.from_url(served.base + "/api/openapi.json").exclude(path_regex="/stream$")  # it never ends
    return {f"{found.ok().method.upper()} {found.ok().path}": found.ok() for found in schema.get_all_operations()}


def probe(operation, mode, examples):
    """Requests after the schema (positive) or just beside it (negative): never a 5xx, and what comes is what the schema says."""
    seen = []

    @settings(max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(generation_mode=mode))
    def run(case):
        reply = case.call(timeout=60)
        seen.append(reply.status_code)
        case.validate_response(reply, checks=[not_a_server_error, response_schema_conformance])

    run()
    return seen


def test_no_request_breaks_the_server(operations):
    assert len(operations) == 57
    seen = {}
    for name, operation in operations.items():
        seen[name] = probe(operation, GenerationMode.POSITIVE, 10)
        if operation.query or operation.body or "{seq}" in name:  # any text is a valid name, so there is no wrong one to make
            seen[name] += probe(operation, GenerationMode.NEGATIVE, 10)
    assert 200 in seen["GET /api/v1/events"]
    assert 422 in seen["GET /api/v1/events"]
    assert {404, 422} & set(seen["POST /api/v1/alerts/{alert}/transitions"])


def test_the_document_is_complete(client):
    document = client.get("/api/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    paths = {"/healthz", "/readyz", "/metrics", "/tiles/{name}.pmtiles"} | {
        f"/api/v1/{path}"
        for path in (
            "status", "events", "events/{seq}", "timeline", "alerts", "alerts/{alert}", "alerts/{alert}/transitions", "alerts/{alert}/explain", "feeds", "rules", "rules/{rule}/explain",
            "layers", "layers/{name}", "quarantine", "quarantine/{record}", "quarantine/{record}/retry", "stream", "replays", "replays/{replay}",
            "exercises", "exercises/stop", "exercises/{exercise}/start", "exercises/runs/{run}/score",
            *(f"replays/{{replay}}/{view}" for view in ("status", "events", "events/{seq}", "timeline", "feeds", "alerts", "alerts/{alert}", "stream")),
            *(f"archive/{part}" for part in ("search", "around", "series", "cells", "points", "events/{seq}", "sources/{feed}/{source}", "tiles/{z}/{x}/{y}.mvt")),
                "archive/reports", *(f"archive/reports/{name}" for name in ("volume", "forecast", "feeds", "responses", "coverage", "false-alarms")),
            "query", "backtests", "backtests/{job}", "backtests/{job}/result", "backtests/{job}/cancel",
        )
    }  # fmt: skip
    assert set(document["paths"]) == paths
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"]
            assert operation["description"], path
            assert any(content for status, reply in operation["responses"].items() if status < "300" for content in reply["content"]), path
            if path not in ("/healthz", "/readyz"):
                assert list(operation["responses"]["403"]["content"]) == ["application/problem+json"]


def test_no_docs_page_that_loads_from_outside(client):
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert "swagger" not in client.get(path).text.lower()
