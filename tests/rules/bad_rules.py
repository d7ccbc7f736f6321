"""Bad rules: (what is wrong, old text, new text, messages). An edit of BASE; the messages are exact and complete."""

from __future__ import annotations

BASE = """\
rule: second-smoke
title: Smoke confirmed
why: Two sensors rarely fail together.
when:
  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}
alert:
  severity: severe
  headline: "Smoke confirmed by {count} sensors"
  per: {place: 300 m, hold: 30 min}
"""

CASES: list[tuple[str, str, str, list[str]]] = [
    (
        "unknown key",
        "why: Two sensors rarely fail together.",
        "wy: Two sensors rarely fail together.",
        [
            "r.yaml:1: 'why' is missing: why the rule exists, for the person it wakes at night",
            "r.yaml:3: unknown key 'wy'; did you mean 'why'? known: alert, rule, source, title, unless, when, while, why",
        ],
    ),
    (
        "missing title",
        "title: Smoke confirmed\nwhy: Two sensors rarely fail together.",
        "why: Two sensors rarely fail together.",
        ["r.yaml:1: 'title' is missing: what a person calls it"],
    ),
    (
        "empty why",
        "why: Two sensors rarely fail together.",
        "why:",
        ["r.yaml:3: 'why' is empty: why the rule exists, for the person it wakes at night"],
    ),
    ("two keys", "title: Smoke confirmed", "title: A\ntitle: B", ["r.yaml:3: the key 'title' is written twice; the first is on line 2"]),
    (
        "name",
        "rule: second-smoke",
        "rule: Second Smoke",
        ["r.yaml:1: rule: 'Second Smoke' is not a name; names are lower-case letters, digits, '-' and '_', at most 64 characters"],
    ),
    (
        "not a table",
        'rule: second-smoke\ntitle: Smoke confirmed\nwhy: Two sensors rarely fail together.\nwhen:\n  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}\nalert:\n  severity: severe\n  headline: "Smoke confirmed by {count} sensors"\n  per: {place: 300 m, hold: 30 min}',
        "- a\n- b",
        ["r.yaml:1: a list stands where a table is expected; its keys: rule, title, why, source, when, while, unless, alert"],
    ),
    (
        "text document",
        'rule: second-smoke\ntitle: Smoke confirmed\nwhy: Two sensors rarely fail together.\nwhen:\n  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}\nalert:\n  severity: severe\n  headline: "Smoke confirmed by {count} sensors"\n  per: {place: 300 m, hold: 30 min}',
        "hello",
        ["r.yaml:1: 'hello' stands where a table is expected; its keys: rule, title, why, source, when, while, unless, alert"],
    ),
    (
        "syntax",
        '  headline: "Smoke confirmed by {count} sensors"',
        '  headline: "Smoke confirmed by {count} sensors',
        [
            "r.yaml:10: is not YAML: found unexpected end of stream while scanning a quoted scalar that begins on line 8; text that contains ': ', ' #', {, [ or a comma needs quotes"
        ],
    ),
    (
        "tab",
        'rule: second-smoke\ntitle: Smoke confirmed\nwhy: Two sensors rarely fail together.\nwhen:\n  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}\nalert:\n  severity: severe\n  headline: "Smoke confirmed by {count} sensors"\n  per: {place: 300 m, hold: 30 min}',
        "rule: a\nwhen:\n\tmatch: {of: call}",
        ["r.yaml:3: is not YAML: a tab stands where the indentation is; indent with spaces"],
    ),
    (
        "anchor",
        "title: Smoke confirmed",
        "title: &t Smoke confirmed",
        ["r.yaml:2: anchors and aliases (&name, *name) are not read; write the value out, or quote the text"],
    ),
    (
        "tag",
        "title: Smoke confirmed",
        "title: !!python/name:os.system",
        ["r.yaml:2: tags (tag:yaml.org,2002:python/name:os.system) are not read; write the plain value, or quote the text"],
    ),
    (
        "context of a rule that is not there",
        '  headline: "Smoke confirmed by {count} sensors"',
        '  context: {of: alert.smoke-cluster, within: 1 km, before: 10 min}\n  headline: "Smoke confirmed by {count} sensors"',
        [
            "r.yaml:8: alert.context.of: there is no rule 'smoke-cluster'; it is the only one",
        ],
    ),
    (
        "unknown operator",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  clustr: {of: call}",
        [
            "r.yaml:5: when: unknown operator 'clustr'; did you mean 'cluster'? known: absence, accumulate, all, any, change, cluster, inside, match, rate, sequence, silence, timer, zone"
        ],
    ),
    (
        "two operators",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  match: {of: call}\n  silence: {of: call, during: 1 h}",
        [
            "r.yaml:4: when: exactly one operator is expected, found match, silence; known: absence, accumulate, all, any, change, cluster, inside, match, rate, sequence, silence, timer, zone"
        ],
    ),
    (
        "no operator",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  ",
        ["r.yaml:4: 'when' is empty: what must happen: one operator, as in match: {of: call.fire}"],
    ),
    (
        "operator as text",
        'when:\n  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "when: cluster",
        [
            "r.yaml:4: when: 'cluster' stands where one operator is expected, as in {absence: {...}}; known: absence, accumulate, all, any, change, cluster, inside, match, rate, sequence, silence, timer, zone"
        ],
    ),
    (
        "missing operator keys",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  cluster: {sources: 2}",
        [
            "r.yaml:5: when.cluster: 'of' is missing: which events",
            "r.yaml:5: when.cluster: 'within' is missing: greatest distance from the event that completes the match, as in 300 m",
            "r.yaml:5: when.cluster: 'during' is missing: length of the window that holds all of them, as in 10 min",
        ],
    ),
    (
        "unknown operator key",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  cluster: {of: call, source: 2, within: 1 km, during: 1 h}",
        [
            "r.yaml:5: when.cluster: unknown key 'source'; did you mean 'sources'? known: distinct, during, events, min_gap, of, same, sources, within"
        ],
    ),
    (
        "length without unit",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  cluster: {of: call, sources: 2, within: 300, during: 1 h}",
        ["r.yaml:5: when.cluster.within: '300' has no unit of length; write for example '300 m'"],
    ),
    (
        "length unit",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  cluster: {of: call, sources: 2, within: 300 min, during: 1 h}",
        ["r.yaml:5: when.cluster.within: 'min' is not a unit of length; write m, km, ft, yd, mi or nmi, as in '300 m'"],
    ),
    (
        "zero radius",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  cluster: {of: call, sources: 2, within: 0 m, during: 1 h}",
        [
            "r.yaml:5: when.cluster.within: '0 m' is no distance: only events at exactly the same point would be that near; write for example '25 m'"
        ],
    ),
    (
        "too far",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  cluster: {of: call, sources: 2, within: 60 km, during: 1 h}",
        ["r.yaml:5: when.cluster.within: '60 km' is too far; at most 50 km"],
    ),
    (
        "span",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  cluster: {of: call, sources: 2, within: 1 km, during: 10}",
        [
            "r.yaml:5: when.cluster.during: '10' is not a span of time; write a number and one of ms, s, min, h, days, weeks, years, as in '10 min'"
        ],
    ),
    (
        "span too long",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  cluster: {of: call, sources: 2, within: 1 km, during: 25 h}",
        ["r.yaml:5: when.cluster.during: '25 h' is too long; at most 1 d"],
    ),
    (
        "span zero",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  cluster: {of: call, sources: 2, within: 1 km, during: 0 s}",
        ["r.yaml:5: when.cluster.during: '0 s' is too short; at least 1 s"],
    ),
    (
        "silence too long",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  silence: {of: call, during: 1 year}",
        ["r.yaml:5: when.silence.during: '1 year' is too long; at most 31 d"],
    ),
    (
        "sources too many",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  cluster: {of: call, sources: 65, within: 1 km, during: 1 h}",
        ["r.yaml:5: when.cluster.sources: 65 is out of range; 1 to 64"],
    ),
    (
        "sources text",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  cluster: {of: call, sources: two, within: 1 km, during: 1 h}",
        ["r.yaml:5: when.cluster.sources: 'two' is not a whole number"],
    ),
    (
        "sources fraction",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  cluster: {of: call, sources: 2.5, within: 1 km, during: 1 h}",
        ["r.yaml:5: when.cluster.sources: '2.5' is not a whole number"],
    ),
    (
        "cluster of one",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  cluster: {of: call, within: 1 km, during: 1 h}",
        ["r.yaml:5: when.cluster: a cluster of one event is a match; write sources or events of at least 2"],
    ),
    (
        "min_gap never",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  cluster: {of: call, sources: 3, within: 1 km, during: 1 h, min_gap: 31 min}",
        ["r.yaml:5: when.cluster.min_gap: can never fire: 3 sources 31 min apart need 1 h 2 min, but during is 1 h"],
    ),
    (
        "step never",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  sequence: {first: call, then: [{of: call.fire, within: 1 km, during: 1 min, min_gap: 2 min}]}",
        ["r.yaml:5: when.sequence.then[1].min_gap: can never fire: this step needs 2 min, but during is 1 min"],
    ),
    (
        "step key",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  sequence:\n      first: call\n      then:\n        - {of: call.fire, within: 1 km, during: 1 min}\n        - {of: call.fire, withn: 1 km, during: 1 min}",
        [
            "r.yaml:9: when.sequence.then[2]: unknown key 'withn'; did you mean 'within'? known: during, min_gap, of, within",
        ],
    ),
    (
        "no steps",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  sequence: {first: call, then: []}",
        ["r.yaml:5: when.sequence.then: a list of 0; from 1 to 15 are read"],
    ),
    (
        "silence by",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  silence: {of: call, during: 1 h, by: station}",
        ["r.yaml:5: when.silence.by: unknown group 'station'; known: feed, source"],
    ),
    (
        "kind",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  match: {of: Call Fire}",
        ["r.yaml:5: when.match.of: column 1: a kind of event is expected: small letters and dots, as in fire.smoke"],
    ),
    (
        "condition list",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  match: {of: [call]}",
        ["r.yaml:5: when.match.of: a list stands where a condition is expected, as in fire.smoke where value >= 150 ug/m3"],
    ),
    (
        "field",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        '  match: {of: "call where sevrity >= severe"}',
        [
            "r.yaml:5: when.match.of: column 12: unknown field 'sevrity'; did you mean 'severity'? known: attrs.<name>, feed, id, severity, source, text, value"
        ],
    ),
    (
        "unit",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        '  match: {of: "call where value >= 3 ft"}',
        ["r.yaml:5: when.match.of: column 21: 'ft' is not a UCUM unit; write '[ft_i]'"],
    ),
    (
        "severity",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        '  match: {of: "call where severity >= high"}',
        ["r.yaml:5: when.match.of: column 24: severity is compared with 'high'; known: extreme, minor, moderate, severe, unknown"],
    ),
    (
        "two dimensions",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        '  match: {of: "call where value >= 3 mm and value < 5 Cel"}',
        ["r.yaml:5: when.match.of: value is compared both in length and in temperature; no value has two units"],
    ),
    (
        "never holds",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        '  match: {of: "call where value >= 5 mm and value < 3 mm"}',
        ["r.yaml:5: when.match.of: can never hold: it asks things of one field that exclude one another; use 'or', or change one of them"],
    ),
    (
        "until other kind",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        '  match: {of: "a where value >= 5 mm", until: "b where value < 3 mm"}',
        ["r.yaml:5: when.match.until: is about b, but the rule is about a; both conditions judge the same source's events"],
    ),
    (
        "until other unit",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        '  match: {of: "a where value >= 5 mm", until: "a where value < 3 Cel"}',
        ["r.yaml:5: when.match.until: compares value in temperature, but of compares it in length"],
    ),
    (
        "headline hole",
        '  headline: "Smoke confirmed by {count} sensors"',
        '  headline: "Smoke confirmed by {cuont} sensors"',
        [
            "r.yaml:8: alert.headline: unknown hole {cuont}; did you mean 'count'? known: count, eta, kind, place, source, sources, text, unit, value"
        ],
    ),
    (
        "headline brace",
        '  headline: "Smoke confirmed by {count} sensors"',
        '  headline: "Smoke confirmed by {count sensors"',
        ["r.yaml:8: alert.headline: expected '}' before end of string; a brace that is meant as such is written twice: {{ or }}"],
    ),
    (
        "headline format",
        '  headline: "Smoke confirmed by {count} sensors"',
        '  headline: "Smoke confirmed by {count:d} sensors"',
        ["r.yaml:8: alert.headline: the hole {count} takes no format; write {count} alone"],
    ),
    (
        "headline missing",
        '  headline: "Smoke confirmed by {count} sensors"\n  per: {place: 300 m, hold: 30 min}',
        "  per: {place: 300 m, hold: 30 min}",
        ["r.yaml:6: alert: 'headline' is missing: the line the duty officer reads first"],
    ),
    (
        "severity word",
        "  severity: severe",
        "  severity: high",
        ["r.yaml:7: alert.severity: unknown severity 'high'; known: extreme, minor, moderate, severe, unknown"],
    ),
    (
        "per without hold",
        "  per: {place: 300 m, hold: 30 min}",
        "  per: {place: 300 m}",
        ["r.yaml:9: alert.per: 'hold' is missing: how long after the newest match another one still joins the alert, as in 30 min"],
    ),
    (
        "per flag",
        "  per: {place: 300 m, hold: 30 min}",
        "  per: {place: 300 m, hold: 30 min, source: yes}",
        ["r.yaml:9: alert.per.source: 'yes' is neither true nor false"],
    ),
    (
        "unless",
        "alert:",
        "unless:\n  activ: {of: ops.burn, within: 1 km}\nalert:",
        ["r.yaml:7: unless: unknown exception 'activ'; did you mean 'active'? known: active, all, any, inside"],
    ),
    (
        "unless list",
        "alert:",
        "unless:\n  - active: {of: ops.burn, within: 1 km}\n  - active: {of: ops.burn}\nalert:",
        ["r.yaml:8: unless[2].active: 'within' is missing: how near to the anchor; without it, same must say what links them"],
    ),
    (
        "steps too long",
        '  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        "  sequence: {first: a, then: [{of: b, within: 1 km, during: 20 h}, {of: c, within: 1 km, during: 5 h}]}",
        ["r.yaml:5: when.sequence.then: the steps together may last 1 d 1 h; at most 1 d"],
    ),
    (
        "two problems",
        'why: Two sensors rarely fail together.\nwhen:\n  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300 m, during: 10 min}',
        'wy: x\nwhen:\n  cluster: {of: "fire.smoke where value >= 150 ug/m3", sources: 2, within: 300, during: 10 min}',
        [
            "r.yaml:1: 'why' is missing: why the rule exists, for the person it wakes at night",
            "r.yaml:3: unknown key 'wy'; did you mean 'why'? known: alert, rule, source, title, unless, when, while, why",
            "r.yaml:5: when.cluster.within: '300' has no unit of length; write for example '300 m'",
        ],
    ),
    (
        "same name",
        BASE,
        BASE + "---\n" + BASE,
        ["r.yaml:11: rule: a rule 'second-smoke' is already defined at r.yaml:1; names are unique in a city"],
    ),
]
