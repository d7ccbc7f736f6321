"""Bad city files: (what is wrong, old text, new text, messages). An edit of BASE; the messages are exact and complete."""

from __future__ import annotations

BASE = """\
city: seattle
title: Seattle
timezone: America/Los_Angeles
centre: [-122.3321, 47.6062]
exercise: {title: T, start: 2017-07-04T15:00:00-07:00, end: 2017-07-08T00:00:00-07:00, speed: 720}
"""

CASES: list[tuple[str, str, str, list[str]]] = [
    (
        "centre swapped",
        "centre: [-122.3321, 47.6062]",
        "centre: [47.6062, -122.3321]",
        ["city.yaml:4: centre: [47.6062, -122.332] is no place on Earth; longitude comes first, -180 to 180, then latitude, -90 to 90"],
    ),
    (
        "centre text",
        "centre: [-122.3321, 47.6062]",
        "centre: 47.6062",
        ["city.yaml:4: centre: a position is [longitude, latitude], as in [-122.33, 47.61]"],
    ),
    (
        "zone",
        "timezone: America/Los_Angeles",
        "timezone: PST",
        ["city.yaml:3: timezone: unknown time zone 'PST'; zones are those of the IANA data base, as in America/Los_Angeles or UTC"],
    ),
    (
        "start naive",
        "exercise: {title: T, start: 2017-07-04T15:00:00-07:00, end: 2017-07-08T00:00:00-07:00, speed: 720}",
        "exercise: {title: T, start: 2017-07-04 15:00, end: 2017-07-08T00:00:00-07:00, speed: 720}",
        ["city.yaml:5: exercise.start: '2017-07-04 15:00' has no UTC offset; write it with one, as in 2017-07-04T21:05:00Z"],
    ),
    (
        "start text",
        "exercise: {title: T, start: 2017-07-04T15:00:00-07:00, end: 2017-07-08T00:00:00-07:00, speed: 720}",
        "exercise: {title: T, start: yesterday, end: 2017-07-08T00:00:00-07:00, speed: 720}",
        ["city.yaml:5: exercise.start: 'yesterday' is not an ISO 8601 time; write for example 2017-07-04T21:05:00Z"],
    ),
    (
        "end",
        "exercise: {title: T, start: 2017-07-04T15:00:00-07:00, end: 2017-07-08T00:00:00-07:00, speed: 720}",
        "exercise: {title: T, start: 2017-07-04T15:00:00-07:00, end: 2016-07-08T00:00:00-07:00, speed: 720}",
        ["city.yaml:5: exercise.end: is not after its start"],
    ),
    (
        "an even number of copies",
        "title: Seattle",
        "title: Seattle\njournal: {replicas: 2}",
        ["city.yaml:3: journal.replicas: '2' is no number of copies; valid are 1, 3 and 5 (with 3 one server may be away, with 5 two)"],
    ),
    (
        "speed",
        "exercise: {title: T, start: 2017-07-04T15:00:00-07:00, end: 2017-07-08T00:00:00-07:00, speed: 720}",
        "exercise: {title: T, start: 2017-07-04T15:00:00-07:00, end: 2017-07-08T00:00:00-07:00, speed: 0}",
        ["city.yaml:5: exercise.speed: 0 is out of range; 0.01 to 100000"],
    ),
    (
        "key",
        "title: Seattle",
        "titel: Seattle",
        [
            "city.yaml:1: 'title' is missing: its name for people",
            "city.yaml:2: unknown key 'titel'; did you mean 'title'? known: centre, city, correlation, exercise, journal, layers, mirror, region, timezone, title, zoom",
        ],
    ),
    ("zoom", BASE, BASE + "zoom: 30\n", ["city.yaml:6: zoom: 30 is out of range; 0 to 22"]),
    (
        "lateness",
        BASE,
        BASE + "correlation: {lateness: 25 h, dely: 5 s}\n",
        [
            "city.yaml:6: correlation.lateness: '25 h' is too long; at most 1 d",
            "city.yaml:6: correlation: unknown key 'dely'; did you mean 'delay'? known: delay, lateness, skew",
        ],
    ),
    ("layers file", BASE, BASE + "layers: map.yaml\n", ["city.yaml:6: layers: there is no file 'map.yaml' in the city directory"]),
    ("two documents", BASE, BASE + "---\n" + BASE, ["city.yaml: 2 documents; exactly one is expected"]),
    (
        "later",
        BASE,
        BASE + "policies: x\n",
        [
            "city.yaml:6: 'policies' is not supported yet; this version has: centre, city, correlation, exercise, journal, layers, mirror, region, timezone, title, zoom"
        ],
    ),
]
