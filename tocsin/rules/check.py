"""What a single key cannot show: rules against one another and against what the feeds produce."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Many
from dataclasses import dataclass, field

from tocsin.kernel.fault import Problem, nearest
from tocsin.model.predicate import And, Compare, covers
from tocsin.model.time import format_span
from tocsin.model.units import canonical

from .compile import selector, value_dimensions
from .condition import Comparison, Condition, Constant, Quantity, comparisons
from .keys import DURING_MAX
from .nodes import Absence, Cluster, Match, Rule, Sequence, Silence, conditions
from .produced import Produced


@dataclass(slots=True)
class Findings:
    """Problems stop the start, warnings do not."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def check_rules(rules: Iterable[Rule], feeds: Many[Produced] | None = None) -> Findings:
    """Everything wrong or doubtful with rules that parse. `feeds`: None when they are not known (a rule file on its own)."""
    findings = Findings()
    first: dict[str, Rule] = {}
    for rule in rules:
        one = _Checker(rule, feeds, findings)
        if rule.name in first:
            other = first[rule.name]
            one.bad("rule", f"a rule {rule.name!r} is already defined at {other.file}:{other.line}; names are unique in a city")
        first.setdefault(rule.name, rule)
        one.check()
    return findings


@dataclass(slots=True)
class _Checker:
    rule: Rule
    feeds: Many[Produced] | None
    findings: Findings

    def bad(self, path: str, message: str) -> None:
        self.findings.problems.append(Problem(self.rule.file, self.rule.line_of(path), f"{path}: {message}"))

    def doubt(self, path: str, message: str) -> None:
        self.findings.warnings.append(Problem(self.rule.file, self.rule.line_of(path), f"{path}: {message}"))

    def check(self) -> None:
        when = self.rule.when
        for path, condition in conditions(self.rule):
            self.condition(path, condition)
        if isinstance(when, Match):
            self.match(when)
        elif isinstance(when, Cluster):
            self.cluster(when)
        elif isinstance(when, Sequence):
            self.sequence(when)
        elif isinstance(when, Silence):
            self.silence(when)
        if isinstance(when, Cluster | Sequence) and self.rule.alert.per is None:
            name = when.NAME
            self.doubt(
                "alert",
                f"every further event that completes the {name} raises another alert; write per, as in per: {{place: 500 m, hold: 30 min}}",
            )

    # ---- operators ----
    def match(self, when: Match) -> None:
        if when.until is None:
            return
        kinds = (when.of.kind, when.until.kind)
        if not (covers(*kinds) or covers(*reversed(kinds))):
            self.bad(
                "when.match.until",
                f"is about {when.until.kind}, but the rule is about {when.of.kind}; both conditions judge the same source's events",
            )
        dimensions = value_dimensions(when.of) + value_dimensions(when.until)
        if len(set(dimensions)) > 1:
            self.bad("when.match.until", f"compares value in {dimensions[-1]}, but of compares it in {dimensions[0]}")

    def cluster(self, when: Cluster) -> None:
        if when.sources == 1 and when.events == 1:
            self.bad("when.cluster", "a cluster of one event is a match; write sources or events of at least 2")
        if 1 < when.events <= when.sources:
            self.doubt("when.cluster.events", f"{when.events} events are implied by {when.sources} sources; leave it out, or ask for more")
        needed = when.min_gap * (when.sources - 1)
        if needed > when.during:
            self.bad("when.cluster.min_gap", self._never(f"{when.sources} sources {format_span(when.min_gap)} apart", needed, when.during))

    def sequence(self, when: Sequence) -> None:
        for index, step in enumerate(when.then, 1):
            if step.min_gap > step.during:
                self.bad(f"when.sequence.then[{index}].min_gap", self._never("this step", step.min_gap, step.during))
        whole = sum(step.during for step in when.then)
        if whole > DURING_MAX:
            self.bad("when.sequence.then", f"the steps together may last {format_span(whole)}; at most {format_span(DURING_MAX)}")

    def _never(self, what: str, needed: int, during: int) -> str:
        return f"can never fire: {what} need {format_span(needed)}, but during is {format_span(during)}".replace(
            "this step need ", "this step needs "
        )

    def silence(self, when: Silence) -> None:
        if when.by != "feed":
            return
        if self.rule.unless:
            self.doubt("unless", "an alert about a silent feed has no place, so this never applies; use by: source")
        if self.feeds is not None:
            names = [feed.feed for feed in self.feeds]
            for name in when.declared:
                if name not in names:
                    self.bad("when.silence.declared", f"there is no feed {name!r}; {nearest(name, names)}")

    # ---- conditions ----
    def condition(self, path: str, condition: Condition) -> None:
        dimensions = value_dimensions(condition)
        if len(dimensions) > 1:
            self.bad(path, f"value is compared both in {' and in '.join(dimensions)}; no value has two units")
            return
        chosen = selector(condition)
        rest = chosen.where.terms if isinstance(chosen.where, And) else (chosen.where,)
        highs = [term.constant for term in rest if isinstance(term, Compare) and term.field == "value" and term.op in ("<", "<=")]
        if chosen.at_least is not None and any(isinstance(high, float) and high < chosen.at_least for high in highs):
            self.bad(path, "can never hold: no value is that large and that small at once; use 'or', or swap the two numbers")
        if self.feeds is None:
            return
        makers = [feed for feed in self.feeds if feed.kinds is None or any(covers(condition.kind, kind) for kind in feed.kinds)]
        if not makers:
            known = sorted({kind for feed in self.feeds for kind in feed.kinds or ()})
            self.doubt(path, f"no feed produces {condition.kind!r}; {nearest(condition.kind, known)}")
            return
        if dimensions:
            self.units(path, condition, dimensions[0], makers)
        self.fields(path, condition.kind, makers)
        for test in comparisons(condition.where):
            self.test(path, test, condition, makers)

    def fields(self, path: str, kind: str, makers: Many[Produced]) -> None:
        """Events without what the operator goes by: sources to tell apart, places to be near to."""
        when = self.rule.when
        whose = ", ".join(feed.feed for feed in makers)
        nameless = all(feed.lacks("source") for feed in makers)
        if nameless and isinstance(when, Cluster) and when.sources > 1 and path == "when.cluster.of":
            self.bad(
                path,
                f"{kind} names no source (feed {whose}), so there are never {when.sources} different ones; map source, or count events",
            )
        if nameless and isinstance(when, Silence) and when.by == "source":
            self.doubt(path, f"{kind} names no source (feed {whose}), so all of it is one source; map source, or write by: feed")
        near = isinstance(when, Cluster | Sequence | Absence) or path.startswith("unless")
        if near and all(feed.lacks("lon") or feed.lacks("lat") for feed in makers):
            self.bad(path, f"{kind} has no coordinates (feed {whose}), so it is never near anything; map lon and lat")

    def units(self, path: str, condition: Condition, dimension: str, makers: Many[Produced]) -> None:
        """A comparison no event can pass: the kind is measured in something else, or not at all."""
        if any(feed.units is None or feed.kinds is None for feed in makers):
            return
        units = {unit: feed.feed for feed in makers for unit in feed.units or ()}
        ways = {unit: way for unit in units if (way := canonical(unit)) is not None}
        if not ways:
            names = ", ".join(feed.feed for feed in makers)
            self.bad(path, f"value is compared, but {condition.kind} has none: no value is mapped by its feed {names}")
        elif all(way.dimension != dimension for way in ways.values()):
            written = next(str(one.unit) for one in _quantities(condition)) or "1"
            unit = min(ways)
            measured = f"{unit} ({ways[unit].dimension}) by the feed {units[unit]}"
            hint = f"write for example value >= 20 {unit}"
            self.bad(path, f"value is compared in {written} ({dimension}), but {condition.kind} is measured in {measured}; {hint}")

    def test(self, path: str, test: Comparison, condition: Condition, makers: Many[Produced]) -> None:
        if test.field == "feed":
            names = [feed.feed for feed in self.feeds or ()]
            for name in test.constants:
                if isinstance(name, str) and name not in names:
                    self.doubt(path, f"there is no feed {name!r}; {nearest(name, names)}")
        elif test.field.startswith("attrs.") and all(feed.kinds is not None for feed in makers):
            self.attribute(path, test, condition.kind, makers)

    def attribute(self, path: str, test: Comparison, kind: str, makers: Many[Produced]) -> None:
        attribute = test.field.removeprefix("attrs.")
        types = {feed.attrs[attribute] for feed in makers if attribute in feed.attrs}
        if not types:
            known = sorted({name for feed in makers for name in feed.attrs})
            whose = ", ".join(feed.feed for feed in makers)
            self.bad(path, f"{kind} has no attribute {attribute!r} (feed {whose}); {nearest(attribute, known) if known else 'it has none'}")
        elif test.constants and not any(_fits(type_, test.constants[0]) for type_ in types):
            type_ = min(types)
            article = "an" if type_ == "integer" else "a"
            valid = {
                "string": 'text, as in == "A"',
                "boolean": "true or false",
                "time": "nothing: in this version a time only exists or not",
            }
            self.bad(path, f"{test.field} is {article} {type_}; compare it with {valid.get(type_, 'a number, as in >= 5')}")


def _quantities(condition: Condition) -> Iterable[Quantity]:
    return (one for test in comparisons(condition.where) if test.field == "value" for one in test.constants if isinstance(one, Quantity))


def _fits(type_: str, constant: Constant) -> bool:
    if isinstance(constant, bool):
        return type_ == "boolean"
    return type_ in ("number", "integer") if isinstance(constant, Quantity) else type_ == "string" and isinstance(constant, str)
