"""Why a rule rang, or did not: what was asked, and every clause of the answer with how far it was from its threshold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

HELD, FAILED, UNKNOWN = "held", "failed", "unknown"
#: What became of it, most to least. `rang`: an alert of this rule is about this place and time. `joined`: a match that an alert which
#: was open already took in. `retracted`: it rang, and was taken back. `unheard`: every clause holds, yet no alert is known (yet).
#: `silent`: some clause failed. `unknown`: what was read does not decide it.
VERDICTS: Final = ("rang", "joined", "retracted", "unheard", "silent", "unknown")


class NoSuchRule(Exception):
    """A question about a rule that neither the configuration of then nor that of now has; the message says which there are."""


@dataclass(frozen=True, slots=True)
class Question:
    """Why did `rule` ring, or not, within `within` metres of a place (degrees; None: anywhere) in the `span` µs up to `at`? With what was
    known at `at` in journal order, or with everything known by now (`with_late`). `anchor`: journal position of the event that one alert began
    with, when the question is about that alert."""

    rule: str
    at: int
    lon: float | None = None
    lat: float | None = None
    within: float | None = None
    span: int | None = None
    with_late: bool = False
    anchor: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """An event as an explanation shows it. Times in µs; `distance_m` from the clause's centre. `value` in `unit` as it was sent."""

    seq: int
    feed: str
    id: str
    kind: str
    source: str | None
    event_time: int
    lon: float | None
    lat: float | None
    value: float | None
    unit: str | None
    text: str | None
    distance_m: float | None = None
    gap_us: int | None = None


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of a rule. `clause`: where it stands in the rule file (`cluster.sources`). `state`: held, failed or unknown. `words`: a
    sentence. `found`, `needed`: the two sides in words. `short`: how far from the threshold, in `unit` (m, s, 1 for counts, or a
    UCUM code), 0 when it held; None where there is no such number. `events`: what it rests on, or what came closest."""

    clause: str
    state: str
    words: str
    found: str = ""
    needed: str = ""
    short: float | None = None
    unit: str = ""
    events: tuple[Seen, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """A match, or what came closest to one: every clause at one place and time (of the match; µs). `holds`: whether all clauses held."""

    time: int
    lon: float | None
    lat: float | None
    distance_m: float | None
    holds: bool
    words: str
    clauses: tuple[Clause, ...]
    anchor: Seen | None = None


@dataclass(frozen=True, slots=True)
class Rung:
    """An alert of the rule nearby, as it was known. `joined`: it took the match in, it was not raised for it."""

    id: str
    status: str
    headline: str
    opened: int
    known_at: int
    count: int
    distance_m: float | None
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer. `known`: `then` (as known at the time asked for) or `now`. `looks`: the best first: matches, then near misses. `clauses`:
    those of the first look, or what can be said where there is none. `notes`: what the answer does not know, or was left out.
    `read`: events looked at."""

    rule: str
    version: str
    title: str
    rule_words: str
    at: int
    lon: float | None
    lat: float | None
    within: float | None
    span: int
    known: str
    verdict: str
    summary: str
    clauses: tuple[Clause, ...] = ()
    looks: tuple[Look, ...] = ()
    alerts: tuple[Rung, ...] = ()
    notes: tuple[str, ...] = ()
    read: int = 0
    matches: int = field(default=0)


def about(rule: str, opened: int, known_at: int, place: tuple[float, float] | None, anchor: int | None, late: bool = False) -> Question:
    """Why did this alert ring: with what was known when it was raised; when it was learnt `late`, with what is known by now. Times in
    µs; `place`: lon, lat of its anchor."""
    at = max(opened, known_at)
    lon, lat = place if place is not None else (None, None)
    return Question(rule, at, lon, lat, 1.0 if place is not None else None, at - opened, late, anchor)
