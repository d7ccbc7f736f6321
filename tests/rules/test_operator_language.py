"""Operators, areas, guards and alerts that are right: what they become in the plan, what they say in words, and what their version depends on."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from bad_operators import HEAD, TAIL

from tocsin.model import plan
from tocsin.model.links import ANYWHERE, Key, Zone, Zones
from tocsin.model.predicate import Selector
from tocsin.model.reading import reach, selectors
from tocsin.model.severity import Severity
from tocsin.model.time import DAY, HOUR, MINUTE, SECOND
from tocsin.rules.check import check_rules
from tocsin.rules.compile import compile_rule
from tocsin.rules.nodes import Rule
from tocsin.rules.parse import parse_rules

A, B, C = (Selector(kind, text=kind) for kind in "abc")
LEVEL = Selector("a", None, "length", None, "a")


def read(text: str) -> Rule:
    rules, problems = parse_rules(text, "r.yaml")
    assert problems == []
    return rules[0]


def one(when: str, extra: str = "", alert: str = TAIL) -> Rule:
    rule = read(f"{HEAD}when: {{{when}}}\n{extra}{alert}")
    unknown = [found for found in check_rules([rule]).problems if "there is no rule" not in found.message]
    assert unknown == []
    return rule


CASES: list[tuple[str, plan.Operator, str]] = [
    (
        "match: {of: a, for: 10 min, max_gap: 2 min, samples: 3}",
        plan.Match(A, 3, None, 10 * MINUTE, 2 * MINUTE),
        "when a source of a gives 3 events for 10 min, never more than 2 min apart, and again only after one that does not pass",
    ),
    (
        "cluster: {of: a, sources: 2, within: 1 km, during: 1 h, distinct: attrs.address, same: [text, attrs.x]}",
        plan.Cluster(A, 1000.0, HOUR, 2, 1, 0, ("text", "attrs.x"), "attrs.address"),
        "when at least 2 different attrs.address of a report within 1 km of the one that completes the match and within 1 h, all with the same text and attrs.x",
    ),
    (
        "sequence: {first: a, then: [{of: b, during: 1 h}, {of: c, within: 5 m, during: 2 h}], same: attrs.x, differs: source, during: 2 h}",
        plan.Sequence(A, (plan.Step(B, ANYWHERE, HOUR), plan.Step(C, 5.0, 2 * HOUR)), False, 2 * HOUR, ("attrs.x",), ("source",)),
        "when a is followed by b within 1 h, then by c within 5 m and 2 h, all of it within 2 h, all with the same attrs.x, all with different source",
    ),
    (
        "sequence: {first: a, then: [{of: b, within: 1 km}, {of: c, within: 1 km, during: 5 min}], any_order: true, during: 1 h}",
        plan.Sequence(A, (plan.Step(B, 1000.0, HOUR), plan.Step(C, 1000.0, 5 * MINUTE)), True, HOUR),
        "when a and b within 1 km and c within 1 km and 5 min happen in any order within 1 h",
    ),
    (
        "absence: {after: a, expect: b, during: 1 h, same: attrs.x}",
        plan.Absence(A, B, ANYWHERE, HOUR, ("attrs.x",)),
        "when a is not followed by b with the same attrs.x in the next 1 h",
    ),
    (
        "silence: {of: a, during: 45 min, area: {share: 30 %, within: 2 km, together: 5 min}}",
        plan.Silence(A, 45 * MINUTE, "source", (), plan.AreaOutage(pytest.approx(0.3), 5, 2000.0, 5 * MINUTE)),
        "when a source gives no a for 45 min; when 30 % of at least 5 sources within 2 km turn silent within 5 min, one alert for the area holds those of its sources",
    ),
    (
        "change: {of: a, during: 1 h, by: 20 cm}",
        plan.Change(LEVEL, HOUR, pytest.approx(0.2)),
        "when the value of a rises by 20 cm or more within 1 h (at least 2 samples), for each source",
    ),
    (
        "change: {of: a, during: 1 h, slope: 36 cm/h, direction: fall, samples: 3, each: attrs.x}",
        plan.Change(LEVEL, HOUR, None, pytest.approx(1e-4), "fall", 3, Key("fields", ("attrs.x",))),
        "when the value of a falls at 36 cm/h or more within 1 h (at least 3 samples), for each attrs.x",
    ),
    (
        'change: {of: a, during: 1 h, by: "9 [degF]", direction: either}',
        plan.Change(replace(LEVEL, dimension="temperature"), HOUR, pytest.approx(5.0), None, "either"),
        "when the value of a rises or falls by 9 [degF] or more within 1 h (at least 2 samples), for each source",
    ),
    (
        "rate: {of: a, during: 1 h, above: 5}",
        plan.Rate(A, HOUR, "count", 5.0),
        "when the number of a in 1 h exceeds 5, for everything together",
    ),
    (
        "rate: {of: a, during: 1 h, measure: sources, distinct: attrs.x, above: 5, each: {cell: 2 km}, least: 3, baseline: {sigmas: 2.5, weeks: 8}}",
        plan.Rate(A, HOUR, "sources", 5.0, 3.0, 1, plan.Baseline(2.5, 8), Key("cell", size=2000.0), "attrs.x"),
        (
            "when the number of different attrs.x of a in 1 h exceeds the mean of this hour of the week by 2.5 standard deviations"
            " (5 while less than 8 weeks are known) and is about at least 3 different attrs.x, for each cell of 2 km"
        ),
    ),
    (
        "rate: {of: a, during: 10 min, measure: mean, above: 30 Cel, windows: 2, each: {zone: districts}}",
        plan.Rate(
            replace(LEVEL, dimension="temperature"),
            10 * MINUTE,
            "mean",
            pytest.approx(303.15),
            0.0,
            2,
            None,
            Key("zone", zones=Zones("districts")),
        ),
        "when the mean of a in 10 min exceeds 30 Cel in 2 windows one after another, for each of districts",
    ),
    (
        "rate: {of: a, during: 1 day, measure: sum, above: 30 mm, each: feed}",
        plan.Rate(LEVEL, DAY, "sum", pytest.approx(0.03), key=Key("feed")),
        "when the sum of a in 1 d exceeds 30 mm, for each feed",
    ),
    (
        "accumulate: {of: [a, b], total: 3 h, during: 12 h, hold: 1 h, each: [attrs.x, source]}",
        plan.Accumulate(A, 12 * HOUR, HOUR, 3 * HOUR, None, (B,), Key("fields", ("attrs.x", "source"))),
        "when a and b hold at the same time for 3 h in all within 12 h (a sample counts for 1 h at most), for each attrs.x and source",
    ),
    (
        "accumulate: {of: a, integral: 20 mm, during: 6 h, hold: 1 h}",
        plan.Accumulate(replace(LEVEL, dimension="speed"), 6 * HOUR, HOUR, 0, pytest.approx(0.02)),
        "when a adds up over time to 20 mm within 6 h (a sample counts for 1 h at most), for each source",
    ),
    (
        "inside: {of: a, area: b, valid_for: 6 h, standing: true, differs: source}",
        plan.Inside(A, plan.WarnedArea(B, 6 * HOUR), True, DAY, (), ("source",)),
        "when a is inside an active area of b (6 h when it names no end), with different source; also what was last heard (1 d at most) when an area appears or changes",
    ),
    (
        "inside: {of: a, zone: {layer: scars, only: [South, North, South]}}",
        plan.Inside(A, Zones("scars", only=("North", "South"))),
        "when a is inside North or South of scars",
    ),
    (
        "inside: {of: a, around: {of: b, within: 6 km, valid_for: 10 min}, same: attrs.x}",
        plan.Inside(A, plan.Around(B, 6000.0, 10 * MINUTE), False, 0, ("attrs.x",)),
        "when a is within 6 km of the newest position of b (not older than 10 min), with the same attrs.x",
    ),
    (
        "inside: {of: a, sector: {of: b, within: 10 km, width: 60 deg, downwind: {of: c, bearing: attrs.direction, valid_for: 30 min}}}",
        plan.Inside(A, plan.Sector(B, 10_000.0, 60.0, "attrs.direction", HOUR, 180.0, C, ANYWHERE, 30 * MINUTE)),
        "when a is in the sector of 60 degrees and 10 km from b (not older than 1 h) downwind (c, not older than 30 min)",
    ),
    (
        "inside: {of: a, sector: {of: b, within: 50 m, width: 90.5 °, bearing: value, turn: -90}}",
        plan.Inside(A, plan.Sector(B, 50.0, 90.5, "value", HOUR, -90.0)),
        "when a is in the sector of 90.5 degrees and 50 m from b (not older than 1 h) along value, turned by -90 degrees",
    ),
    ("zone: {of: a, enters: scars}", plan.ZoneEvent(A, "enters", Zones("scars")), "when a source of a enters scars"),
    (
        "zone: {of: a, leaves: scars, max_gap: 5 min}",
        plan.ZoneEvent(A, "leaves", Zones("scars"), 0, 5 * MINUTE),
        "when a source of a leaves scars, positions at most 5 min apart",
    ),
    (
        "zone: {of: a, dwells: scars, for: 10 min, max_gap: 2 min}",
        plan.ZoneEvent(A, "dwells", Zones("scars"), 10 * MINUTE, 2 * MINUTE),
        "when a source of a dwells in scars for 10 min, positions at most 2 min apart",
    ),
    (
        "zone: {of: a, stays: 15 m, for: 10 min, max_gap: 2 min}",
        plan.ZoneEvent(A, "stays", None, 10 * MINUTE, 2 * MINUTE, 15.0),
        "when a source of a stays within 15 m for 10 min, positions at most 2 min apart",
    ),
    (
        "timer: {since: a, during: 20 min, until: b, warn: [1 min, 5 min, 1 min], each: [attrs.x]}",
        plan.Timer(A, 20 * MINUTE, Key("fields", ("attrs.x",)), B, (5 * MINUTE, MINUTE)),
        "20 min after the last a, unless b comes first, with a warning 5 min and 1 min before, for each attrs.x",
    ),
    (
        "timer: {since: a, during: 15 min, until: b, restart: false, repeat: true}",
        plan.Timer(A, 15 * MINUTE, Key("all"), B, (), False, True),
        "15 min after the first a, unless b comes first, and again after each such time, for everything together",
    ),
    (
        "all: {of: [y, x, y], within: 5 km, during: 8 h, same: attrs.x}",
        plan.Alerts(("x", "y"), "all", 5000.0, 8 * HOUR, 1, ("attrs.x",)),
        "when alerts of x and y are raised within 5 km of the one that completes the match and within 8 h, with the same attrs.x",
    ),
    ("any: {of: [x, y]}", plan.Alerts(("x", "y"), "any"), "on an alert of x or y"),
    (
        "any: {of: x, alerts: 2, during: 8 h, differs: source}",
        plan.Alerts(("x",), "any", ANYWHERE, 8 * HOUR, 2, (), ("source",)),
        "when at least 2 alerts of x are raised anywhere and within 8 h, with different source",
    ),
]


@pytest.mark.parametrize(("when", "expected", "words"), CASES, ids=[case[0].partition(",")[0] + f" {i}" for i, case in enumerate(CASES)])
def test_an_operator_becomes_its_node_and_says_so(when: str, expected: plan.Operator, words: str) -> None:
    compiled = compile_rule(one(when))
    assert compiled.when == expected
    assert plan.operator_name(compiled.when) == when.partition(":")[0]
    assert compiled.words.startswith(f"Fires {words}. ")


def test_guards_become_nodes() -> None:
    extra = """\
while:
  - active: {of: b, same: attrs.x, valid_for: 12 h}
  - inside: {area: weather.warning where severity >= severe}
unless:
  - inside: {around: {of: c, within: 1 km}}
  - all: {of: [q, p], within: 5 km, during: 2 h}
  - any: {of: p, during: 1 h, same: source}
"""
    compiled = compile_rule(one("match: {of: a, samples: 2}", extra))
    severe = Selector("weather.warning", None, None, compiled.only[1].area.of.where, "weather.warning where severity >= severe")
    assert compiled.only == (plan.Active(B, ANYWHERE, 12 * HOUR, ("attrs.x",)), plan.Within(plan.WarnedArea(severe, DAY)))
    assert compiled.unless == (
        plan.Within(plan.Around(C, 1000.0, HOUR)),
        plan.AlertsNear(("p", "q"), "all", 2 * HOUR, 5000.0),
        plan.AlertsNear(("p",), "any", HOUR, ANYWHERE, ("source",)),
    )
    assert compiled.reads == ("p", "q")
    assert compiled.words.split(". ")[1:6] == [
        "Only while b is active (12 h when it names no end), with the same attrs.x",
        "Only while it is inside an active area of weather.warning with severity >= severe (1 d when it names no end)",
        "Not while it is within 1 km of the newest position of c (not older than 1 h)",
        "Not while there is an alert of p and q within 5 km in the 2 h before",
        "Not while there is an alert of p anywhere in the 1 h before, with the same source",
    ]
    assert selectors(compiled) == (A, C, B, severe)
    assert reach(compiled) == DAY


def test_every_part_of_an_alert_becomes_its_node() -> None:
    alert = """\
alert:
  headline: h
  severity:
    at_least: moderate
    from: evidence
    steps:
      - {is: severe, count: 5, sources: 3}
      - {is: extreme, where: c, active: {of: b, within: 100 m}}
  per: {hold: 1 h, same: [text]}
  dedup: {by: attrs.cad, hold: 24 h}
  eta: {from: 6 h, to: 8 h, since: b}
  resolve: {below_for: 20 min, until: c, within: 1 km, same: attrs.x, after: 2 h}
  fold: {under: parent, within: 5 km, during: 1 h}
  budget: {alerts: 6, per: 12 h, above: minor}
  context: {of: c, within: 600 m, before: 5 min, after: 30 min, most: 3}
"""
    found = compile_rule(one("match: {of: a, samples: 2}", "", alert))
    assert found.alert == plan.AlertSpec(
        "h",
        Severity.MODERATE,
        per=plan.Per(HOUR, None, False, ("text",)),
        severity_rule=plan.SeverityRule(
            True,
            (plan.SeverityStep(Severity.SEVERE, 5, 3), plan.SeverityStep(Severity.EXTREME, 0, 0, C, plan.Active(B, 100.0, DAY))),
        ),
        dedup=plan.Dedup(("attrs.cad",), DAY),
        eta=plan.Eta(6 * HOUR, 8 * HOUR, B),
        resolve=plan.Resolve(20 * MINUTE, C, 1000.0, ("attrs.x",), 2 * HOUR),
        fold=plan.Fold("parent", 5000.0, HOUR),
        budget=plan.Budget(6, 12 * HOUR, "minor"),
        context=(plan.Context(C, 600.0, 5 * MINUTE, 30 * MINUTE, 3),),
    )
    assert found.words.partition(". ")[2] == (
        "Further matches with the same text join the alert until 1 h after the newest one."
        " Matches with the same attrs.cad join it anywhere until 1 d after the newest one."
        " Severity is moderate, that of the most severe event if higher, severe from 5 matches and 3 sources on,"
        " extreme with an event of c and while b is active within 100 m (1 d when it names no end)."
        " It is due 6 h to 8 h after b."
        " It closes by itself when it has not held for 20 min, or on c within 1 km, with the same attrs.x, or 2 h after the newest match."
        " Shown under an alert of parent within 5 km and 1 h while that is open."
        " At most 6 alerts in 12 h; further ones are minor."
        " Shows c within 600 m, 5 min before to 30 min after, the nearest 3."
    )


def test_a_severity_is_a_word_or_a_table() -> None:
    word = compile_rule(one("match: {of: a, samples: 2}", "", "alert: {headline: h, severity: severe, never_fold: true}"))
    assert (word.alert.severity, word.alert.severity_rule, word.alert.never_fold) == (Severity.SEVERE, None, True)
    table = compile_rule(one("match: {of: a, samples: 2}", "", "alert: {headline: h, severity: {from: evidence}}"))
    assert (table.alert.severity, table.alert.severity_rule) == (Severity.UNKNOWN, plan.SeverityRule(True))


def version(when: str, extra: str = "", alert: str = TAIL) -> str:
    return compile_rule(one(when, extra, alert)).version


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("match: {of: a, samples: 2}", "match: {of: a, samples: 2, for: 1 h, max_gap: 1 min}"),
        ("match: {of: a, for: 1 h, max_gap: 1 min}", "match: {of: a, for: 1 h, max_gap: 2 min}"),
        ("change: {of: a, during: 1 h, by: 20 cm}", "change: {of: a, during: 1 h, by: 20 kg}"),
        ("change: {of: a, during: 1 h, by: 20 cm}", "change: {of: a, during: 1 h, by: 20 cm, each: all}"),
        ("any: {of: x}", "any: {of: y}"),
        ("any: {of: x}", "all: {of: [x, y], during: 1 h}"),
        ("inside: {of: a, area: b}", "inside: {of: a, around: {of: b, within: 1 km, valid_for: 24 h}}"),
        ("zone: {of: a, enters: scars}", "zone: {of: a, leaves: scars}"),
        ("timer: {since: a, during: 1 h}", "timer: {since: a, during: 1 h, warn: 1 min}"),
    ],
)
def test_versions_tell_operators_apart(left: str, right: str) -> None:
    assert version(left) != version(right)


def test_a_version_does_not_depend_on_how_it_is_written() -> None:
    assert version("change: {of: a, during: 60 min, by: 200 mm}") == version(
        "change: {by: 0.2 m, of: a, during: 1 h, each: source, samples: 2}"
    )
    assert version("all: {of: [x, y], during: 1 h}") == version("all: {of: [y, x], during: 60 min}")
    assert version("match: {of: a, samples: 2}", "", "alert: {headline: h, severity: unknown}") == version(
        "match: {of: a, samples: 2}", "", "alert: {headline: h, never_fold: false}"
    )


def test_while_and_unless_are_different_meanings() -> None:
    guard = "{active: {of: b, within: 1 km}}"
    plain, only, unless = (version("match: {of: a, samples: 2}", extra) for extra in ("", f"while: {guard}\n", f"unless: {guard}\n"))
    assert len({plain, only, unless}) == 3


def test_the_shape_of_a_zone_is_part_of_the_version() -> None:
    rule = one("zone: {of: a, enters: {layer: scars, only: [North]}}")
    north, moved, south = Zone("North", b"1"), Zone("North", b"2"), Zone("South", b"3")
    first = compile_rule(rule, {"scars": (north,)})
    assert first.when.zones == Zones("scars", first.when.zones.digest, ("North",), (north,))
    assert len(first.when.zones.digest) == 16
    assert compile_rule(rule, {"scars": (north, south)}) == first, "an area the rule does not name changes nothing"
    assert compile_rule(rule, {"scars": (moved,)}).version != first.version
    assert compile_rule(rule, {"other": (moved,)}).when.zones.zones == ()


def test_what_was_learnt_is_part_of_the_version() -> None:
    rule = one("rate: {of: a, during: 1 h, above: 5, baseline: {sigmas: 3}}")
    learnt = plan.Baseline(0.0, 4, "abc", (plan.Learnt("all", 6, (1.0,) * 168, (2.0,) * 168),))
    without, with_it = compile_rule(rule), compile_rule(rule, None, {"r": learnt, "other": learnt})
    assert with_it.when.baseline == plan.Baseline(3.0, 4, "abc", learnt.learnt)
    assert with_it.version != without.version
    assert compile_rule(rule, None, {"r": replace(learnt, learnt=())}).version == with_it.version, "the digest stands for the table"


def test_amounts_are_exact_enough() -> None:
    assert compile_rule(one("change: {of: a, during: 1 h, slope: 1 m/s}")).when.slope == 1.0
    assert math.isinf(compile_rule(one("any: {of: x, alerts: 2, during: 1 h}")).when.within)
    assert compile_rule(one("timer: {since: a, during: 90 s}")).when.during == 90 * SECOND


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("match: {of: 'a where value >= 4 m', samples: 2, until: 'a where value < 3 m'}", "61484173699c"),
        ("match: {of: a}", "dc228ffff939"),
        ("cluster: {of: a, sources: 2, within: 1 km, during: 1 h, min_gap: 5 s}", "b1d78063b372"),
        ("sequence: {first: a, then: [{of: b, within: 1 km, during: 1 h, min_gap: 1 s}]}", "a5c71db3d280"),
        ("absence: {after: a, expect: b, within: 1 km, during: 1 h}", "3878f43a730c"),
        ("silence: {of: a, during: 3 h, declared: [x]}", "5e150a2cbede"),
    ],
)
def test_rules_of_the_first_edition_keep_their_versions(when: str, expected: str) -> None:
    """These numbers are those of the language before it grew: a changed one would close every open alert of such rules."""
    guard = "unless: {active: {of: c, within: 1 km}}\n"
    alert = "alert: {severity: severe, headline: h, instruction: i, per: {place: 300 m, hold: 30 min, source: true}}\n"
    text = f"rule: r\ntitle: t\nwhy: w\nwhen: {{{when}}}\n{guard}{alert}"
    assert compile_rule(read(text)).version == expected
