"""One node that most of the acceptance tests share, because a start costs seconds. Every test has a place of its own in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tocsin.kernel.ports import free_port

from .node_world import RULES, Node, running, smoke_feed, write_city

GAUGES = """
feed: gauges
purpose: warn of floods
owner: test
retention: 1 day
sensitivity: internal
transport: mqtt
format: ndjson
mapping:
  id: id
  source: s
  kind: {constant: water.level}
  event_time: {from: t, formats: [epoch_ms]}
  lon: x
  lat: y
  value: {from: v, unit: cm}
"""
WARNINGS = """
feed: warnings
purpose: show official warnings
owner: test
retention: 1 day
sensitivity: public
transport: webhook
format: cap
"""
CALLS = """
feed: calls
purpose: dispatch awareness
owner: test
retention: 1 day
sensitivity: restricted
transport: webhook
format: ndjson
personal: [caller, note.phone]
mapping:
  id: id
  source: s
  kind: {constant: call.medical}
  event_time: {from: t, formats: [epoch_ms]}
  lon: x
  lat: y
  text: {template: "Call from {s}"}
attrs:
  station: note.station
"""
MORE_RULES = """---
rule: high-water
title: Water above the quay
why: The quay stands 300 cm above the datum.
when:
  match: {of: "water.level where value >= 3 m"}
alert:
  severity: severe
  headline: "Water at {value} {unit}"
---
rule: several-calls
title: Several calls from one block
why: Two callers see the same thing.
when:
  cluster: {of: call.medical, sources: 2, within: 300 m, during: 10 min}
alert:
  severity: severe
  headline: "{text}"
"""


@pytest.fixture(scope="package")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Feeds: smoke, doors, calm, noisy (webhooks), gauges (MQTT), warnings (CAP), calls (personal), panel (file), far (a dead address)."""
    folder = tmp_path_factory.mktemp("town")
    feeds = {
        "smoke": smoke_feed(),
        "doors": smoke_feed("doors"),
        "calm": smoke_feed("calm"),
        "noisy": smoke_feed("noisy"),
        "panel": smoke_feed("panel", "{file_tail: {path: panel.log, poll: 200 ms}}"),
        "far": smoke_feed("far", f'{{http_poll: {{url: "http://127.0.0.1:{free_port()}/", every: 1 s}}}}'),
        "gauges": GAUGES,
        "warnings": WARNINGS,
        "calls": CALLS,
    }
    city = write_city(folder / "city", RULES + MORE_RULES, feeds)
    (city / "panel.log").touch()
    with running(city, folder / "data") as node:
        yield node
