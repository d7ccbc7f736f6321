"""A rule as read from a file: the plan's nodes, the conditions as written, and the line of every key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tocsin.kernel.shape import Chosen
from tocsin.model.links import Zones
from tocsin.model.plan import Alerts, AlertsNear, AlertSpec, Guard, Operator

from .condition import Condition, Quantity

#: Kinds of other rules' alerts, as conditions name them.
ALERT_KIND: Final = "alert"


@dataclass(frozen=True, slots=True)
class Rule:
    """One document of a rules file. `operator`: its name in the language. `conditions`: path of a key (`when.cluster.of`) -> what
    stands there; `amounts`, `zones`: the same for numbers with units and for layers. `lines`: dotted path of every key -> line, for messages. `source`: where the rule comes from."""

    name: str
    title: str
    why: str
    operator: str
    when: Operator
    alert: AlertSpec
    unless: tuple[Guard, ...] = ()
    only: tuple[Guard, ...] = ()
    source: str = ""
    file: str = ""
    line: int = 0
    text: str = ""
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    amounts: Mapping[str, Quantity] = field(default_factory=dict)
    zones: Mapping[str, Zones] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)

    def line_of(self, path: str) -> int:
        """The line of a key, or of the nearest table around it that was written."""
        while path and path not in self.lines:
            path = path.rpartition(".")[0]
        return self.lines.get(path, self.line)


def written_in(kinds: tuple[type, ...], value: Any, lines: Mapping[str, int]) -> list[tuple[str, Any]]:
    """Every value of these kinds among those that were read, with the path of its key, in order."""
    found: list[tuple[str, Any]] = []
    _gather(kinds, value, "", lines, found)
    return found


def _gather(kinds: tuple[type, ...], value: Any, path: str, lines: Mapping[str, int], found: list[tuple[str, Any]]) -> None:
    if isinstance(value, kinds):
        found.append((path, value))
    elif isinstance(value, Chosen):
        _gather(kinds, value.values, f"{path}.{value.name}", lines, found)
    elif isinstance(value, dict):
        for key, inner in value.items():
            _gather(kinds, inner, f"{path}.{key}" if path else key, lines, found)
    elif isinstance(value, tuple):
        for index, inner in enumerate(value, 1):
            numbered = f"{path}[{index}]"
            _gather(kinds, inner, numbered if numbered in lines else path, lines, found)


def alerts_read(rule: Rule) -> tuple[str, ...]:
    """Names of the rules whose alerts it looks at, sorted."""
    found = {name for one in (rule.when, *rule.unless, *rule.only) if isinstance(one, Alerts | AlertsNear) for name in one.rules}
    kinds = (condition.kind.split(".") for condition in rule.conditions.values())
    return tuple(sorted(found | {parts[1] for parts in kinds if parts[0] == ALERT_KIND and len(parts) > 1}))
