"""Which matches there are, given everything known: written from SEMANTICS 13 to 21 and the docstrings of the plan, as slow as it likes.

Times are compared as exact integers and sums as fractions, where the engine uses floating-point numbers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Any

from area_truth import in_box, lasts, over, zone_of
from correlate_harness import link
from key_truth import histories, stops
from oracle import NEVER, Fact, in_channel, near, passes

from tocsin.model.plan import Accumulate, Change, Inside, Key, Rate, Silence, Timer, ZoneEvent, Zones
from tocsin.model.plan import Match as MatchRule
from tocsin.model.time import format_span

SECOND = 1_000_000


@dataclass
class Match:
    """`rank` orders keys, `born` the matches of one key."""

    anchor: Fact
    time: int
    deadline: bool
    evidence: tuple[int, ...]
    rank: Any
    label: str = ""
    ready: bool = True  # may be given, with all that is known now

    @property
    def name(self) -> tuple:
        return self.anchor.seq, self.time, self.rank, self.label

    @property
    def born(self) -> tuple:
        return self.time, 1 << 62 if self.deadline else self.anchor.seq


def truth(when: Any, known: list[Fact], oracle: Any) -> list[Match]:
    """All matches, in no order."""
    return list(_TRUTHS[type(when)](when, sorted(known, key=lambda f: (f.time, f.seq)), oracle))


def change(when: Change, facts: list[Fact], oracle: Any) -> Iterator[Match]:
    for (rank, _, label), own in histories(when.key, [f for f in facts if passes(when.of, f) and f.value is not None]):
        on = False
        for i, newest in enumerate(own):
            window = [f for f in own[: i + 1] if newest.time - when.during <= f.time]
            other = changed(when, window)
            if other is not None and not on:
                evidence = (newest.seq,) if other is newest else (newest.seq, other.seq)
                yield Match(newest, newest.time, False, evidence, rank, label)
            on = other is not None


def changed(when: Change, window: list[Fact]) -> Fact | None:
    """What the newest is compared with, when it has changed enough."""
    newest = window[-1]
    if len(window) < when.samples:
        return None
    if when.by is not None:
        low, high = (Fraction(pick(f.value for f in window)) for pick in (min, max))
        if when.direction in ("rise", "either") and Fraction(newest.value) - low >= Fraction(when.by):
            return [f for f in window if f.value == low][-1]
        if when.direction in ("fall", "either") and high - Fraction(newest.value) >= Fraction(when.by):
            return [f for f in window if f.value == high][-1]
        return None
    slope = line([(f.time, f.value) for f in window])
    if slope is None:
        return None
    limit = Fraction(when.slope).limit_denominator(1000)
    fits = {"rise": slope >= limit, "fall": slope <= -limit, "either": abs(slope) >= limit}[when.direction]
    return window[0] if fits else None


def line(points: list[tuple[int, float | None]]) -> Fraction | None:
    """Least squares by the normal equations, exactly, per second."""
    n = len(points)
    x = [Fraction(time, SECOND) for time, _ in points]
    y = [Fraction(value) for _, value in points]
    below = n * sum(a * a for a in x) - sum(x) ** 2
    if below == 0:
        return None
    return (n * sum(a * b for a, b in zip(x, y, strict=True)) - sum(x) * sum(y)) / below


def samples_of(selectors: tuple[Any, ...], facts: list[Fact]) -> list[Fact]:
    return [f for f in facts if any(in_channel(selector, f) for selector in selectors)]


def runs(own: list[Fact], good: Any, max_gap: int) -> list[list[Fact]]:
    """Unbroken runs of good samples."""
    made: list[list[Fact]] = []
    broken = True
    for before, fact in itertools.zip_longest([None, *own[:-1]], own):
        if not good(fact):
            broken = True
            continue
        if broken or before is None or (max_gap and fact.time - before.time > max_gap):
            made.append([])
        made[-1].append(fact)
        broken = False
    return made


def silence(when: Silence, facts: list[Fact], oracle: Any) -> Iterator[Match]:
    """Real gaps: nothing is heard for longer than `during`. What was heard stays heard, withdrawn or not."""
    (index,) = (i for i, rule in enumerate(oracle.plan.rules) if rule.when is when)
    heard: dict[int, list[Fact]] = {code: [Fact(-1, oracle.begun, "", code)] for code in oracle.declared.get(index, ())}
    for fact in [*facts, *(fact for fact, _ in oracle.ended)]:
        if passes(when.of, fact) and fact.source is not None:
            code = oracle.feeds[fact.source[0]] if when.by == "feed" else fact.code if fact.source[1] is not None else None
            if code is not None:
                heard.setdefault(code, []).append(replace(fact, code=code))
    gaps = []
    for code, own in heard.items():
        times = sorted({fact.time for fact in own})
        for start, after in itertools.zip_longest(times, times[1:]):
            if after is None or after - start > when.during:
                at = [fact for fact in own if fact.time == start]
                anchor = min(at, key=lambda f: (f.seq < 0, f.seq))
                gaps.append((start + when.during, code, anchor))
                yield Match(anchor, start + when.during, True, (anchor.seq,) if anchor.seq >= 0 else (), (0, code))
    if when.area is not None:
        turned = sorted(gap for gap in gaps if gap[0] <= oracle.upto)
        yield from outages(when, turned, heard)


def outages(when: Silence, gaps: list[tuple[int, int, Fact]], heard: dict[int, list[Fact]]) -> Iterator[Match]:
    """Gaps in order, each with those who are silent round it; groups that share one are one."""
    made: list[tuple[int, Fact, dict[tuple[int, int], int]]] = []
    for at, code, anchor in gaps:
        newest = {c: max((f for f in own if f.time <= at), key=lambda f: (f.time, f.seq), default=None) for c, own in heard.items()}
        group = {c: f for c, f in newest.items() if f is not None and near(anchor, f, when.area.within)}
        silent = [(f.time + when.during, c) for c, f in group.items()]
        silent = sorted(one for one in silent if at - when.area.together <= one[0] and one <= (at, code))
        if len(group) < when.area.least or Fraction(len(silent)) < Fraction(when.area.share).limit_denominator(100) * len(group):
            continue
        outage = next((members for _, _, members in made if any(one in members for one in silent)), None)
        if outage is None:
            outage = {}
            made.append((at, anchor, outage))
        for one in sorted(silent, key=lambda one: one[1]):
            outage.setdefault(one, group[one[1]].seq)
    for at, anchor, members in made:
        others = dict.fromkeys(seq for seq in members.values() if seq >= 0 and seq != anchor.seq)
        yield Match(anchor, at, True, (anchor.seq, *others), (1, 0), "area")


def lasting(when: Any, facts: list[Fact], oracle: Any) -> Iterator[Match]:
    if when.lasting == 0 and when.samples <= 1 and when.until is None:
        yield from (Match(f, f.time, False, (f.seq,), f.code) for f in facts if passes(when.of, f))
        return
    asked = (when.of,) if when.until is None else (when.of, when.until)
    for (rank, _, label), own in histories(Key(), samples_of(asked, facts)):
        left = own
        while left:
            match, left = first_lasting(when, left, rank, label)
            if match is not None:
                yield match


def first_lasting(when: Any, own: list[Fact], rank: Any, label: str) -> tuple[Match | None, list[Fact]]:
    """The first time it turns on, and the samples after it has turned off again."""
    n = max(when.samples, 1)
    for run in runs(own, lambda f: passes(when.of, f), when.max_gap):
        end = run[0].time + when.lasting
        spoken = run[-1].time + when.max_gap if when.max_gap else NEVER
        after = own[own.index(run[-1]) + 1 :]
        if after and not (when.max_gap and after[0].time - run[-1].time > when.max_gap):
            spoken = after[0].time - 1  # what breaks the run at the very end breaks it
        if len(run) < n or max(end, run[n - 1].time) > max(spoken, run[-1].time):
            continue
        time = max(end, run[n - 1].time)
        up_to = [f for f in run if f.time <= time]
        exact = [f for f in run[n - 1 :] if f.time == time]
        anchor = exact[0] if exact else up_to[-1]
        evidence = (anchor.seq,) if anchor is run[0] else (anchor.seq, run[0].seq)
        rest = own[own.index(anchor) + 1 :]
        if when.until is None:
            if run[-1] is not own[-1]:
                following = own[own.index(run[-1]) + 1]
                rest = own[own.index(following) :]
            else:
                rest = []
        else:
            row = 0
            while rest and row < n:
                row = row + 1 if passes(when.until, rest[0]) else 0
                rest = rest[1:]
            rest = rest if row >= n else []
        return Match(anchor, time, not exact, evidence, rank, label), rest
    return None, []


def timer(when: Timer, facts: list[Fact], oracle: Any) -> Iterator[Match]:
    starts = [f for f in facts if passes(when.of, f) and not (when.until is not None and passes(when.until, f))]
    ends = [f for f in facts if when.until is not None and passes(when.until, f)]
    for (rank, _, label), own in histories(when.key, starts):
        mine = [f for f in ends if rank in stops(when.key, f, own[0])]
        free = -NEVER
        for i, start in enumerate(own):
            end = min([f.time for f in mine if f.time >= start.time], default=NEVER)
            newer = own[i + 1].time if when.restart and i + 1 < len(own) else NEVER
            if not when.restart and start.time <= free:
                continue
            known = end < NEVER or (when.restart and i + 1 < len(own))
            last = start.time
            for turn in range(1, 200 if when.repeat else 2):
                began = start.time + (turn - 1) * when.during
                for span in (*sorted(set(when.warn), reverse=True), 0):
                    at = began + when.during - span
                    if at < min(end, newer):
                        name = f"early {format_span(span)}" if span else ""
                        name = ", ".join(x for x in (name, f"turn {turn}" if turn > 1 else "") if x)
                        yield Match(start, at, True, (start.seq,), rank, ", ".join(x for x in (label, name) if x), not known)
                last = began + when.during
            if not when.restart:
                free = NEVER if when.repeat and end == NEVER else min(last, end - 1)


def zone_event(when: ZoneEvent, facts: list[Fact], oracle: Any) -> Iterator[Match]:
    positions = [f for f in facts if passes(when.of, f) and f.placed]
    for (rank, _, _), own in histories(Key(), positions):
        if when.what == "stays":
            yield from stays(when, own, rank)
            continue
        for number, zone in enumerate(when.zones.zones):
            inside = [in_box(zone, f) for f in own]
            if when.what == "dwells":
                for run in runs(own, lambda f, zone=zone: in_box(zone, f), when.max_gap):
                    yield from dwells(when, own, run, (rank, number), zone.name)
                continue
            for i, fact in enumerate(own):
                before = i > 0 and inside[i - 1] and not (when.max_gap and fact.time - own[i - 1].time > when.max_gap)
                if when.what == "enters" and inside[i] and not before:
                    yield Match(fact, fact.time, False, (fact.seq,), rank, zone.name)
                if when.what == "leaves" and before and not inside[i]:
                    yield Match(fact, fact.time, False, (fact.seq, own[i - 1].seq), rank, zone.name)


def dwells(when: ZoneEvent, own: list[Fact], run: list[Fact], rank: Any, label: str) -> Iterator[Match]:
    end = run[0].time + when.lasting
    after = own[own.index(run[-1]) + 1 :]
    spoken = run[-1].time + when.max_gap if when.max_gap else NEVER
    if after and not (when.max_gap and after[0].time - run[-1].time > when.max_gap):
        spoken = after[0].time - 1
    if end <= max(spoken, run[-1].time):
        exact = [f for f in run if f.time == end]
        anchor = exact[0] if exact else [f for f in run if f.time <= end][-1]
        evidence = (anchor.seq,) if anchor is run[0] else (anchor.seq, run[0].seq)
        yield Match(anchor, end, not exact, evidence, rank[0], label)


def stays(when: ZoneEvent, own: list[Fact], rank: Any) -> Iterator[Match]:
    on = False
    for i, newest in enumerate(own):
        first = None
        for j in range(i, -1, -1):
            part = own[j : i + 1]
            gaps = all(not when.max_gap or b.time - a.time <= when.max_gap for a, b in itertools.pairwise(part))
            if gaps and all(near(f, newest, when.radius) for f in part) and newest.time - own[j].time >= when.lasting:
                first = own[j]
                break
        if first is not None and not on:
            yield Match(newest, newest.time, False, (newest.seq,) if first is newest else (newest.seq, first.seq), rank)
        on = first is not None


def rate(when: Rate, facts: list[Fact], oracle: Any) -> Iterator[Match]:
    passing = [f for f in facts if passes(when.of, f) and (when.measure in ("count", "sources") or f.value is not None)]
    for (rank, text, label), own in histories(when.key, passing):
        learnt = learnt_of(when, text)
        on = False
        for i, newest in enumerate(own):
            before = own[i - 1] if i else None
            if on and before is not None:
                on = all(too_much(when, own[:i], t, False, learnt) for t in between(when, own[:i], before.time, newest.time))
            now = too_much(when, own[: i + 1], Fraction(newest.time), when.windows == 1, learnt)
            if now and not on:
                span = when.during * when.windows
                others = [f.seq for f in own[:i] if newest.time - span <= f.time][::-1]
                yield Match(newest, newest.time, False, (newest.seq, *others[:63]), rank, label)
            on = now


def learnt_of(when: Rate, text: str) -> Any:
    if when.baseline is None:
        return None
    return next((one for one in when.baseline.learnt if one.key == text and one.weeks >= when.baseline.weeks), None)


def between(when: Rate, own: list[Fact], after: int, before: int) -> list[Fraction]:
    """Instants inside every stretch between two samples in which nothing changes."""
    hour = 3600 * SECOND
    edges = {after, before} | {f.time + k * when.during for f in own for k in range(1, when.windows + 1)}
    for k in range(when.windows):
        edges |= {h * hour + k * when.during for h in range((after - k * when.during) // hour, before // hour + 1)}
    inside = sorted(edge for edge in edges if after <= edge <= before)
    return [Fraction(a + b, 2) for a, b in itertools.pairwise(inside)]


def too_much(when: Rate, own: list[Fact], time: Fraction, closed: bool, learnt: Any) -> bool:
    for k in range(when.windows):
        to = time - k * when.during
        start = to - when.during
        window = [f for f in own if f.time <= to and (f.time >= start if closed else f.time > start)]
        if when.measure == "count":
            measure = Fraction(len(window))
        elif when.measure == "sources":
            measure = Fraction(len({voice(when, f) for f in window} - {None}))
        elif when.measure == "mean" and not window:
            return False
        else:
            measure = sum((Fraction(f.value) for f in window), Fraction(0))
            measure = measure / len(window) if when.measure == "mean" else measure
        threshold = Fraction(when.above)
        if learnt is not None:
            hour = int(to // (3600 * SECOND) + 72) % 168  # 1970-01-01 was a Thursday; the tests' city keeps UTC
            threshold = Fraction(learnt.means[hour]) + Fraction(when.baseline.sigmas) * Fraction(learnt.sigmas[hour])
        if measure <= threshold or (measure if when.measure == "sources" else len(window)) < when.least:
            return False
    return True


def voice(when: Rate, fact: Fact) -> Any:
    return fact.code if when.distinct == "source" else link(fact, when.distinct)


def accumulate(when: Accumulate, facts: list[Fact], oracle: Any) -> Iterator[Match]:
    selectors = (when.of, *when.also)
    valued = [when.integral is not None, *(False for _ in when.also)]
    heard = [f for f in facts if any(in_channel(s, f) and (f.value is not None or not v) for s, v in zip(selectors, valued, strict=True))]
    for (rank, _, label), own in histories(when.key, heard):
        yield from totals(when, selectors, valued, own, rank, label)


def totals(when: Accumulate, selectors: Any, valued: list[bool], own: list[Fact], rank: Any, label: str) -> Iterator[Match]:
    """The total as a function of time, piece by piece."""
    speeches = []  # selector, from, to, passes, value, who
    for number, selector in enumerate(selectors):
        mine = [f for f in own if in_channel(selector, f) and (f.value is not None or not valued[number])]
        for code in {f.code for f in mine}:
            of_source = [f for f in mine if f.code == code]
            for f, following in itertools.zip_longest(of_source, of_source[1:]):
                end = min(f.time + when.hold, following.time if following is not None else NEVER)
                speeches.append((number, f.time, end, passes(selector, f), f.value, f.seq))
    edges = sorted({edge for _, a, b, *_ in speeches for edge in (a, b)})

    def speed(time: int) -> int:
        speaking = [s for s in speeches if s[1] <= time < s[2] and s[3]]
        if {s[0] for s in speaking} != set(range(len(selectors))):
            return 0
        return 1 if when.integral is None else sum(whole(s[4]) for s in speaking if s[0] == 0)

    pieces = [(a, b, v) for a, b in itertools.pairwise(edges) if (v := speed(a)) != 0]
    wanted = when.total if when.integral is None else whole(when.integral) * SECOND

    @cache
    def total(time: int) -> int:
        start = time - when.during
        return sum((min(b, time) - max(a, start)) * v for a, b, v in pieces if b > start and a < time)

    instants = sorted({edge + shift for edge in edges for shift in (0, when.during)})
    on = False
    for here, following in itertools.zip_longest(instants, instants[1:]):
        now = total(here) >= wanted
        if now and not on:
            yield reached(when, speeches, own, here, rank, label)
        on = now
        if following is not None and not on and total(following) >= wanted:
            pace = Fraction(total(following) - total(here), following - here)
            at = here + math.ceil((wanted - total(here)) / pace)
            yield reached(when, speeches, own, at, rank, label)
            on = True


def whole(value: float) -> int:
    """The values of the tests are whole, so that sums are exact."""
    assert value == int(value)
    return int(value)


def reached(when: Accumulate, speeches: list[Any], own: list[Fact], at: int, rank: Any, label: str) -> Match:
    """Evidence are the samples that passed; an event without a value is no sample where a value is added up."""
    exact = [f for f in own if f.time == at]
    anchor = exact[0] if exact else [f for f in own if f.time < at][-1]
    window = [f for f in own[: own.index(anchor)] if anchor.time - when.during <= f.time]
    passed = {seq for _, _, _, good, _, seq in speeches if good}
    others = [f.seq for f in window if f.seq in passed][::-1]
    return Match(anchor, at, not exact, (anchor.seq, *others[:64]), rank, label)


def inside(when: Inside, facts: list[Fact], oracle: Any) -> Iterator[Match]:
    events = [f for f in facts if passes(when.of, f) and f.placed]
    for event in events:
        found = standing(when, event, events, facts, oracle)
        if found is not None:
            time, area = found
            label = zone_of(when.area, event) if isinstance(when.area, Zones) else ""
            yield Match(event, time, False, (event.seq,) if area is None else (event.seq, area.seq), (event.time, event.seq), label)


def standing(when: Inside, event: Fact, events: list[Fact], facts: list[Fact], oracle: Any) -> tuple[int, Fact | None] | None:
    """When a match of an event begins, and the newest area then."""
    if isinstance(when.area, Zones):
        return (event.time, None) if zone_of(when.area, event) else None
    own = over(when, event, event.time, facts, oracle)
    if own:
        return event.time, own[-1]
    if not when.standing:
        return None
    following = min([f.time for f in events if f.code == event.code and (f.time, f.seq) > (event.time, event.seq)], default=NEVER)
    expired = [f for f, end in oracle.ended if not lasts(f, when.area.valid_for, end)]  # what comes after its end takes nothing back
    for area in sorted({f.seq: f for f in [*facts, *expired]}.values(), key=lambda f: (f.time, f.seq)):
        if not passes(when.area.of, area) or not event.time < area.time < following or area.time > event.time + when.keep:
            continue
        around = over(when, event, area.time, facts, oracle)
        if area.seq in [one.seq for one in around]:
            return area.time, around[-1]
    return None


_TRUTHS: dict[type, Any] = {
    Inside: inside,
    Change: change,
    MatchRule: lasting,
    Timer: timer,
    ZoneEvent: zone_event,
    Rate: rate,
    Accumulate: accumulate,
    Silence: silence,
}
