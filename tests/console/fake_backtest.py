"""What the stand-in says of a back-test: a result with everything docs/backtest.md lists, and the mistakes of a draft."""

from __future__ import annotations

from fake_scene import Json

#: Of a draft with `wen:` in it, as a real node refuses it.
MISTAKES = "rule.yaml:4: unknown key 'wen'; did you mean 'when'?\nrule.yaml:1: the rule has no 'when'"

_PLACES = (
    (-122.3321, 47.6062, 4, "Downtown"),
    (-122.3140, 47.6145, 2, "Capitol Hill"),
    (-122.3860, 47.6690, 2, "Ballard"),
    (-122.2870, 47.5480, 1, ""),
)


def _alert(name: str, at: str, headline: str, place: str) -> Json:
    return {
        "id": name,
        "known_at": at,
        "opened": at,
        "lon": -122.3321,
        "lat": 47.6062,
        "place": place,
        "source": "calls/E25",
        "headline": headline,
    }


def _near(threshold: str, needed: float, found: float | None, unit: str, words: str, place: str) -> Json:
    short = None if found is None else abs(needed - found)
    relative = 0.5 if found is None else round(abs(needed - found) / needed, 4)
    at = {"time": "2017-07-01T03:00:00Z", "lon": -122.3321, "lat": 47.6062, "place": place, "source": "calls/E25", "events": []}
    return {
        "threshold": threshold,
        "needed": needed,
        "found": found,
        "short": short,
        "unit": unit,
        "relative": relative,
        "words": words,
    } | at


def _incident(name: str, at: str, text: str, **more: float | str) -> Json:
    return {"feed": "calls", "id": name, "kind": "incident.fire", "time": at, "lon": -122.3140, "lat": 47.6145, "text": text} | more


BACKTESTED: Json = {
    "format": 1,
    "rule": {"name": "alarm-then-fire", "version": "9c1e40d27ab3", "title": "Automatic alarm followed by a fire call", "words": ""},
    "span": {"from": "2017-06-28T07:00:00Z", "to": "2017-07-05T07:00:00Z", "timezone": "America/Los_Angeles", "order": "journal"},
    "summary": {"alerts": 9, "retracted": 1, "per_week": 4.5, "most_in_a_day": 3},
    "budget": {"words": "within its budget: never more than 3 in 12 h (6 allowed)", "exceeds": False},
    "by_day": [{"day": f"2017-{day}", "alerts": n} for day, n in zip(("06-28", "06-29", "06-30", "07-01", "07-02", "07-03", "07-04"), (1, 0, 2, 1, 0, 2, 3), strict=True)],
    "by_week": [{"week": "2017-06-26", "alerts": 4, "days": 5}, {"week": "2017-07-03", "alerts": 5, "days": 2}],
    "by_place": [{"lon": lon, "lat": lat, "alerts": n, "place": place, "source": "calls/E2"} for lon, lat, n, place in _PLACES],
    "by_source": [{"source": "calls/E25", "alerts": 3, "share": 0.33}, {"source": "calls/E2", "alerts": 1, "share": 0.11}],
    "near_misses": {
        "total": 14,
        "by_threshold": {"sources": 9, "distance": 4, "time": 1},
        "list": [
            _near("sources", 3, 2, "sources", "sources: 2 of 3", "Downtown"),
            _near("distance", 400, 452.5, "m", "distance: 452 m, at most 400 m", "Ballard"),
            _near("time", 2700, None, "s", "time: between 45 min and 67 min", ""),
        ],
    },
    "incidents": {
        "kind": "incident.fire", "incidents": 5, "caught": 3, "missed": 2, "share": 0.6, "before": 2, "early_s": {"median": 240.0, "most": 900.0, "least": -60.0},
        "alerts_without": 6, "rule": "an alert counts for an incident at most 500 m away, known at most 1 h before and 30 min after it",
        "caught_list": [_incident("F3", "2017-07-04T05:40:00Z", "Warehouse on S Orcas St", alert="a1", early_s=240.0, distance_m=120.0)],
        "missed_list": [_incident("F1", "2017-07-02T04:10:00Z", "Fire in a building at 1400 E Pine St"), _incident("F2", "2017-07-03T11:25:00Z", "Brush fire at Gas Works Park")],
    },
    "against": {
        "a": {"rule": "alarm-then-fire", "version": "1", "alerts": 9, "only": 2}, "b": {"rule": "alarm-then-fire", "version": "2", "alerts": 8, "only": 1}, "both": 7,
        "b_later_s": {"median": 120.0, "most": 300.0, "least": 0.0},
        "only_a": [_alert("a8", "2017-07-04T04:20:00Z", "Alarm, then fire at 4th Ave", "Downtown")],
        "only_b": [_alert("b2", "2017-07-03T02:00:00Z", "Alarm, then fire at Market St", "Ballard")],
    },
    "sweep": {
        "key": "cluster.sources", "now": "3",
        "rows": [{"value": "2", "alerts": 19, "per_week": 9.5, "caught": 4, "missed": 1, "alerts_without": 15}, {"value": "3", "alerts": 9, "per_week": 4.5, "caught": 3, "missed": 2, "alerts_without": 6}],
        "suggestion": {"value": "3", "now": "3", "why": "half the alerts, nothing missed. --incidents would say more", "changes": False},
    },
    "notes": ["two files were skipped"],
}  # fmt: skip
