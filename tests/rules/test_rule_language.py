"""Rules that are right: what they become, what they say in words, and what their version depends on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tocsin.model import plan
from tocsin.model.predicate import Selector
from tocsin.model.severity import Severity
from tocsin.model.time import HOUR, MINUTE
from tocsin.rules.check import check_rules
from tocsin.rules.compile import compile_rule
from tocsin.rules.keys import OPERATORS
from tocsin.rules.meaning import OPERATORS as MEANING
from tocsin.rules.meaning import example
from tocsin.rules.nodes import Rule
from tocsin.rules.parse import parse_rules, read_rules

ROOT = Path(__file__).parents[2]
HEAD = "rule: r\ntitle: A title\nwhy: A reason.\n"
TAIL = 'alert:\n  headline: "{count} events {place}"\n'


def one(when: str, unless: str = "", alert: str = TAIL) -> Rule:
    rules, problems = parse_rules(f"{HEAD}when:\n  {when}\n{unless}{alert}", "r.yaml")
    assert problems == []
    assert check_rules(rules).problems == []
    return rules[0]


def test_every_key_arrives_in_the_plan() -> None:
    text = """\
# a comment before
rule: second-smoke
title: Smoke confirmed
why: >
  Two sensors rarely fail
  together.
when:
  cluster: {of: fire.smoke where value >= 150 ug/m3, sources: 2, events: 3, within: 0.3 km, during: 10 min, min_gap: 5 s}
unless:
  - active: {of: ops.burn_permit, within: 1 km}
  - active: {of: ops.drill, within: 2 km, valid_for: 8 h}
alert:
  severity: severe
  urgency: immediate
  certainty: likely
  headline: "Smoke {place}"
  instruction: Look.
  per: {place: 300 m, hold: 30 min, source: true}
# a comment after
"""
    (rule,), problems = parse_rules(text, "rules/a.yaml")
    assert problems == []
    found = compile_rule(rule)
    smoke = Selector("fire.smoke", pytest.approx(150e-9), "mass concentration", None, "fire.smoke where value >= 150 ug/m3")
    assert found.when == plan.Cluster(smoke, 300.0, 10 * MINUTE, 2, 3, 5_000_000)
    assert found.unless == (
        plan.Active(Selector("ops.burn_permit", text="ops.burn_permit"), 1000.0, 24 * HOUR),
        plan.Active(Selector("ops.drill", text="ops.drill"), 2000.0, 8 * HOUR),
    )
    per = plan.Per(30 * MINUTE, 300.0, True)
    assert found.alert == plan.AlertSpec("Smoke {place}", Severity.SEVERE, "immediate", "likely", "Look.", per)
    assert (found.name, found.title, found.why, found.file, found.line) == (
        "second-smoke",
        "Smoke confirmed",
        "Two sensors rarely fail together.",
        "rules/a.yaml",
        2,
    )
    assert found.text == text.removeprefix("# a comment before\n").removesuffix("# a comment after\n")
    assert re.fullmatch(r"[0-9a-f]{12}", found.version)


A, B, C = (Selector(kind, text=kind) for kind in ("a", "b", "c"))


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("match: {of: a}", plan.Match(A)),
        ("match: {of: a, samples: 3, until: a.b}", plan.Match(A, 3, Selector("a.b", text="a.b"))),
        ("cluster: {of: a, events: 5, within: 500 ft, during: 1 min}", plan.Cluster(A, 152.4, MINUTE, 1, 5)),
        (
            "sequence: {first: a, then: [{of: b, within: 1 mi, during: 1 h}, {of: c, within: 5 m, during: 90 s, min_gap: 1 s}]}",
            plan.Sequence(A, (plan.Step(B, 1609.344, HOUR), plan.Step(C, 5.0, 90_000_000, 1_000_000))),
        ),
        ("absence: {after: a, expect: b, within: 1 km, during: 30 min}", plan.Absence(A, B, 1000.0, 30 * MINUTE)),
        ("silence: {of: a, during: 3 h, by: feed, declared: [x, y]}", plan.Silence(A, 3 * HOUR, "feed", ("x", "y"))),
        ("silence: {of: a, during: 3 days}", plan.Silence(A, 72 * HOUR)),
    ],
)
def test_each_operator_compiles(when: str, expected: plan.Operator) -> None:
    assert compile_rule(one(when)).when == expected


ALONE = " Every match is an alert of its own."


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("match: {of: call.fire}", "Fires on every event of call.fire." + ALONE),
        ('match: {of: "a where value >= 4 m"}', "Fires on every event of a with value >= 4 m." + ALONE),
        (
            'match: {of: "a where value >= 4 m", samples: 2, until: "a where value < 3 m"}',
            "Fires when a source of a gives 2 events in a row with value >= 4 m, and again only after 2 in a row with value < 3 m." + ALONE,
        ),
        ("match: {of: a, until: a.b}", "Fires when a source of a gives an event, and again only after one of a.b." + ALONE),
        (
            "match: {of: a, samples: 3}",
            "Fires when a source of a gives 3 events in a row, and again only after one that does not pass." + ALONE,
        ),
        (
            'cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
            "Fires when at least 2 different sources of fire.smoke with value >= 150 ug/m3 report within 300 m of the one that completes the match"
            " and within 10 min." + ALONE,
        ),
        (
            "cluster: {of: a, events: 5, sources: 2, within: 1500 m, during: 90 min, min_gap: 30 s}",
            "Fires when at least 5 events of a from at least 2 different sources happen within 1.5 km of the one that completes the match"
            " and within 1 h 30 min, different sources at least 30 s apart." + ALONE,
        ),
        (
            "cluster: {of: a, events: 5, within: 1 km, during: 1 h}",
            "Fires when at least 5 events of a happen within 1 km of the one that completes the match and within 1 h." + ALONE,
        ),
        (
            "sequence: {first: a, then: [{of: b, within: 400 m, during: 45 min}, {of: c, within: 1 km, during: 2 h, min_gap: 1 min}]}",
            "Fires when a is followed by b within 400 m and 45 min, then by c within 1 km and 2 h, but no sooner than 1 min." + ALONE,
        ),
        (
            "absence: {after: a, expect: b, within: 1 km, during: 30 min}",
            "Fires when a is not followed by b within 1 km in the next 30 min." + ALONE,
        ),
        ("silence: {of: a, during: 3 h}", "Fires when a source gives no a for 3 h." + ALONE),
        (
            "silence: {of: a, during: 3 h, by: feed, declared: [x, y]}",
            "Fires when a feed gives no a for 3 h; x, y must be heard from the start." + ALONE,
        ),
    ],
)
def test_a_rule_says_in_words_when_it_fires(when: str, words: str) -> None:
    assert compile_rule(one(when)).words == words


def test_exceptions_and_joining_are_said_in_words() -> None:
    rule = one(
        "match: {of: a}",
        "unless: {active: {of: ops.burn_permit, within: 1 km}}\n",
        TAIL + "  per: {place: 300 m, hold: 30 min, source: true}\n",
    )
    assert compile_rule(rule).words == (
        "Fires on every event of a. Not while ops.burn_permit is active within 1 km (1 d when it names no end)."
        " Further matches of the same source within 300 m join the alert until 30 min after the newest one."
    )


BASE = """rule: r
title: A title
why: A reason.
when:
  cluster: {of: "a where value >= 1500 m and text exists", sources: 2, within: 1 km, during: 1 h}
alert:
  headline: "{count}"
"""


def version(text: str) -> str:
    (rule,), problems = parse_rules(text)
    assert problems == []
    return compile_rule(rule).version


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rule: r", "# comment\n\nrule: r # another"),
        ("title: A title", 'title: "Another title"'),
        ("why: A reason.", "why: >\n  Another\n  reason."),
        ("1 km", "1000 m"),
        ("1 h", "60 min"),
        ("sources: 2, within: 1 km", "within: 1 km, sources: 2"),
        ("value >= 1500 m and text exists", "text   exists  and value>=1500m"),
        ("value >= 1500 m and", "not value < 1500 m and"),
        ("value >= 1500 m", "value >= 1.5 km"),
        ('  headline: "{count}"', '  headline: "{count}"\n  severity: unknown'),
        (BASE, BASE.replace("\n", "\r\n")),
    ],
)
def test_the_version_does_not_depend_on_how_a_rule_is_written(old: str, new: str) -> None:
    assert old in BASE
    assert version(BASE.replace(old, new)) == version(BASE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rule: r", "rule: s"),
        ("1 km", "1001 m"),
        ("1 h", "61 min"),
        ("sources: 2", "sources: 3"),
        (">=", ">"),
        ("1500", "1501"),
        ("a where", "a.b where"),
        ("{count}", "{count} events"),
        ('  headline: "{count}"', '  headline: "{count}"\n  severity: minor'),
        ('  headline: "{count}"', '  headline: "{count}"\n  per: {hold: 1 h}'),
        ("alert:", "unless: {active: {of: a, within: 1 km}}\nalert:"),
    ],
)
def test_the_version_depends_on_what_a_rule_means(old: str, new: str) -> None:
    assert BASE.count(old) == 1
    assert version(BASE.replace(old, new)) != version(BASE)


def test_versions_are_the_same_on_every_machine() -> None:
    """A changed number here changes the id of every alert: bump it knowingly."""
    assert version(BASE) == "4490b08be5fc"


def test_several_rules_stand_in_one_file() -> None:
    rules, problems = parse_rules(f"{BASE}---\n# nothing here\n---\n{BASE.replace('rule: r', 'rule: s')}")
    assert problems == []
    assert [(rule.name, rule.line) for rule in rules] == [("r", 1), ("s", 11)]
    assert rules[1].text.startswith("rule: s\n")
    assert rules[1].line_of("when.cluster.within") == 15
    assert rules[1].line_of("alert.per.hold") == 16, "the nearest table around a key that was not written"


def examples() -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "docs/rules.md").read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", examples(), ids=lambda text: text.partition("\n")[0])
def test_every_example_of_the_reference_compiles(text: str) -> None:
    rules, problems = parse_rules(text, "docs/rules.md")
    assert problems == []
    findings = check_rules(rules)
    assert (findings.problems, findings.warnings) == ([], [])
    for rule in rules:
        words = compile_rule(rule).words
        assert words in " ".join((ROOT / "docs/rules.md").read_text().split()), "the page says in words what its example does"


def test_the_reference_shows_every_operator_and_every_key() -> None:
    from tocsin.rules.alert_keys import TABLES
    from tocsin.rules.area_keys import AROUND, GUARDS, SECTOR, WIND
    from tocsin.rules.keys import ALERT, HOLES, RULE, STEP

    page = (ROOT / "docs/rules-reference.md").read_text()
    for table in (*OPERATORS.values(), STEP, *GUARDS.values(), AROUND, SECTOR, WIND, ALERT, *TABLES.values(), RULE):
        for key in table.fields:
            assert f"| `{key.name}` |" in page, key.name
    assert all(f"### {name}\n" in page for name in OPERATORS)
    assert all(f"`{{{name}}}`" in page for name in HOLES)


@pytest.mark.parametrize("name", sorted(MEANING))
def test_every_example_of_the_generated_reference_is_a_good_rule(name: str) -> None:
    rules, problems = parse_rules(example(name), "docs/rules-reference.md")
    assert problems == []
    found = check_rules(rules)
    assert [one.message for one in found.problems if "there is no rule" not in one.message] == []
    assert found.warnings == []
    assert name in OPERATORS and set(MEANING) == set(OPERATORS)


def test_the_rules_of_the_seattle_example_compile() -> None:
    files = sorted((ROOT / "examples/seattle/rules").glob("*.yaml"))
    assert files
    for path in files:
        rules, problems = read_rules(path, path.name)
        assert problems == []
        assert all(compile_rule(rule).words for rule in rules)
