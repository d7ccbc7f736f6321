"""Mistakes in operators, guards and alerts with the exact messages: (name, what stands after `title`/`why`, messages without the file)."""

from __future__ import annotations

HEAD = "rule: r\ntitle: A title\nwhy: A reason.\n"
TAIL = "alert: {headline: h, per: {hold: 1 h}}\n"


def when(text: str) -> str:
    return f"{HEAD}when: {{{text}}}\n{TAIL}"


def alert(text: str, of: str = "a.b where value >= 1 m") -> str:
    return f'{HEAD}when: {{match: {{of: "{of}"}}}}\nalert: {{headline: h, {text}}}\n'


def guard(key: str, text: str) -> str:
    return f'{HEAD}when: {{match: {{of: "a where value >= 1 m"}}}}\n{key}: {text}\n{TAIL}'


SEQ = "sequence: {first: a, then: [{of: b"
CASES: list[tuple[str, str, list[str]]] = [
    ("for without a gap", when("match: {of: a, for: 10 min}"), ["4: when.match.for: max_gap is missing and no feed of a declares expected_every; write max_gap: 2 min"]),
    ("gap without for", when("match: {of: a, max_gap: 1 min}"), ["4: when.match.max_gap: is about for, which is missing; write for: 10 min, or leave it out"]),
    ("unbounded", when("match: {of: a, for: 40 days, max_gap: 1 h}"), ["4: when.match.for: '40 days' is too long; at most 31 d"]),
    ("too many sources", when("cluster: {of: a, sources: 65, within: 1 km, during: 1 h}"), ["4: when.cluster.sources: 65 is out of range; 1 to 64"]),
    ("zero radius", when("cluster: {of: a, sources: 2, within: 0 m, during: 1 h}"), ["4: when.cluster.within: '0 m' is no distance: only events at exactly the same point would be that near; write for example '25 m'"]),
    ("half the world", when("cluster: {of: a, sources: 2, within: 20000 km, during: 1 h}"), ["4: when.cluster.within: '20000 km' is too far; at most 50 km"]),
    ("distinct of one", when("cluster: {of: a, events: 3, within: 1 km, during: 1 h, distinct: attrs.address}"), ["4: when.cluster.distinct: says how sources are told apart, but no more than one is asked for; write sources: 2, or leave it out"]),
    ("same and distinct", when("cluster: {of: a, sources: 2, within: 1 km, during: 1 h, distinct: attrs.x, same: attrs.x}"), ["4: when.cluster.same: can never fire: no two events agree in attrs.x and differ in it; take it out of one of the two"]),
    ("field", when("cluster: {of: a, sources: 2, within: 1 km, during: 1 h, same: sorce}"), ["4: when.cluster.same: unknown field 'sorce'; did you mean 'source'? known: attrs.<name>, feed, id, source, text"]),
    ("step without a link", when(SEQ + ", during: 1 h}]}"), ["4: when.sequence.then[1]: 'within' is missing: how near to the step before; without it, same must say what links the steps"]),
    ("step without a time", when(SEQ + ", within: 1 km}]}"), ["4: when.sequence.then[1]: 'during' is missing: longest time after the step before"]),
    ("any order without a time", when(SEQ + ", within: 1 km}], any_order: true}"), ["4: when.sequence.any_order: 'during' is missing: longest time between the earliest and the latest of them"]),
    ("step longer than the whole", when(SEQ + ", within: 1 km, during: 2 h}], any_order: true, during: 1 h}"), ["4: when.sequence.then[1].during: is longer than the whole, 1 h; leave it out"]),
    ("whole shorter than its gaps", when(SEQ + ", within: 1 km, during: 2 h, min_gap: 90 min}], during: 1 h}"), ["4: when.sequence.during: can never fire: the steps need 1 h 30 min, but during is 1 h"]),
    ("same and differs", when(SEQ + ", during: 1 h}], same: [source, attrs.x], differs: source}"), ["4: when.sequence.same: can never fire: no two events agree in source and differ in it; take it out of one of the two"]),
    ("absence without a link", when("absence: {after: a, expect: b, during: 1 h}"), ["4: when.absence: 'within' is missing: how near it must be; without it, same must say what links them"]),
    ("outage of feeds", when("silence: {of: a, during: 1 h, by: feed, area: {share: 30 %, within: 1 km, together: 5 min}}"), ["4: when.silence.area: is about the sources of an area, but by is feed; write by: source"]),
    ("share", when("silence: {of: a, during: 1 h, area: {share: 130 %, within: 1 km, together: 5 min}}"), ["4: when.silence.area.share: '130 %' is not a share; it is more than 0 % and at most 100 %"]),
    ("change of nothing", when("change: {of: a, during: 1 h}"), ["4: when.change: one of by, slope is missing; write exactly one, as in by: 20 cm"]),
    ("change twice", when("change: {of: a, during: 1 h, by: 20 cm, slope: 20 cm/h}"), ["4: when.change.slope: by and slope exclude one another; write exactly one, as in by: 20 cm"]),
    ("change by nothing", when("change: {of: a, during: 1 h, by: 0 cm}"), ["4: when.change.by: '0 cm' is not more than nothing; write for example '20 cm'"]),
    ("unit of a change", when("change: {of: a where value > 1 m, during: 1 h, by: 20 cm/h}"), ["4: when.change.by: cm/h belongs to a value of speed, but of compares value in length"]),
    ("unit of a slope", when("change: {of: a where value > 1 m, during: 1 h, slope: 20 cm}"), ["4: when.change.slope: cm belongs to a value of m.s, but of compares value in length"]),
    ("slope of degrees", when("change: {of: a, during: 1 h, slope: 5 Cel/h}"), ["4: when.change.slope: 'Cel/h' is not a UCUM unit: 'Cel' has a zero of its own and must stand alone; use K in products (column 1)"]),
    ("no unit at all", when("change: {of: a, during: 1 h, by: 20 bananas}"), ["4: when.change.by: 'bananas' is not a UCUM unit: no unit 'bananas'; codes are those of UCUM, as in ug/m3, mm, Cel, km/h (column 1)"]),
    ("rate below nothing", when("rate: {of: a, during: 1 h, above: -1}"), ["4: when.rate.above: would always hold: there are never fewer than no events; write above: 1"]),
    ("rate in metres", when("rate: {of: a, during: 1 h, above: 3 m}"), ["4: when.rate.above: 3 m is no number of events; write a plain number, or measure: sum"]),
    ("sum in another unit", when("rate: {of: a where value > 1 m, during: 1 h, measure: sum, above: 3 kg}"), ["4: when.rate.above: kg belongs to a value of mass, but of compares value in length"]),
    ("rate without a number", when("rate: {of: a, during: 1 h, baseline: {sigmas: 3}}"), ["4: when.rate: 'above' is missing: what it must exceed; for sum and mean with the value's unit"]),
    ("windows too long", when("rate: {of: a, during: 10 days, above: 3, windows: 4}"), ["4: when.rate.windows: the windows together last 40 d; at most 31 d"]),
    ("distinct of a count", when("rate: {of: a, during: 1 h, above: 3, distinct: attrs.x}"), ["4: when.rate.distinct: says how sources are told apart, but they are not counted; write measure: sources, or leave it out"]),
    ("key", when("rate: {of: a, during: 1 h, above: 3, each: sorce}"), ["4: when.rate.each: unknown field 'sorce'; did you mean 'source'? known: attrs.<name>, feed, id, source, text"]),
    ("two keys", when("rate: {of: a, during: 1 h, above: 3, each: {cell: 1 km, zone: z}}"), ["4: when.rate.each: found cell, zone; valid is one of cell and zone, as in {cell: 2 km}, {zone: districts}"]),
    ("tiny cell", when("rate: {of: a, during: 1 h, above: 3, each: {cell: 1 m}}"), ["4: when.rate.each.cell: '1 m' is no size of a cell; from 10 m to 1000 km are possible"]),
    ("accumulate nothing", when("accumulate: {of: a, during: 1 h, hold: 1 h}"), ["4: when.accumulate: one of total, integral is missing; write exactly one, as in total: 3 h"]),
    ("more than fits", when("accumulate: {of: a, total: 3 h, during: 1 h, hold: 1 h}"), ["4: when.accumulate.total: can never fire: 3 h in all do not fit in during, 1 h"]),
    ("no hold", when("accumulate: {of: a, total: 1 h, during: 2 h}"), ["4: when.accumulate: 'hold' is missing: how long a sample speaks when no other follows, as in 1 h"]),
    ("integral in another unit", when("accumulate: {of: a where value > 1 mm/h, integral: 20 kg, during: 1 h, hold: 1 h}"), ["4: when.accumulate.integral: kg belongs to a value of mass flow, but of compares value in speed"]),
    ("inside nothing", when("inside: {of: a}"), ["4: when.inside: one of area, zone, around, sector is missing; write exactly one, as in area: weather.warning"]),
    ("inside twice", when("inside: {of: a, area: b, zone: z}"), ["4: when.inside.zone: area and zone exclude one another; write exactly one, as in area: weather.warning"]),
    ("standing zone", when("inside: {of: a, zone: z, standing: true}"), ["4: when.inside.standing: is about areas that appear, but those of a layer are always there; leave it out"]),
    ("keep for nothing", when("inside: {of: a, area: b, keep: 1 h}"), ["4: when.inside.keep: is about standing, which is missing; write standing: true, or leave it out"]),
    ("same as a zone", when("inside: {of: a, zone: z, same: attrs.x}"), ["4: when.inside.same: compares fields of two events, but the areas of a layer are none; leave it out"]),
    ("valid zone", when("inside: {of: a, zone: z, valid_for: 1 h}"), ["4: when.inside.valid_for: areas of a layer always count; leave it out"]),
    ("sector without a bearing", when("inside: {of: a, sector: {of: b, within: 1 km, width: 60 deg}}"), ["4: when.inside.sector: one of bearing, downwind is missing; write for example bearing: attrs.azimuth"]),
    ("sector with two", when("inside: {of: a, sector: {of: b, within: 1 km, width: 60 deg, bearing: value, downwind: {of: w, bearing: value}}}"), ["4: when.inside.sector.downwind: bearing and downwind exclude one another; write exactly one"]),
    ("width", when("inside: {of: a, sector: {of: b, within: 1 km, width: 400 deg, bearing: value}}"), ["4: when.inside.sector.width: '400 deg' is not an angle of more than 0 and at most 360 degrees; write for example '60 deg'"]),
    ("zone does nothing", when("zone: {of: a}"), ["4: when.zone: one of enters, leaves, dwells, stays is missing; write exactly one, as in enters: tunnels"]),
    ("enters for a time", when("zone: {of: a, enters: z, for: 1 min}"), ["4: when.zone.for: a place is entered at once; leave it out, or write dwells"]),
    ("dwells for no time", when("zone: {of: a, dwells: z}"), ["4: when.zone: 'for' is missing: how long it dwells; write for: 10 min"]),
    ("stays without a gap", when("zone: {of: a, stays: 15 m, for: 10 min}"), ["4: when.zone.for: max_gap is missing and no feed of a declares expected_every; write max_gap: 2 min"]),
    ("warning before the start", when("timer: {since: a, during: 20 min, warn: [1 min, 20 min]}"), ["4: when.timer.warn: a warning 20 min before a deadline after 20 min comes before its start; write less"]),
    ("timer stopped by its start", when("timer: {since: a, during: 20 min, until: a}"), ["4: when.timer.until: can never fire: what starts it also stops it; write another condition"]),
    ("unknown rule", when("all: {of: [r2, r3], within: 1 km, during: 1 h}"), ["4: when.all.of: there is no rule 'r2'; it is the only one", "4: when.all.of: there is no rule 'r3'; it is the only one"]),
    ("itself", when("any: {of: r}"), ["4: when.any.of: the rule waits for itself: r -> r; a rule cannot read alerts that come of its own"]),
    ("all of one", when("all: {of: r2, within: 1 km, during: 1 h}"), ["4: when.all.of: all of one rule is any of it; name a second rule, or write any", "4: when.all.of: there is no rule 'r2'; it is the only one"]),
    ("window of one alert", f"{when('any: {of: r2, within: 1 km}')}---\n{when('match: {of: a, samples: 2}').replace('rule: r', 'rule: r2')}", ["4: when.any.within: is about several alerts, but one is enough; write alerts: 2, or leave it out"]),
    ("several without a window", f"{when('any: {of: r2, alerts: 2, within: 1 km}')}---\n{when('match: {of: a, samples: 2}').replace('rule: r', 'rule: r2')}", ["4: when.any: 'during' is missing: length of the window that holds all of them"]),
    ("guard without a link", guard("while", "{active: {of: b}}"), ["5: while.active: 'within' is missing: how near to the anchor; without it, same must say what links them"]),
    ("guard without an area", guard("while", "[{active: {of: b, within: 1 km}}, {inside: {valid_for: 1 h}}]"), ["5: while[2].inside: one of area, zone, around, sector is missing; write exactly one, as in area: weather.warning"]),
    ("unknown circumstance", guard("while", "{actve: {of: b}}"), ["5: while: unknown circumstance 'actve'; did you mean 'active'? known: active, all, any, inside"]),
    ("later exception", guard("unless", "{timer: {of: b}}"), ["5: unless: exception 'timer' is not supported yet; this version has: active, all, any, inside"]),
    ("while and unless", f'{HEAD}when: {{match: {{of: "a where value >= 1 m"}}}}\nwhile: {{active: {{of: b, within: 1 km}}}}\nunless: {{active: {{of: b, within: 1 km}}}}\n{TAIL}', ["6: unless: can never fire: the same thing stands under while; take it out of one of the two"]),
    ("eta backwards", alert("eta: {from: 8 h, to: 6 h}"), ["5: alert.eta.to: lies before from; write from: 6 h, to: 8 h"]),
    ("resolve never", alert("resolve: {}"), ["5: alert.resolve: nothing says when; write one of below_for, until, after, as in below_for: 20 min"]),
    ("resolve near nothing", alert("resolve: {after: 1 h, within: 1 km}"), ["5: alert.resolve.within: belongs to until, which is missing; write until, or leave it out"]),
    ("severity table of one", alert("severity: {at_least: minor}"), ["5: alert.severity: a table without from and steps is one word; write severity: minor"]),
    ("severity step down", alert("severity: {at_least: severe, steps: [{is: minor, count: 3}]}"), ["5: alert.severity.steps[1].is: is not above severe, with which it begins, so it never has an effect"]),
    ("severity step of nothing", alert("severity: {steps: [{is: minor}]}"), ["5: alert.severity.steps[1]: nothing says what it takes; write one of count, sources, where, active"]),
    ("severity word", alert("severity: sever"), ["5: alert.severity: unknown severity 'sever'; did you mean 'severe'? known: extreme, minor, moderate, severe, unknown"]),
    ("folded and never", alert("never_fold: true, fold: {under: x, during: 1 h}"), ["5: alert.never_fold: never_fold and fold exclude one another; take out one of them", "5: alert.fold.under: there is no rule 'x'; it is the only one"]),
    ("budget and never", alert("never_fold: true, budget: {alerts: 3, per: 1 h}"), ["5: alert.budget: an alert that is never folded has no budget: each of them counts; take out one of the two"]),
    ("under itself", alert("fold: {under: r, during: 1 h}"), ["5: alert.fold.under: a rule's alerts cannot fold under themselves; write per to join them"]),
    ("budget of nothing", alert("budget: {alerts: 0, per: 1 h}"), ["5: alert.budget.alerts: 0 is out of range; 1 to 100000"]),
    ("later alert key", alert("notify: {}"), ["5: alert: 'notify' is not supported yet; this version has: budget, certainty, context, dedup, eta, fold, headline, instruction, never_fold, per, resolve, severity, urgency"]),
    ("contradicting numbers", alert("urgency: past", "a where attrs.n > 5 and attrs.n < 3"), ["4: when.match.of: can never hold: it asks things of one field that exclude one another; use 'or', or change one of them"]),
    ("contradicting texts", alert("urgency: past", "a where attrs.s == 'A' and attrs.s == 'B'"), ["4: when.match.of: can never hold: it asks things of one field that exclude one another; use 'or', or change one of them"]),
    ("missing and there", alert("urgency: past", "a where not attrs.s exists and attrs.s == 'B'"), ["4: when.match.of: can never hold: it asks things of one field that exclude one another; use 'or', or change one of them"]),
]  # fmt: skip

#: Two or more rules that only together are wrong: (name, `when` and `alert` of rules a, b, ..., messages).
TOGETHER: list[tuple[str, list[str], list[str]]] = [
    (
        "a circle of three",
        [
            "when: {any: {of: b}}",
            "when: {any: {of: [c, d]}}",
            "when: {all: {of: [a, d], within: 1 km, during: 1 h}}",
            "when: {match: {of: x, samples: 2}}",
        ],
        [
            "when.any.of: the rule waits for itself: a -> b -> c -> a; a rule cannot read alerts that come of its own",
            "when.any.of: the rule waits for itself: b -> c -> a -> b; a rule cannot read alerts that come of its own",
            "when.all.of: the rule waits for itself: c -> a -> b -> c; a rule cannot read alerts that come of its own",
        ],
    ),
    (
        "a circle through a guard",
        ["when: {match: {of: x, samples: 2}}\nunless: {any: {of: b, during: 1 h}}", "when: {any: {of: a}}"],
        [
            "unless.any.of: the rule waits for itself: a -> b -> a; a rule cannot read alerts that come of its own",
            "when.any.of: the rule waits for itself: b -> a -> b; a rule cannot read alerts that come of its own",
        ],
    ),
    (
        "a circle through a condition",
        ["when: {match: {of: alert.b, samples: 2}}", "when: {any: {of: a}}"],
        [
            "when.match.of: the rule waits for itself: a -> b -> a; a rule cannot read alerts that come of its own",
            "when.any.of: the rule waits for itself: b -> a -> b; a rule cannot read alerts that come of its own",
        ],
    ),
    (
        "a name nearly right",
        ["when: {any: {of: smoke-hig}}", "", ""],
        ["when.any.of: there is no rule 'smoke-hig'; did you mean 'smoke-high'? known: smoke-high, smoke-low"],
    ),
]
CASES += [
    ("severity by an attribute", alert("severity: {steps: [{is: minor, where: a where attrs.n > 3}]}"), ["5: alert.severity.steps[1].where: asks for attrs.n, but evidence has no attributes; compare value, severity, source, feed, text or id"]),
    ("eta by an attribute", alert("eta: {from: 1 h, to: 2 h, since: a where attrs.n > 3}"), ["5: alert.eta.since: asks for attrs.n, but evidence has no attributes; compare value, severity, source, feed, text or id"]),
    ("eta that is none", alert("urgency: past").replace("headline: h", 'headline: "Due {eta}"'), ["5: alert.headline: says {eta}, but the alert has none; write eta: {from: 6 h, to: 8 h}"]),
]  # fmt: skip
