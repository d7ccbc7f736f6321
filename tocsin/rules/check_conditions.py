"""Conditions: can they hold, and do the feeds give what they ask for?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Sequence as Many
from typing import Final

from tocsin.kernel.fault import nearest
from tocsin.model.plan import Cluster, Silence
from tocsin.model.units import canonical

from .condition import SEVERITIES, All, Comparison, Condition, Constant, Negation, Quantity, Where, comparisons
from .findings import Looked
from .nodes import ALERT_KIND
from .produced import Produced
from .satisfy import never
from .selectors import predicate, value_dimensions

#: Operators whose events must have a place, whatever else they ask for.
PLACED: Final = ("cluster", "zone", "inside")


def check_condition(one: Looked, path: str, condition: Condition) -> None:
    """One condition of a rule."""
    dimensions = value_dimensions(condition)
    if len(dimensions) > 1:
        one.bad(path, f"value is compared both in {' and in '.join(dimensions)}; no value has two units")
        return
    if condition.where is not None and never(predicate(condition.where)):
        one.refuse(path, _never(condition))
    if condition.kind.split(".")[0] == ALERT_KIND:
        _check_alert(one, path, condition)
        return
    if one.feeds is None:
        return
    makers = [feed for feed in one.feeds if feed.makes(condition.kind)]
    if not makers:
        known = sorted({kind for feed in one.feeds for kind in feed.kinds or ()})
        always = ", so every deadline passes" if path == "when.absence.expect" else ""
        one.doubt(path, f"no feed produces {condition.kind!r}{always}; {nearest(condition.kind, known)}")
        return
    if dimensions:
        written = next(str(found.unit) for found in _quantities(condition)) or "1"
        check_units(one, path, condition.kind, dimensions[0], written, makers)
    _check_fields(one, path, condition.kind, makers)
    for test in comparisons(condition.where):
        _check_test(one, path, test, condition, makers)


def _never(condition: Condition) -> str:
    """What is wrong with a condition that no event passes."""
    tests = comparisons(condition.where)
    if len(tests) == 1 and tests[0].field == "severity":
        return f"can never hold: no severity is like this; from the least, they are {', '.join(SEVERITIES)}"
    return "can never hold: it asks things of one field that exclude one another; use 'or', or change one of them"


def implied(of: Condition, by: Condition) -> bool:
    """Whether whatever passes `of` passes `by`, kinds aside."""
    if by.where is None:
        return True
    beyond: Where = Negation(by.where)
    return never(predicate(beyond if of.where is None else All((of.where, beyond))))


def _check_alert(one: Looked, path: str, condition: Condition) -> None:
    """A condition about the alerts of another rule: which, and what can be known of them."""
    if condition.kind == ALERT_KIND:
        one.bad(path, "says alert, but not of which rule; write alert.<rule>, as in alert.gauge-rising")
    if any(test.field == "severity" for test in comparisons(condition.where)):
        one.bad(
            path,
            "asks for the severity of an alert, which grows with its evidence; ask for its value, text or attrs, or name a stricter rule",
        )


def _check_fields(one: Looked, path: str, kind: str, makers: Many[Produced]) -> None:
    """Events without what the operator goes by: sources to tell apart, places to be near to, areas to be in."""
    when = one.rule.when
    whose = ", ".join(feed.feed for feed in makers)
    if all(feed.lacks("source") for feed in makers):
        if isinstance(when, Cluster) and when.sources > 1 and when.distinct == "source" and path == "when.cluster.of":
            one.bad(
                path,
                f"{kind} names no source (feed {whose}), so there are never {when.sources} different ones; map source, or count events",
            )
        if isinstance(when, Silence) and when.by == "source":
            one.doubt(path, f"{kind} names no source (feed {whose}), so all of it is one source; map source, or write by: feed")
    if _needs_place(one, path) and all(feed.lacks("lon") or feed.lacks("lat") for feed in makers):
        one.bad(path, f"{kind} has no coordinates (feed {whose}), so it is never near anything; map lon and lat")
    if path.endswith("inside.area") and all(feed.lacks("area") for feed in makers):
        one.bad(path, f"{kind} has no area (feed {whose}), so nothing is ever inside it; map area, or write around")


def _needs_place(one: Looked, path: str) -> bool:
    """Whether the events of a condition must lie somewhere: a distance is asked for beside it, or the operator is about places."""
    table = path.rpartition(".")[0]
    if path.endswith("inside.area"):
        return False
    if f"{table}.within" in one.rule.lines or path.startswith(tuple(f"when.{name}.of" for name in PLACED)):
        return True
    steps = [near for near in one.rule.lines if near.startswith("when.sequence.then") and near.endswith(".within")]
    return path == "when.sequence.first" and bool(steps)


def check_units(
    one: Looked, path: str, kind: str, dimension: str, written: str, makers: Many[Produced], amount: str = "",
    say: Callable[[str, str], None] | None = None,
) -> None:  # fmt: skip
    """A comparison no event can pass: the kind is measured in something else, or not at all. `amount`: how a number with a unit is written that is not
    compared with the value as it is, with `{unit}` for the unit. `say`: how a problem is told, if not by `one.bad`."""
    say = say or one.bad
    if any(feed.units is None or feed.kinds is None for feed in makers):
        return
    units = {unit: feed.feed for feed in makers for unit in feed.units or ()}
    ways = {unit: way for unit in units if (way := canonical(unit)) is not None}
    if not ways:
        names = ", ".join(feed.feed for feed in makers)
        say(path, f"value is compared, but {kind} has none: no value is mapped by its feed {names}")
    elif all(way.dimension != dimension for way in ways.values()):
        unit = min(ways)
        measured = f"{unit} ({ways[unit].dimension}) by the feed {units[unit]}"
        asked = f"{written} belongs to a value of {dimension}" if amount else f"value is compared in {written} ({dimension})"
        own = "K" if ways[unit].offset and amount.startswith(("slope", "integral")) else unit  # a rate of degrees has no zero point
        hint = (amount or "value >= 20 {unit}").replace("{unit}", own)
        say(path, f"{asked}, but {kind} is measured in {measured}; write for example {hint}")


def _check_test(one: Looked, path: str, test: Comparison, condition: Condition, makers: Many[Produced]) -> None:
    if test.field == "feed":
        names = [feed.feed for feed in one.feeds or ()]
        for name in test.constants:
            if isinstance(name, str) and name not in names:
                one.doubt(path, f"there is no feed {name!r}; {nearest(name, names)}")
    elif test.field.startswith("attrs.") and all(feed.kinds is not None for feed in makers):
        _check_attribute(one, path, test, condition.kind, makers)


def _check_attribute(one: Looked, path: str, test: Comparison, kind: str, makers: Many[Produced]) -> None:
    attribute = test.field.removeprefix("attrs.")
    types = {feed.attrs[attribute] for feed in makers if attribute in feed.attrs}
    if not types:
        known = sorted({name for feed in makers for name in feed.attrs})
        whose = ", ".join(feed.feed for feed in makers)
        one.bad(path, f"{kind} has no attribute {attribute!r} (feed {whose}); {nearest(attribute, known) if known else 'it has none'}")
    elif test.constants and not any(_fits(type_, test.constants[0]) for type_ in types):
        type_ = min(types)
        article = "an" if type_ == "integer" else "a"
        valid = {
            "string": 'text, as in == "A"',
            "boolean": "true or false",
            "time": "nothing: in this version a time only exists or not",
        }
        one.bad(path, f"{test.field} is {article} {type_}; compare it with {valid.get(type_, 'a number, as in >= 5')}")


def _quantities(condition: Condition) -> Iterable[Quantity]:
    return (one for test in comparisons(condition.where) if test.field == "value" for one in test.constants if isinstance(one, Quantity))


def _fits(type_: str, constant: Constant) -> bool:
    if isinstance(constant, bool):
        return type_ == "boolean"
    return type_ in ("number", "integer") if isinstance(constant, Quantity) else type_ == "string" and isinstance(constant, str)
