"""From a plan to the tables the kernels read: channels, lanes, searches and roles sorted by threshold."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tocsin.kernel.fault import Fatal
from tocsin.model.plan import Absence, Active, Alerts, Cluster, Match, Plan, RulePlan, Sequence, Silence
from tocsin.model.predicate import Expr, Selector, covers
from tocsin.model.reading import selectors_in

from . import geometry
from .kernels import layout
from .parts.needs import beside
from .series.which import guarded, in_kernels, outside

Table = NDArray[Any]
NO_THRESHOLD = -math.inf


@dataclass(slots=True)
class _Lane:
    """What searches of one channel, level and kind of question look through."""

    channel: int
    level: int
    coalesce: bool
    keep: int = 0
    thresholds: set[float] = field(default_factory=set)
    predicates: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Search:
    lane: int
    threshold: float
    predicate: int
    radius: float


@dataclass(slots=True)
class _Scan:
    """What the `cluster` rules of a lane look up together."""

    lane: int
    place: int
    threshold: float
    radius: float = 0.0
    span: int = 0


@dataclass(slots=True)
class _Role:
    threshold: float
    what: int
    rule: int
    predicate: int
    detail: int = 0
    near: bool = True  # needs the place of the event


@dataclass(slots=True)
class Builder:
    """Collects the parts of a plan; `Tables` freezes them."""

    channels: list[tuple[str, str | None]] = field(default_factory=list)
    predicates: list[Expr] = field(default_factory=list)
    lanes: list[_Lane] = field(default_factory=list)
    searches: list[_Search] = field(default_factory=list)
    scans: list[_Scan] = field(default_factory=list)
    circles: list[float] = field(default_factory=list)
    roles: dict[int, list[_Role]] = field(default_factory=dict)
    series: dict[tuple[int, int], list[tuple[Any, ...]]] = field(default_factory=dict)
    links: list[tuple[int, int, int, int]] = field(default_factory=list)
    stages: list[tuple[float, int, int]] = field(default_factory=list)
    sets: dict[tuple[int, int], list[tuple[float, int, int]]] = field(default_factory=dict)
    watches: list[tuple[int, int, bool]] = field(default_factory=list)
    declared: list[tuple[int, str, bool]] = field(default_factory=list)
    actives: dict[tuple[Selector, int], int] = field(default_factory=dict)
    unless: list[tuple[float, int]] = field(default_factory=list)
    rules: list[dict[str, Any]] = field(default_factory=list)
    read: frozenset[str] = frozenset()  # rules whose alerts others look at

    def channel(self, selector: Selector) -> int:
        key = (selector.kind, selector.dimension)
        if key not in self.channels:
            self.channels.append(key)
        return self.channels.index(key)

    def predicate(self, selector: Selector) -> int:
        if selector.where is None:
            return -1
        if selector.where not in self.predicates:
            self.predicates.append(selector.where)
        return self.predicates.index(selector.where)

    def circle(self, radius: float) -> int:
        if radius not in self.circles:
            self.circles.append(radius)
        return self.circles.index(radius)

    def search(self, selector: Selector, radius: float, keep: int, coalesce: bool) -> int:
        """A search for events of `selector` within `radius` that may be `keep` older than what asks for them."""
        wanted = (self.channel(selector), geometry.level_of(radius), coalesce)
        at = next((i for i, lane in enumerate(self.lanes) if (lane.channel, lane.level, lane.coalesce) == wanted), -1)
        if at < 0:
            at = len(self.lanes)
            self.lanes.append(_Lane(*wanted))
        lane = self.lanes[at]
        lane.keep = max(lane.keep, keep)
        lane.thresholds.add(threshold(selector))
        lane.predicates.add(self.predicate(selector))
        self.searches.append(_Search(at, threshold(selector), self.predicate(selector), radius))
        return len(self.searches) - 1

    def scan(self, search: int, when: Cluster) -> int:
        """The scan of the search's lane, made so wide that it serves this rule as well."""
        of = self.searches[search]
        scan = next((scan for scan in self.scans if scan.lane == of.lane), None)
        if scan is None:
            channel = self.lanes[of.lane].channel
            scan = _Scan(of.lane, sum(self.lanes[other.lane].channel == channel for other in self.scans), of.threshold)
            self.scans.append(scan)
        scan.threshold, scan.radius, scan.span = min(scan.threshold, of.threshold), max(scan.radius, of.radius), max(scan.span, when.during)
        return self.scans.index(scan)

    def role(self, selector: Selector, what: int, rule: int, detail: int = 0, near: bool = True) -> None:
        role = _Role(threshold(selector), what, rule, self.predicate(selector), detail, near)
        self.roles.setdefault(self.channel(selector), []).append(role)

    def add(self, index: int, rule: RulePlan) -> None:
        """Adds one rule."""
        row = self._rule_row(rule)
        self.rules.append(row)
        when = rule.when
        if outside(rule):
            for selector in selectors_in((when, rule.unless, rule.only)):
                self.predicate(selector)
            return
        if guarded(rule):
            raise Fatal(
                f"rule {rule.name!r}: this version runs `while` and such exceptions only for operators with a history and plain match"
            )
        needs_place = bool(row.get("placed")) or bool(rule.unless)
        match when:
            case Match():
                self._match(index, when, needs_place)
            case Cluster():
                plain = when.min_gap <= 0 and when.events <= when.sources
                row.update(window=when.during, min_gap=when.min_gap, sources=max(when.sources, 1), events=max(when.events, 1))
                row["search"] = self.search(when.of, when.within, when.during, plain)
                row["scan"] = self.scan(row["search"], when)
                self.role(when.of, layout.CLUSTER, index)
            case Sequence():
                self._sequence(index, row, when)
            case Absence():
                self._absence(index, row, when)
            case Silence():
                self.watches.append((when.during, index, when.by == "feed"))
                watch = len(self.watches) - 1
                self.declared += [(watch, name, when.by == "feed") for name in when.declared]
                self.role(when.of, layout.HEARD, index, watch, needs_place or rule.name in self.read)

    def _rule_row(self, rule: RulePlan) -> dict[str, Any]:
        row: dict[str, Any] = {"unless": len(self.unless), "since": int(layout.LONG_AGO)}
        for active in filter(in_kernels, rule.unless):
            assert isinstance(active, Active)
            self.unless.append((geometry.chord_limit(active.within), self._active(active)))
        row["unless_end"] = len(self.unless)
        per = rule.alert.per
        if per is not None:
            row.update(thinned=1, hold=per.hold, by_source=int(per.by_source))
            if per.place is not None:
                row.update(placed=1, place=geometry.chord_limit(per.place))
                row["place_circle"] = self.circle(per.place)
        return row

    def _active(self, active: Active) -> int:
        self.channel(active.of)
        self.predicate(active.of)
        return self.actives.setdefault((active.of, active.valid_for), len(self.actives))

    def _match(self, index: int, when: Match, needs_place: bool) -> None:
        if when.samples <= 1 and when.until is None:
            self.role(when.of, layout.PLAIN, index, 0, needs_place)
            return
        own = self.channel(when.of)
        off, off_at, off_predicate = own, NO_THRESHOLD, layout.NO_UNTIL
        if when.until is not None:
            off, off_at, off_predicate = self.channel(when.until), threshold(when.until), self.predicate(when.until)
        track = (threshold(when.of), off_at, self.predicate(when.of), off_predicate, max(when.samples, 1), index)
        self.series.setdefault((own, off), []).append(track)

    def _sequence(self, index: int, row: dict[str, Any], when: Sequence) -> None:
        selectors = (when.first, *(step.of for step in when.then))
        if len(selectors) > layout.STEPS_MAX:
            raise Fatal(f"a sequence has {len(selectors)} steps; at most {layout.STEPS_MAX} are possible")
        row.update(step=len(self.links), steps=len(selectors), stage=len(self.stages), overlap=int(_overlap(selectors)))
        self.stages += [(threshold(selector), self.predicate(selector), self.channel(selector)) for selector in selectors]
        ahead = sum(step.max_gap for step in when.then)
        for before, step in zip(selectors, when.then, strict=False):
            back = self.search(before, step.within, ahead, False)
            ahead -= step.max_gap
            self.links.append((step.min_gap, step.max_gap, back, self.search(step.of, step.within, ahead, False)))
        for i, selector in enumerate(selectors):
            self.role(selector, layout.STEP, index, i)

    def _absence(self, index: int, row: dict[str, Any], when: Absence) -> None:
        row.update(window=when.during, search=self.search(when.expected, when.within, when.during, False))
        self.sets.setdefault((self.channel(when.after), when.during), []).append((threshold(when.after), index, self.predicate(when.after)))
        self.role(when.expected, layout.EXPECTED, index)


def threshold(selector: Selector) -> float:
    """The lowest value that passes; -inf when the value does not matter (events without one have -inf too)."""
    return NO_THRESHOLD if selector.at_least is None else selector.at_least


def _overlap(selectors: tuple[Selector, ...]) -> bool:
    """Whether one event may pass two of the selectors."""
    return any(covers(a.kind, b.kind) or covers(b.kind, a.kind) for a, b in combinations(selectors, 2))


def table(dtype: np.dtype[np.void], rows: Iterable[tuple[Any, ...]]) -> Table:
    """Rows -> a record array with at least one row, because kernels index before they look."""
    made = np.array(list(rows), dtype)
    return made if len(made) else np.zeros(1, dtype)


#: Who listens to a kind: channels, the same as a mask over all of them, and the rest of its row in `layout.KIND`.
Heard = tuple[list[int], Table, tuple[float, float, float, int, int]]


@dataclass(slots=True)
class Tables:
    """The plan as arrays, by the names of `layout.TABLES`; `kinds`, `listens` and `member` depend on the kinds seen so far."""

    arrays: dict[str, Table]
    predicates: tuple[Expr, ...]
    words: int
    channels: tuple[tuple[str, str | None], ...]
    declared: tuple[tuple[int, str, bool], ...]
    lists: int  # lists of standing facts
    found: int  # most events a match is looked for with
    talk: int  # most evidence one firing can bring
    widest: int
    hears: tuple[tuple[int, int, bool], ...]  # (channel, series, own)
    watch_of: dict[int, int]  # channel -> its first watch by source
    low: Table  # per channel: lowest value that matters; that needs a place; that something besides samples waits for
    near: Table
    rest: Table
    load: Table  # per channel: most that one event can add to a table
    heard: dict[tuple[str, str | None], Heard] = field(default_factory=dict)

    def of_kinds(self, kinds: Iterable[tuple[str, str | None]]) -> dict[str, Table]:
        """The tables that say who listens to which (kind, dimension)."""
        rows: list[tuple[int, int, float, float, float, int, int]] = []
        listens: list[int] = []
        member = []
        for key in kinds:
            if key not in self.heard:
                self.heard[key] = self._heard(*key)
            mine, mask, numbers = self.heard[key]
            rows.append((len(listens), len(listens) + len(mine), *numbers))
            listens += mine
            member.append(mask)
        return {
            "kinds": np.array(rows, layout.KIND),
            "listens": np.array(listens or [0], np.int64),
            "member": np.concatenate(member or [np.zeros(1, np.uint8)]),
        }

    def _heard(self, kind: str, dimension: str | None) -> Heard:
        mine = [c for c, (prefix, of) in enumerate(self.channels) if of in (None, dimension) and covers(prefix, kind)]
        low, near, rest = (min((float(of[c]) for c in mine), default=math.inf) for of in (self.low, self.near, self.rest))
        watch = next((self.watch_of[c] for c in mine if c in self.watch_of), -1)
        self.widest = max(self.widest, sum(int(self.load[c]) for c in mine))
        mask = np.zeros(max(len(self.channels), 1), np.uint8)
        mask[mine] = 1
        series = [position if own else -1 for channel, position, own in self.hears if mask[channel]]
        return mine, mask, (low, near, rest, series[0] if len(series) == 1 else -1, watch)


def compile_plan(plan: Plan) -> Tables:
    """A plan -> its tables, without any kinds yet."""
    b = Builder(read=frozenset(name for rule in plan.rules if isinstance(rule.when, Alerts) for name in rule.when.rules))
    for index, rule in enumerate(plan.rules):
        b.add(index, rule)
        for selector in beside(rule):
            b.predicate(selector)
    for position, (channel, during) in enumerate(b.sets):
        lowest = min(row[0] for row in b.sets[channel, during])
        b.roles.setdefault(channel, []).append(_Role(lowest, layout.AFTER, -1, -1, position))
    return _freeze(b)


def _freeze(b: Builder) -> Tables:
    words = max(1, math.ceil(len(b.predicates) / 64))
    order = sorted(range(len(b.lanes)), key=lambda i: b.lanes[i].channel)
    lanes, ranks, lane_bits = _lanes(b, order, words)
    place = {old: new for new, old in enumerate(order)}
    grid = geometry.make_grid()
    series, tracks, hears = _series(b)
    sets, set_rules = _sets(b)
    actives = _actives(b)
    channels, roles = _channels(b, lanes, hears, actives)
    arrays = {
        "channels": channels,
        "roles": roles,
        "hears": table(layout.HEARS, [row[1:] for row in hears]),
        "series": series,
        "tracks": tracks,
        "lanes": lanes,
        "lane_bits": lane_bits.reshape(-1),
        "ranks": ranks,
        "searches": _searches(b, place),
        "scans": _scans(b, place),
        "circles": _circles(b),
        "rules": _rules(b),
        "links": table(layout.LINK, b.links),
        "stages": table(layout.STAGE, b.stages),
        "sets": sets,
        "set_rules": set_rules,
        "watches": table(layout.WATCH, b.watches),
        "actives": table(layout.ACTIVE, [row[1:] for row in actives]),
        "unless": table(layout.UNLESS, b.unless),
        "levels": grid.levels,
        "columns": grid.columns,
    }
    found = max((int(r.get("sources", 1)) + int(r.get("events", 1)) for r in b.rules), default=2)
    talk = max((max(int(r.get("sources", 0)) + int(r.get("events", 0)), int(r.get("steps", 1))) for r in b.rules), default=1)
    low, near, rest, load = _extent(b, lanes, ranks, hears, actives)
    return Tables(
        arrays=arrays,
        predicates=tuple(b.predicates),
        talk=max(talk, 2),
        words=words,
        channels=tuple(b.channels),
        declared=tuple(b.declared),
        lists=max(len(b.actives), 1),
        found=max(found, layout.EVIDENCE) + layout.STEPS_MAX,
        widest=max([4, *(int(s["last"] - s["first"]) for s in sets)]),
        hears=tuple(hears),
        watch_of={
            channel: role.detail
            for channel, of in b.roles.items()
            for role in of
            if role.what == layout.HEARD and not b.watches[role.detail][2]
        },
        low=low,
        near=near,
        rest=rest,
        load=load,
    )


def _lanes(b: Builder, order: list[int], words: int) -> tuple[Table, Table, Table]:
    rows = []
    ranks: list[float] = []
    bits = np.zeros((max(len(order), 1), words), np.uint64)
    for at, lane in enumerate(b.lanes[i] for i in order):
        first = len(ranks)
        ranks += sorted(lane.thresholds)
        asks = len(lane.predicates - {-1}) > 0
        rows.append((lane.keep, first, len(ranks), lane.level, lane.coalesce, -1 in lane.predicates, asks, lane.channel, layout.LONG_AGO))
        for predicate in lane.predicates - {-1}:
            bits[at, predicate >> 6] |= np.uint64(1 << (predicate & 63))
    return table(layout.LANE, rows), np.array(ranks or [math.inf]), bits


def _searches(b: Builder, place: dict[int, int]) -> Table:
    rows = []
    for s in b.searches:
        lane = b.lanes[s.lane]
        rank = sorted(lane.thresholds).index(s.threshold)
        limit = geometry.chord_limit(s.radius)
        rows.append((limit, place[s.lane], rank, s.predicate, b.circle(s.radius)))
    return table(layout.SEARCH, rows)


def _scans(b: Builder, place: dict[int, int]) -> Table:
    rows = []
    for s in b.scans:
        rank = sorted(b.lanes[s.lane].thresholds).index(s.threshold)
        rows.append((geometry.chord_limit(s.radius), place[s.lane], rank, b.circle(s.radius), s.span, s.place, -1, 0, 0, 0, 0, 0, 0, 0))
    return table(layout.SCAN, rows)


def _circles(b: Builder) -> Table:
    """The circles of all searches and places."""
    return table(layout.CIRCLE, [(*geometry.search_angle(r), geometry.level_of(r)) for r in b.circles])


def _rules(b: Builder) -> Table:
    names = layout.RULE.names or ()
    return table(layout.RULE, [tuple(row.get(name, 0) for name in names) for row in b.rules])


def _series(b: Builder) -> tuple[Table, Table, list[tuple[int, int, bool]]]:
    """Series and tracks, and per channel which series an event of it belongs to: (channel, series, own)."""
    series, hears = [], []
    tracks: list[tuple[Any, ...]] = []
    for position, ((own, off), rows) in enumerate(b.series.items()):
        first = len(tracks)
        tracks += sorted(rows, key=lambda row: (row[0], row[-1]))
        series.append((own, off, first, len(tracks), tracks[first][0]))
        hears.append((own, position, True))
        if off != own:
            hears.append((off, position, False))
    return table(layout.SERIES, series), table(layout.TRACK, tracks), sorted(hears)


def _sets(b: Builder) -> tuple[Table, Table]:
    sets = []
    rules: list[tuple[float, int, int]] = []
    for (_, during), members in b.sets.items():
        first = len(rules)
        rules += sorted(members)
        sets.append((during, rules[first][0], first, len(rules)))
    return table(layout.DEADLINE_SET, sets), table(layout.DEADLINE_RULE, rules)


def _actives(b: Builder) -> list[tuple[int, float, int, int, int]]:
    """(channel, threshold, valid for, predicate, list), by channel."""
    rows = [(b.channel(of), threshold(of), valid_for, b.predicate(of), position) for (of, valid_for), position in b.actives.items()]
    return sorted(rows)


def _channels(
    b: Builder, lanes: Table, hears: list[tuple[int, int, bool]], actives: list[tuple[int, float, int, int, int]]
) -> tuple[Table, Table]:
    rows = []
    roles: list[tuple[float, int, int, int, int, int]] = []
    of_lane = [int(c) for c in lanes["channel"]] if b.lanes else []
    for c in range(len(b.channels)):
        first = len(roles)
        mine = sorted(b.roles.get(c, []), key=lambda r: (r.threshold, r.rule, r.what, r.detail))
        scanned: set[int] = set()
        roles += [(r.threshold, r.what, r.rule, r.predicate, r.detail, _first_search(b, r, scanned)) for r in mine]
        spans = (_span([h[0] for h in hears], c), _span(of_lane, c), _span([a[0] for a in actives], c))
        rows.append((first, len(roles), *spans[0], *spans[1], *spans[2]))
    return table(layout.CHANNEL, rows), table(layout.ROLE, roles)


def _first_search(b: Builder, role: _Role, scanned: set[int]) -> int:
    """The search that a role begins with, -1 when it makes none, or seldom, or a role before it has made it (`scanned`)."""
    if role.what == layout.CLUSTER:
        scan = int(b.rules[role.rule]["scan"])
        if scan in scanned:
            return -1
        scanned.add(scan)
        return int(b.rules[role.rule]["search"])
    if role.what == layout.STEP:
        first = int(b.rules[role.rule]["step"])
        return b.links[first + role.detail - 1][2] if role.detail > 0 else b.links[first][3]
    return -1


def _span(keys: list[int], key: int) -> tuple[int, int]:
    """Where `key` stands in keys that lie together."""
    n = keys.count(key)
    return (keys.index(key), keys.index(key) + n) if n else (0, 0)


def _extent(
    b: Builder, lanes: Table, ranks: Table, hears: list[tuple[int, int, bool]], actives: list[tuple[int, float, int, int, int]]
) -> tuple[Table, Table, Table, Table]:
    """Per channel: the lowest value that matters, that needs a place, that more than samples wait for; most one event can add."""
    n = max(len(b.channels), 1)
    low, near, load = np.full(n, math.inf), np.full(n, math.inf), np.ones(n, np.int64)

    def extend(channel: int, value: float, place: bool, more: int = 1) -> None:
        low[channel] = min(low[channel], value)
        if place:
            near[channel] = min(near[channel], value)
        load[channel] += more

    for channel, roles in b.roles.items():
        for role in roles:
            extend(channel, role.threshold, role.near)
    for lane in lanes if b.lanes else []:
        extend(lane["channel"], ranks[lane["rank"]], True)
    for channel, value, *_ in actives:
        extend(channel, value, True)
    rest = low.copy()
    for channel, position, _ in hears:
        extend(channel, NO_THRESHOLD, False, 1 + len(list(b.series.values())[position]))
    return low, near, rest, load
