"""What every operator means, in words and by example: the text of the reference (docs/rules-reference.md). Every example is a tested rule."""

from __future__ import annotations

from typing import Final, NamedTuple


class Meaning(NamedTuple):
    """`about`: when it fires, with its edges. `when`: an example of the operator, as it stands under `when:`; `more`: other keys of that rule."""

    about: str
    when: str
    more: str = ""


OPERATORS: Final[dict[str, Meaning]] = {
    "match": Meaning(
        "One event passes. Without `samples`, `until` and `for` every passing event is a match. With them it has a state for every source: it fires on turning"
        " on, and again only after having been off. `for` asks that everything heard of the source over that time passed; a sample that does not pass,"
        " or a gap longer than `max_gap`, begins the time anew. It fires at the very end of the time, also between two samples.",
        "match: {of: water.level where value >= 4 m, for: 20 min, max_gap: 6 min, until: water.level where value < 3.5 m}",
    ),
    "cluster": Meaning(
        "Several events close together: all of them within `within` of the event whose arrival completes the match (the anchor) and in one window of"
        " length `during` that contains it. Several events of one source count once towards `sources`, each towards `events`.",
        "cluster: {of: call.odour, sources: 2, distinct: attrs.address, within: 400 m, during: 20 min}",
    ),
    "sequence": Meaning(
        "Steps in order of the time they happened, each near and after the one before; it fires when the last missing step *arrives*, in whatever order they"
        " do. With `any_order` the steps may happen in any order within `during` of one another, each near the first step. Steps may be linked by"
        " place, by fields in which they agree or must not, or by both.",
        "sequence: {first: alarm.detector, then: [{of: alarm.detector, during: 5 min, min_gap: 60 s}], same: attrs.zone, differs: source}",
    ),
    "absence": Meaning(
        "Something should have followed and did not: an event of `after` at t, and none of `expect` in (t, t + `during`]. A late answer retracts the alert, a"
        " cancelled one restores it.",
        "absence: {after: call.fire.structure, expect: unit.arrived, during: 12 min, same: attrs.incident}",
    ),
    "silence": Meaning(
        "A source, or a whole feed, that should be heard is not, by when its events happened. With `area`, silences that begin together in one place are one"
        " alert: around the newly silent source lies the group, all sources heard there in the last 24 h; when at least `share` of it is silent, the area's"
        " alert is raised and those of its single sources fold under it.",
        "silence: {of: sensor.reading, during: 45 min, area: {share: 30 %, least: 5, within: 2 km, together: 5 min}}",
    ),
    "change": Meaning(
        "A value rises or falls, per source. `by`: the newest sample of the window against its smallest (rise) or largest (fall). `slope`: the least-squares line"
        " through its samples. It fires on turning true. Differences have no zero point: 5 Cel is 5 K.",
        "change: {of: water.level, slope: 20 cm/h, during: 1 h, samples: 3}",
    ),
    "rate": Meaning(
        "Too much in a span of time: the number of events or of different sources, or the sum or mean of their values in [t - `during`, t], is above a number,"
        " or above what is usual: mean plus `sigmas` deviations of the same hour of the week, local time, learnt from history and kept in"
        " `baselines/RULE.csv`, which a person can read. With less than `weeks` weeks of history the number counts. It fires on crossing, not at"
        " every level above. With `windows` it must be so in that many windows one after another.",
        "rate: {of: call.medical, during: 1 h, above: 12, baseline: {sigmas: 3, weeks: 8}, least: 5, each: {cell: 2 km}}",
    ),
    "accumulate": Meaning(
        "A condition - or several at once - is true for long enough in total, or a value adds up over time, within a sliding window. A sample speaks until the"
        " next one of its source or for `hold`, whichever is first; a total reached between two samples fires at that instant.",
        'accumulate: {of: ["weather.humidity where value <= 15 %", "weather.wind where value >= 25 [mi_i]/h"], total: 3 h, during: 12 h, hold: 1 h, each: attrs.station}',
    ),
    "inside": Meaning(
        "An event lies in an area that is active at the time it happened: the polygon of a warning, from its time until it ends or is cancelled; an area of a layer;"
        " a circle round the newest position of something that moves; a sector, downwind or along a field of view. With `standing`, what was"
        " last heard of each source counts as well when an area appears, changes or is cancelled.",
        "inside: {of: asset.critical, area: seismic.intensity where value >= 6, valid_for: 12 h, standing: true, keep: 366 days}",
    ),
    "zone": Meaning(
        "Something of one's own enters, leaves, dwells in an area of a layer, or stays in one place. A first position inside counts as entering; what happened"
        " between two positions is not guessed. Dwelling and staying need positions at least every `max_gap`.",
        "zone: {of: asset.position, dwells: staging, for: 30 min, max_gap: 2 min}",
        "while: {active: {of: ops.assignment, same: source, valid_for: 12 h}}",
    ),
    "timer": Meaning(
        "A deadline since the last X; a newer X starts it anew. It fires when the city's clock has passed the deadline by its `delay`, unless a newer X is known by"
        " then, so an all-clear is never given too early. `warn` raises an alert of its own that long before.",
        "timer: {since: ops.par, during: 20 min, warn: 1 min, until: ops.under_control, each: [attrs.incident, attrs.division]}",
    ),
    "all": Meaning(
        "Each of several other rules has raised an alert, near one another. An alert counts by the place, time, source and attributes of its anchor; a retracted alert"
        " counts no longer. Rules may build on one another, but not in a circle.",
        "all: {of: [blast-heard, outages-together], within: 1 km, during: 2 min}",
    ),
    "any": Meaning(
        "Any of several other rules has raised an alert - or `alerts` of them have, near one another.",
        "any: {of: smoke-above-own-past, alerts: 2, within: 300 m, during: 10 min, differs: source}",
    ),
}

#: The alert of every example.
ALERT: Final = 'alert: {severity: moderate, headline: "What happened {place}", per: {place: 500 m, hold: 30 min}}'


def example(name: str) -> str:
    """The example of an operator as a whole rule."""
    meaning = OPERATORS[name]
    more = f"{meaning.more}\n" if meaning.more else ""
    head = f"rule: example-{name}\ntitle: An example of {name}\nwhy: To show what can be written.\n"
    return f"{head}when:\n  {meaning.when}\n{more}{ALERT}\n"
