"""Bad rule tests: (what is wrong, old text, new text, messages). An edit of BASE; the messages are exact and complete."""

from __future__ import annotations

BASE = """\
test: a second sensor confirms
rule: second-smoke
events:
  - {at: 0 min, kind: fire.smoke, source: a, value: 180 ug/m3}
  - {at: 5 min, kind: fire.smoke, source: b, east: 120 m, north: 0, value: "180 ug/m3", arrives: +3 min, id: x}
fires:
  - {at: 5 min, sources: 2}
"""

CASES: list[tuple[str, str, str, list[str]]] = [
    (
        "rule",
        "rule: second-smoke",
        "rule: secnd-smoke",
        ["t.yaml:2: rule: there is no rule 'secnd-smoke'; did you mean 'second-smoke'? known: second-smoke"],
    ),
    (
        "nothing expected",
        "fires:\n  - {at: 5 min, sources: 2}\n",
        "",
        ["t.yaml:1: nothing is expected; write fires: [{at: 5 min}] or silent: true"],
    ),
    ("both", BASE, BASE + "silent: true\n", ["t.yaml:1: fires and silent exclude each other; write fires: [{at: 5 min}] or silent: true"]),
    (
        "east",
        '  - {at: 5 min, kind: fire.smoke, source: b, east: 120 m, north: 0, value: "180 ug/m3", arrives: +3 min, id: x}',
        '  - {at: 5 min, kind: fire.smoke, source: b, east: 120, north: 0, value: "180 ug/m3", arrives: +3 min, id: x}',
        ["t.yaml:5: events[2].east: '120' has no unit of length; write for example '120 m'"],
    ),
    (
        "unit",
        '  - {at: 5 min, kind: fire.smoke, source: b, east: 120 m, north: 0, value: "180 ug/m3", arrives: +3 min, id: x}',
        '  - {at: 5 min, kind: fire.smoke, source: b, east: 120 m, north: 0, value: "180 ugg/m3", arrives: +3 min, id: x}',
        ["t.yaml:5: events[2].value: 'ugg/m3' is not a UCUM unit: no unit 'ugg'; close: ug (column 1)"],
    ),
    (
        "value",
        '  - {at: 5 min, kind: fire.smoke, source: b, east: 120 m, north: 0, value: "180 ug/m3", arrives: +3 min, id: x}',
        "  - {at: 5 min, kind: fire.smoke, source: b, east: 120 m, north: 0, value: high, arrives: +3 min, id: x}",
        ["t.yaml:5: events[2].value: 'high' is not a measured value; write a number with its unit, as in '180 ug/m3'"],
    ),
    (
        "arrives",
        '  - {at: 5 min, kind: fire.smoke, source: b, east: 120 m, north: 0, value: "180 ug/m3", arrives: +3 min, id: x}',
        '  - {at: 5 min, kind: fire.smoke, source: b, east: 120 m, north: 0, value: "180 ug/m3", arrives: -3 min, id: x}',
        ["t.yaml:5: events[2].arrives: '-3 min' is too short; at least 0 s"],
    ),
    (
        "kind",
        "  - {at: 0 min, kind: fire.smoke, source: a, value: 180 ug/m3}",
        "  - {at: 0 min, kind: fire.smoke where value > 3 mm, source: a, value: 180 ug/m3}",
        ["t.yaml:4: events[1].kind: 'fire.smoke where value > 3 mm' is a condition; an event has a kind alone, as in fire.smoke"],
    ),
    (
        "cancel",
        '  - {at: 5 min, kind: fire.smoke, source: b, east: 120 m, north: 0, value: "180 ug/m3", arrives: +3 min, id: x}',
        '  - {at: 5 min, kind: fire.smoke, source: b, east: 120 m, north: 0, value: "180 ug/m3", arrives: +3 min, action: cancel}',
        ["t.yaml:5: events[2]: cancel needs refers_to, the id of an earlier event"],
    ),
    (
        "refers",
        '  - {at: 5 min, kind: fire.smoke, source: b, east: 120 m, north: 0, value: "180 ug/m3", arrives: +3 min, id: x}',
        '  - {at: 5 min, kind: fire.smoke, source: b, east: 120 m, north: 0, value: "180 ug/m3", arrives: +3 min, action: cancel, refers_to: y}',
        ["t.yaml:5: events[2].refers_to: no event here has the id 'y'; none has one; write id"],
    ),
    (
        "report refers",
        '  - {at: 5 min, kind: fire.smoke, source: b, east: 120 m, north: 0, value: "180 ug/m3", arrives: +3 min, id: x}',
        '  - {at: 5 min, kind: fire.smoke, source: b, east: 120 m, north: 0, value: "180 ug/m3", arrives: +3 min, refers_to: y}',
        ["t.yaml:5: events[2]: a report refers to nothing; leave refers_to out, or write action: update or cancel"],
    ),
    (
        "at missing",
        "  - {at: 0 min, kind: fire.smoke, source: a, value: 180 ug/m3}",
        "  - {kind: fire.smoke, source: a, value: 180 ug/m3}",
        ["t.yaml:4: events[1]: 'at' is missing: when it happened, from the start of the test"],
    ),
    (
        "expected key",
        "  - {at: 5 min, sources: 2}",
        "  - {at: 5 min, source: 2}",
        [
            "t.yaml:7: fires[1]: unknown key 'source'; did you mean 'sources'? known: alone, at, closes, context, count, headline, over_budget, severity, sources, status, stays_open, under"
        ],
    ),
]
