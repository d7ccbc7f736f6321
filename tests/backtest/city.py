"""A city directory with one feed of sensors and two rules, and an archive of three days of it."""

from __future__ import annotations

import random
from pathlib import Path

from pastkit import kept
from runkit import LON, Journal, smoke

CITY = """city: testville
title: Testville
timezone: UTC
centre: [-122.33, 47.6]
zoom: 11
region: test
"""
FEEDS = """feed: sensors
title: Smoke sensors
purpose: smoke
owner: fire service
retention: 400 days
sensitivity: public
transport: {webhook: {}}
format: ndjson
mapping:
  id: {from: id}
  kind: {from: kind, default: fire.smoke, table: {smoke: fire.smoke, call: call.fire}}
  source: {from: source}
  event_time: {from: time}
  lon: {from: lon}
  lat: {from: lat}
  value: {from: value, as: number, unit: ug/m3}
"""
RULES = """rule: smoke-high
title: Smoke
why: Smoke is where fire is.
when:
  match: {of: "fire.smoke where value >= 150 ug/m3"}
alert:
  severity: severe
  urgency: immediate
  certainty: likely
  headline: "Smoke at {source}"
  per: {place: 100 m, hold: 30 min}
  budget: {alerts: 3, per: 12 h}
---
rule: smoke-twice
title: Smoke confirmed
why: Two sensors rarely fail together.
when:
  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}
alert:
  severity: severe
  urgency: immediate
  certainty: likely
  headline: "Smoke confirmed by {sources} sensors"
  per: {place: 300 m, hold: 1 h}
"""
DAYS = 3


def made(folder: Path, seed: int = 1) -> tuple[Path, Path, Journal]:
    """City, data directory, and the journal that was archived: begins at `runkit.T0`, 2017-07-14T02:40Z."""
    city, data = city_of(folder), folder / "data"
    data.mkdir()
    journal = recorded(seed)
    kept(journal, data, seed).close()
    return city, data, journal


def city_of(folder: Path, feeds: str = FEEDS) -> Path:
    """The city directory alone."""
    city = folder / "city"
    for name, text in {"city.yaml": CITY, "feeds/sensors.yaml": feeds, "rules/smoke.yaml": RULES, "layers.yaml": "[]\n"}.items():
        (city / name).parent.mkdir(parents=True, exist_ok=True)
        (city / name).write_text(text)
    return city


def recorded(seed: int) -> Journal:
    """A sensor reading every five minutes; now and then several sensors smell smoke, and mostly a call follows."""
    draw, journal, at, number = random.Random(seed), Journal(), 0.0, 0
    while at < DAYS * 86_400:
        at += 300.0
        rows = [_row(draw, at, number, draw.choice((20.0, 40.0, 130.0, 145.0)), draw.randint(0, 8))]
        if draw.random() < 0.03:
            place = draw.randint(0, 8)
            rows += [_row(draw, at, number + 1 + one, 180.0, place) | {"source": f"S-{place}-{one}"} for one in range(draw.randint(1, 3))]
            if draw.random() < 0.8:
                rows.append(_row(draw, at + 240, number + 9, None, place) | {"kind": "call.fire", "unit": None, "source": "desk"})
        journal.add(at + 1, [row for row in rows if row["kind"] == "fire.smoke"])
        for row in rows:
            if row["kind"] == "call.fire":
                journal.add(at + 250, [row])
        number += 10
    return journal.tick(at + 60)


def _row(draw: random.Random, at: float, number: int, value: float | None, place: int) -> dict[str, object]:
    return smoke(f"S-{place}", at, place * 1000, value) | {"id": f"e{number}", "kind": "fire.smoke", "lon": LON + draw.random() * 1e-6}  # type: ignore[arg-type]
