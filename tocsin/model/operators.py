"""Operators that keep a history of samples, areas, or the alerts of other rules (SEMANTICS 13 to 21). Lengths in metres, spans in microseconds.

Common to those with a state (`Change`, `Rate`, `Accumulate`, `ZoneEvent`, and `Match` with `lasting`): the state is kept per key and follows
event time; it fires on turning true and again only after having been false. Late samples within lateness are put where they belong,
and firings that appear, move or vanish raise, amend or retract (SEMANTICS 20). The anchor is the sample whose time is the firing's, or
the newest before it when it fires between two samples (then on the watermark).

*Samples* of a selector are all events of its kind whose value has its dimension (when it has one); *passing* ones meet the whole condition.
A selector's `dimension` is set whenever the operator needs the value, also when the condition does not compare it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .links import ALL_TOGETHER, ANYWHERE, BY_SOURCE, UNHASHED, Key, Zones
from .predicate import Selector


@dataclass(frozen=True, slots=True)
class Change:
    """A value rises or falls (SEMANTICS 14). Per key, over the passing samples with event time in [t - during, t], t the newest one's:

    - `by` (canonical unit, > 0): newest - smallest >= by (`rise`), largest - newest >= by (`fall`), one of both (`either`);
    - `slope` (canonical unit per second, > 0): the least-squares slope over event time >= slope, <= -slope, or one of both. All samples at
      one time have no slope.

    Exactly one of `by` and `slope` is set. Not before the window holds `samples` samples. Differences have no zero point: 5 Cel is 5 K.
    """

    of: Selector
    during: int
    by: float | None = None
    slope: float | None = None
    direction: str = "rise"
    samples: int = 2
    key: Key = BY_SOURCE


@dataclass(frozen=True, slots=True)
class Learnt:
    """What one key did in every hour of the week: 168 means and population sigmas of the measure, Monday 00 h local time first; and
    from how many weeks."""

    key: str
    weeks: int
    means: tuple[float, ...]
    sigmas: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Baseline:
    """The threshold of a rate from its own past (SEMANTICS 15): mean + `sigmas` x sigma of the hour of the week, in the plan's time zone, in
    which t lies; where the key was learnt from fewer than `weeks` weeks, or not at all, the rate's fixed `above`.

    Learning: for every real hour of the history (weeks without events included; an hour that the clock goes through twice counts twice,
    one that it skips not at all), the measure over [e - during, e] at the hour's end e; for spans shorter than an hour at every whole
    multiple of `during` inside the hour. The samples of one hour of the week over all weeks give mean and population sigma. Only
    whole weeks count. `digest`: hash of the learnt table, part of the rule's version.
    """

    sigmas: float
    weeks: int = 4
    digest: str = ""
    learnt: tuple[Learnt, ...] = field(default=(), metadata=UNHASHED, repr=False)


@dataclass(frozen=True, slots=True)
class Rate:
    """Too much in a span of time (SEMANTICS 15). Per key, the measure over the passing events with event time in [t - during, t]:

    - `count`: how many; `sources`: how many different sources (`distinct`: which field tells them apart);
    - `sum`, `mean`: of their values, in canonical units; an empty window has no mean.

    True while measure > threshold and the window holds at least `least` events (`sources`: sources). The threshold is `above`, or the `baseline`'s. It can turn true when an
    event arrives in the window, false also when one leaves it. `windows` > 1: true in so many windows one after another, the last
    ending at t, each of the others `during` earlier (then the windows are (t - during, t]), each against its own hour's threshold.
    """

    of: Selector
    during: int
    measure: str = "count"
    above: float = 0.0
    least: float = 0.0
    windows: int = 1
    baseline: Baseline | None = None
    key: Key = ALL_TOGETHER
    distinct: str = "source"


@dataclass(frozen=True, slots=True)
class Accumulate:
    """A condition, or several together, true for long enough in total (SEMANTICS 16). Per key: a sample speaks from its event time
    until the next sample of the same selector and source, or for `hold`, whichever is first. `of` is true at an instant when at least
    one source of the key speaks with a passing sample; with `also`, all of them at once.

    - `total` (`integral` None): true when the time it was true within (t - during, t] adds up to >= total;
    - `integral` (canonical unit x seconds): true when the integral of the passing value over (t - during, t] is >= integral; several
      sources of one key add up. `also` then still must be true at the same time.

    Totals reached between samples fire on the watermark, at the very instant they are reached.
    """

    of: Selector
    during: int
    hold: int
    total: int = 0
    integral: float | None = None
    also: tuple[Selector, ...] = ()
    key: Key = BY_SOURCE


@dataclass(frozen=True, slots=True)
class WarnedArea:
    """Areas of events (`area` of `model/event.py`): active from the event's time to its `valid_until` (exclusive), for `valid_for` when it names
    none, and no longer than to the event time of its cancel; an update ends the old area and begins the new one at its event
    time (SEMANTICS 7). An event without an area but with coordinates covers nothing."""

    of: Selector
    valid_for: int


@dataclass(frozen=True, slots=True)
class Around:
    """A circle round the newest position of each source of `of` (by event time, not later than the instant asked for), for at most `valid_for`
    after it or until its own `valid_until`: a moving centre. Events without a source are a centre each."""

    of: Selector
    within: float
    valid_for: int


@dataclass(frozen=True, slots=True)
class Sector:
    """A slice of a circle round the place of each event of `of` (as in `Around`): the directions from it that differ from the bearing by at most
    `width` / 2 degrees, up to `within` metres. The apex itself is inside. The bearing in degrees clockwise from north:

    - `wind` None: `bearing` of the apex event itself (`value`, a plane angle, or `attrs.<name>` in degrees): a field of view;
    - `wind`: `bearing` of the newest event of `wind` not later than the instant asked for, not older than `wind_for` and within
      `wind_within` of the apex; of several of one time the nearest. `turn` is added: 180 makes of "from where it blows" "whereto".

    Without a bearing there is no sector.
    """

    of: Selector
    within: float
    width: float
    bearing: str
    valid_for: int
    turn: float = 0.0
    wind: Selector | None = None
    wind_within: float = ANYWHERE
    wind_for: int = 0


Area = WarnedArea | Around | Sector | Zones


@dataclass(frozen=True, slots=True)
class Inside:
    """An event in an area active at its event time (SEMANTICS 18). Fires on every arrival that completes it: of the event, or of the area
    (within lateness; then the anchor is still the event). One match per event, however many areas cover it; the evidence is the
    event and the newest such area.

    `standing`: besides, when an area appears or changes, the last value of each source of `of` (its newest event by event time, not older than
    `keep`) that lies in it is a match, with that event as the anchor; when all areas over it end by cancel or update, the match is
    withdrawn. `same` / `differs`: event and area agree, or do not (`links.py`); for zones neither.
    """

    of: Selector
    area: Area
    standing: bool = False
    keep: int = 0
    same: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ZoneEvent:
    """Something of one's own enters, leaves or stays in a place (SEMANTICS 19), per source of `of` and per zone, by its positions in
    order of event time; positions without coordinates are none. `what`:

    - `enters`: a position inside, and the one before outside or none;
    - `leaves`: a position outside, and the one before inside;
    - `dwells`: inside at every position over a span of at least `lasting`, neighbours at most `max_gap` apart; reached between positions
      it fires on the watermark, as in `Match`;
    - `stays`: no zones; over a span of at least `lasting` every position lies within `radius` of the newest one, neighbours at most `max_gap`
      apart. Decided at positions only.

    `max_gap` > 0 for `enters`/`leaves`: a position longer ago than that counts as none. Crossings between two positions are not inferred.
    """

    of: Selector
    what: str
    zones: Zones | None = None
    lasting: int = 0
    max_gap: int = 0
    radius: float = 0.0


@dataclass(frozen=True, slots=True)
class Timer:
    """A deadline since the last X (SEMANTICS 13). Per key, an event of `of` (`since`) at t starts the timer; a newer one starts it anew
    (`restart`; without it only when none runs). It fires on the watermark at t + during, unless a newer `of` (with `restart`), or
    an event of `until` at or after t, is known. `until` stops every timer whose key agrees with it in those fields that it has (so a
    word for the whole incident stops the timers of all its divisions).

    `warn`: spans before the deadline, each an early warning with role `early` at t + during - span: an alert of its own whose
    group key has the span in it. `repeat`: having fired it starts anew at its deadline, until stopped (a notice every 15 minutes).
    The anchor is the event that started the clock.
    """

    of: Selector
    during: int
    key: Key = ALL_TOGETHER
    until: Selector | None = None
    warn: tuple[int, ...] = ()
    restart: bool = True
    repeat: bool = False


@dataclass(frozen=True, slots=True)
class Alerts:
    """Alerts of other rules near one another (SEMANTICS 21), as facts: kind `alert.<rule>`; time, place, feed, source, value, unit, attrs and text
    of the alert's anchor; severity of the alert. A retraction cancels the fact.

    `how` `all`: at least one alert of every rule; `any`: at least `least` alerts of whichever of them. All lie within `within` of the one that
    completes the match and in one window of length `during`; they agree in `same`, no two agree in `differs` (`links.py`).
    Fires on every arrival that completes a match.
    """

    rules: tuple[str, ...]
    how: str
    within: float = ANYWHERE
    during: int = 0
    least: int = 1
    same: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()
