"""Fields that link events: do the feeds fill them, and can they agree at all? A field that nobody fills agrees with nothing."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as Many
from typing import Final, NamedTuple

from tocsin.kernel.fault import nearest
from tocsin.model.plan import Absence, Accumulate, Active, Area, Change, Cluster, Inside, Rate, Sector, Sequence, Timer, Within
from tocsin.model.units import resolve

from .check_conditions import check_units
from .findings import Looked
from .nodes import ALERT_KIND
from .produced import Produced

#: Conditions an event of which can be the anchor of a match.
_ANCHORS: Final = (
    "when.match.of", "when.cluster.of", "when.sequence.first", "when.sequence.then", "when.absence.after", "when.silence.of", "when.change.of",
    "when.rate.of", "when.accumulate.of", "when.inside.of", "when.zone.of", "when.timer.since",
)  # fmt: skip
#: Keys of `inside` that say what its areas are made of.
_AREAS: Final = ("area", "around.of", "sector.of")
#: What lies in a feed and nowhere else: events of two feeds never agree in it (SEMANTICS 8).
_SCOPED: Final = ("source", "feed")


class _Link(NamedTuple):
    """Fields at a key, and the conditions whose events need them: of every group one at least. `so`: what comes of one that nobody fills.
    `agree`: all groups must be equal in it."""

    path: str
    fields: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    so: str = "no events agree in it"
    agree: bool = False


def check_links(one: Looked) -> None:
    """Every field that a rule links events by."""
    if one.feeds is None:
        return
    for link in (*_of_operator(one), *_of_guards(one), *_of_alert(one)):
        for field in dict.fromkeys(link.fields):
            lacking = [_lacking(one, group, field, link.so) for group in link.groups]
            for words in dict.fromkeys(filter(None, lacking)):
                one.refuse(link.path, words)
            if link.path.endswith(".bearing") and not any(lacking):
                _check_bearing(one, link.path, field, link.groups[0])
            if link.agree and field in _SCOPED and not any(lacking) and _apart(one, link.groups):
                kinds = " and ".join(dict.fromkeys(_kinds(one, group) for group in link.groups))
                own = "a source belongs to its feed" if field == "source" else "no event is of two"
                one.refuse(
                    link.path, f"{kinds} never agree in {field}: they come from different feeds, and {own}; write attrs.<name>, or within"
                )


def _check_bearing(one: Looked, path: str, field: str, group: Many[str]) -> None:
    types = {feed.attrs.get(field.removeprefix("attrs.")) for of in group for feed in _makers(one, of)} - {None}
    if types and not types & {"number", "integer"}:
        one.refuse(path, f"{field} is a {min(filter(None, types))}; a bearing is a number of degrees")


def _of_operator(one: Looked) -> Iterator[_Link]:
    name, when = one.rule.operator, one.rule.when
    table = f"when.{name}"
    own = tuple((path,) for path in one.rule.conditions if path.startswith(f"{table}."))
    if isinstance(when, Inside):
        yield from _of_bearing(one, f"{table}.sector", when.area)
        own = ((f"{table}.of",), *((f"{table}.{key}",) for key in _AREAS if f"{table}.{key}" in one.rule.conditions))
    if isinstance(when, Cluster | Sequence | Absence | Inside):
        yield _Link(f"{table}.same", when.same, own, agree=True)
    if isinstance(when, Sequence | Inside):
        yield _Link(f"{table}.differs", when.differs, own, "it never keeps anything apart")
    if isinstance(when, Cluster | Rate) and one.wrote(f"{table}.distinct"):
        yield _Link(f"{table}.distinct", (when.distinct,), own, "there is nothing to tell apart")
    if isinstance(when, Change | Rate | Accumulate | Timer):
        yield _Link(f"{table}.each", when.key.fields, own, "nothing has a history")


def _of_guards(one: Looked) -> Iterator[_Link]:
    for where, guards in (("while", one.rule.only), ("unless", one.rule.unless)):
        for index, guard in enumerate(guards, 1):
            table = f"{where}[{index}]" if one.wrote(f"{where}[{index}]") else where
            if isinstance(guard, Active):
                yield _Link(f"{table}.active.same", guard.same, (_anchors(one), (f"{table}.active.of",)), agree=True)
            elif isinstance(guard, Within):
                yield from _of_bearing(one, f"{table}.inside.sector", guard.area)


def _of_alert(one: Looked) -> Iterator[_Link]:
    alert, anchors = one.rule.alert, _anchors(one)
    if alert.per is not None:
        yield _Link("alert.per.same", alert.per.same, (anchors,), "no match joins another")
    if alert.dedup is not None:
        yield _Link("alert.dedup.by", alert.dedup.by, (anchors,), "no match joins another")
    if alert.resolve is not None and alert.resolve.until is not None:
        yield _Link("alert.resolve.same", alert.resolve.same, (anchors, ("alert.resolve.until",)), agree=True)
    for index, step in enumerate(alert.severity_rule.steps if alert.severity_rule else (), 1):
        if step.active is not None:
            path = f"alert.severity.steps[{index}].active"
            yield _Link(f"{path}.same", step.active.same, (anchors, (f"{path}.of",)), agree=True)


def _of_bearing(one: Looked, sector: str, area: Area) -> Iterator[_Link]:
    """A value as a bearing must be an angle."""
    if not isinstance(area, Sector) or not area.bearing:
        return
    table = sector if area.wind is None else f"{sector}.downwind"
    if area.bearing == "value":
        kind, makers = one.rule.conditions[f"{table}.of"].kind, _makers(one, f"{table}.of")
        if makers:
            check_units(one, f"{table}.bearing", kind, resolve("deg").dimension, "deg", makers, "bearing: attrs.azimuth", one.refuse)
    else:
        yield _Link(f"{table}.bearing", (area.bearing,), ((f"{table}.of",),), "it looks nowhere")


def _anchors(one: Looked) -> tuple[str, ...]:
    return tuple(path for path in one.rule.conditions if path.startswith(_ANCHORS))


def _makers(one: Looked, path: str) -> list[Produced]:
    """Feeds of the kind of a condition; none where that is not known: alerts of other rules, kinds that nobody declares."""
    kind = one.rule.conditions[path].kind
    if kind.split(".")[0] == ALERT_KIND:
        return []
    return [feed for feed in one.feeds or () if feed.makes(kind)]


def _lacking(one: Looked, group: Many[str], field: str, so: str) -> str:
    """What to say when no event of any of these conditions has the field; nothing when one may have it."""
    each = [_makers(one, path) for path in group]
    makers = {feed.feed: feed for found in each for feed in found}
    if not makers or not all(each) or not all(_without(feed, field) for feed in makers.values()):
        return ""
    what, whose, name = f"{_kinds(one, group)} has no", ", ".join(makers), field.removeprefix("attrs.")
    if name == field:
        return f"{what} {field} (feed {whose}), so {so}; map {field}, or take it out"
    known = sorted({attribute for feed in makers.values() for attribute in feed.attrs})
    return f"{what} attribute {name!r} (feed {whose}), so {so}; {nearest(name, known) if known else 'it has none'}"


def _without(feed: Produced, field: str) -> bool:
    if field.startswith("attrs."):
        return feed.kinds is not None and field.removeprefix("attrs.") not in feed.attrs
    return field not in ("feed", "id") and feed.lacks(field)


def _kinds(one: Looked, group: Many[str]) -> str:
    return " or ".join(dict.fromkeys(one.rule.conditions[path].kind for path in group))


def _apart(one: Looked, groups: Many[Many[str]]) -> bool:
    """Whether two of the groups have no feed in common, so that their events cannot agree in what belongs to a feed."""
    feeds = [{feed.feed for path in group for feed in _makers(one, path)} for group in groups]
    return all(feeds) and any(not left & right for left in feeds for right in feeds)
