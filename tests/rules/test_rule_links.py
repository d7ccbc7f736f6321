"""Fields that link events are held against the feeds: one that nobody fills, or that belongs to one feed alone, links nothing."""

from __future__ import annotations

import pytest

from tocsin.rules.check import check_rules
from tocsin.rules.compile import compile_rule
from tocsin.rules.parse import parse_rules
from tocsin.rules.produced import Produced

PLACED = frozenset({"kind", "event_time", "lon", "lat", "source", "value"})
FEEDS = (
    Produced("cad", frozenset({"call.fire", "call.medical"}), frozenset(), {"incident": "string", "type": "string"}, PLACED | {"text"}),
    Produced("units", frozenset({"unit.arrived"}), frozenset(), {"incident": "string", "unit": "string"}, PLACED),
    Produced("wind", frozenset({"weather.wind"}), frozenset({"m/s"}), {"from": "number", "side": "string"}, PLACED - {"source"}),
    Produced("devices", None, None, {}),
)
KNOWN = FEEDS[:3]


def found(when: str, more: str = "", alert: str = "", feeds: tuple[Produced, ...] = KNOWN) -> tuple[list[str], list[str]]:
    text = f"rule: r\ntitle: t\nwhy: w\nwhen: {{{when}}}\n{more}alert: {{headline: h, per: {{hold: 1 h}}{alert}}}\n"
    rules, problems = parse_rules(text, "r.yaml")
    assert problems == []
    findings = check_rules(rules, feeds)
    return [one.message for one in findings.problems], [one.message for one in findings.warnings]


NO_FIELD = "so no events agree in it; did you mean 'incident'? known: incident, type"


@pytest.mark.parametrize(
    ("when", "more", "alert", "problems"),
    [
        ("absence: {after: call.fire, expect: unit.arrived, during: 12 min, same: attrs.incident}", "", "", []),
        (
            "absence: {after: call.fire, expect: unit.arrived, during: 12 min, same: attrs.incidnt}", "", "",
            [
                f"when.absence.same: call.fire has no attribute 'incidnt' (feed cad), {NO_FIELD}",
                "when.absence.same: unit.arrived has no attribute 'incidnt' (feed units), so no events agree in it; did you mean 'incident'? known: incident, unit",
            ],
        ),
        (
            "absence: {after: call.fire, expect: unit.arrived, during: 12 min, same: source}", "", "",
            [
                ("when.absence.same: call.fire and unit.arrived never agree in source: they come from different feeds, and a source belongs to its feed;"
                " write attrs.<name>, or within")
            ],
        ),
        ("absence: {after: call.fire, expect: call.medical, during: 12 min, same: source}", "", "", []),
        (
            "sequence: {first: call.fire, then: [{of: unit.arrived, during: 1 h}], same: feed}", "", "",
            ["when.sequence.same: call.fire and unit.arrived never agree in feed: they come from different feeds, and no event is of two; write attrs.<name>, or within"],
        ),
        (
            "sequence: {first: call.fire, then: [{of: call.medical, within: 1 km, during: 1 h}], differs: attrs.typ}", "", "",
            ["when.sequence.differs: call.fire has no attribute 'typ' (feed cad), so it never keeps anything apart; did you mean 'type'? known: incident, type",
             "when.sequence.differs: call.medical has no attribute 'typ' (feed cad), so it never keeps anything apart; did you mean 'type'? known: incident, type"],
        ),
        (
            "cluster: {of: call.fire, sources: 2, distinct: attrs.adress, within: 1 km, during: 1 h}", "", "",
            ["when.cluster.distinct: call.fire has no attribute 'adress' (feed cad), so there is nothing to tell apart; known: incident, type"],
        ),
        (
            "rate: {of: unit.arrived, during: 1 h, above: 3, each: [attrs.unit, attrs.crew]}", "", "",
            ["when.rate.each: unit.arrived has no attribute 'crew' (feed units), so nothing has a history; known: incident, unit"],
        ),
        (
            "cluster: {of: weather.wind, events: 3, within: 1 km, during: 1 h, same: [source, text]}", "", "",
            [
                "when.cluster.same: weather.wind has no source (feed wind), so no events agree in it; map source, or take it out",
                "when.cluster.same: weather.wind has no text (feed wind), so no events agree in it; map text, or take it out",
            ],
        ),
        (
            "match: {of: call.fire}", "while: {active: {of: unit.arrived, same: attrs.type}}\n", "",
            ["while.active.same: unit.arrived has no attribute 'type' (feed units), so no events agree in it; known: incident, unit"],
        ),
        (
            "match: {of: call.fire}", "unless:\n  - {active: {of: call.medical, same: attrs.incident}}\n  - {active: {of: unit.arrived, same: source}}\n", "",
            [
                ("unless[2].active.same: call.fire and unit.arrived never agree in source: they come from different feeds, and a source belongs to its feed;"
                " write attrs.<name>, or within")
            ],
        ),
        (
            "match: {of: call.fire}", "", ", dedup: {by: attrs.cad_number, hold: 24 h}",
            ["alert.dedup.by: call.fire has no attribute 'cad_number' (feed cad), so no match joins another; known: incident, type"],
        ),
        (
            "match: {of: call.fire}", "", ", resolve: {until: unit.arrived, same: attrs.incident}", [],
        ),
        (
            "match: {of: call.fire}", "", ", resolve: {until: unit.arrived, same: attrs.incdent}",
            [
                f"alert.resolve.same: call.fire has no attribute 'incdent' (feed cad), {NO_FIELD}",
                "alert.resolve.same: unit.arrived has no attribute 'incdent' (feed units), so no events agree in it; did you mean 'incident'? known: incident, unit",
            ],
        ),
        (
            "inside: {of: call.fire, sector: {of: unit.arrived, within: 1 km, width: 60 deg, downwind: {of: weather.wind, bearing: attrs.form}}}", "", "",
            ["when.inside.sector.downwind.bearing: weather.wind has no attribute 'form' (feed wind), so it looks nowhere; did you mean 'from'? known: from, side"],
        ),
        (
            "inside: {of: call.fire, sector: {of: weather.wind, within: 1 km, width: 360 deg, bearing: attrs.side}}", "", "",
            ["when.inside.sector.bearing: attrs.side is a string; a bearing is a number of degrees"],
        ),
        ("inside: {of: call.fire, sector: {of: weather.wind, within: 1 km, width: 60 deg, bearing: attrs.from}}", "", "", []),
        # What is known of an alert of another rule, or of a kind that nobody declares, is not guessed.
        ("cluster: {of: alert.r2, sources: 2, within: 1 km, during: 1 h, same: attrs.x}", "", "", ["when.cluster.of: there is no rule 'r2'; it is the only one"]),
        ("cluster: {of: nobody.knows, sources: 2, within: 1 km, during: 1 h, same: attrs.x}", "", "", []),
    ],
)  # fmt: skip
def test_a_field_that_links_nothing_is_refused(when: str, more: str, alert: str, problems: list[str]) -> None:
    assert found(when, more, alert)[0] == problems


def test_what_a_feed_fills_is_not_guessed() -> None:
    when = "absence: {after: call.fire, expect: unit.arrived, during: 12 min, same: [source, attrs.x]}"
    assert found(when, feeds=FEEDS) == ([], [])


@pytest.mark.parametrize(
    ("of", "until", "doubted"),
    [
        ("weather.wind where value >= 4 m/s", "weather.wind where value >= 3 m/s", True),
        ("weather.wind where value >= 4 m/s", "weather.wind where value < 3 m/s", False),
        ("weather.wind where value >= 4 m/s", "weather.wind where value < 5 m/s", False),
        ("weather.wind where value >= 4 m/s", "weather.wind", True),
        ("weather.wind", "weather where value >= 0 m/s or value < 0 m/s", True),
        ("weather.wind where attrs.from > 3", "weather.wind where attrs.side == 'A'", False),
    ],
)
def test_a_rule_that_turns_off_at_what_turns_it_on_is_doubted(of: str, until: str, doubted: bool) -> None:
    problems, warnings = found(f'match: {{of: "{of}", until: "{until}"}}')
    told = (
        "when.match.until: every event that turns it on also passes this, so it turns off at the next one and on again;"
        " ask for what of does not, as in value < 3 m for an of with value >= 4 m"
    )
    assert (problems, warnings) == ([], [told] if doubted else [])


def words(when: str) -> str:
    rules, problems = parse_rules(f"rule: r\ntitle: t\nwhy: w\nwhen: {{{when}}}\nalert: {{headline: h}}\n", "r.yaml")
    assert problems == []
    return compile_rule(rules[0]).words.partition(" Every")[0]


@pytest.mark.parametrize(
    ("when", "told"),
    [
        (
            "inside: {of: a, sector: {of: b, within: 1 km, width: 60 deg, bearing: attrs.azimuth, turn: 90, valid_for: 10 min}}",
            "Fires when a is in the sector of 60 degrees and 1 km from b (not older than 10 min) along attrs.azimuth, turned by 90 degrees.",
        ),
        (
            "inside: {of: a, sector: {of: b, within: 1 km, width: 60 deg, downwind: {of: w, bearing: value, within: 20 km, valid_for: 30 min}}}",
            "Fires when a is in the sector of 60 degrees and 1 km from b (not older than 1 h) downwind (w within 20 km, not older than 30 min).",
        ),
        (
            "rate: {of: a, during: 1 h, measure: sources, above: 3, least: 2}",
            "Fires when the number of different sources of a in 1 h exceeds 3 and is about at least 2 different sources, for everything together.",
        ),
        (
            "match: {of: 'a where text == \"Two  blanks\"\n\n    and value >  3 m'}",
            'Fires on every event of a with text == "Two  blanks" and value > 3 m.',
        ),
    ],
)
def test_words_leave_nothing_out(when: str, told: str) -> None:
    assert words(when) == told


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("call where severity > extreme", "when.match.of: can never hold: no severity is like this; from the least, they are unknown, minor, moderate, severe, extreme"),
        ("call where attrs.type in ()", "when.match.of: column 27: ')' stands where a constant is expected, as in attrs.type == \"A\" or attrs.type in (\"A\", \"B\")"),
    ],
)  # fmt: skip
def test_what_cannot_hold_or_be_read_is_told(condition: str, told: str) -> None:
    rules, problems = parse_rules(
        f"rule: r\ntitle: t\nwhy: w\nwhen: {{match: {{of: '{condition}'}}}}\nalert: {{headline: h, per: {{hold: 1 h}}}}\n", "r.yaml"
    )
    assert [one.message for one in (*problems, *check_rules(rules).problems)] == [told]
