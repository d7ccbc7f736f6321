"""What the language has and this version's engine does not run yet. One list: a line goes when the engine has learnt it.

`tocsin check` refuses a rule that uses any of it; a node never starts with a rule that it would run otherwise than written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from .nodes import ALERT_KIND, Rule
from .operator_keys import OPERATORS

#: Keys by their path, numbers of list items left out.
NOT_YET: Final = frozenset(
    {
        "kind alert",  # conditions about other rules' alerts, `alert.<rule>`, in the alert part
    }
)


def not_yet(rule: Rule, missing: frozenset[str] = NOT_YET) -> Iterator[tuple[str, str]]:
    """Path and message of everything in a rule that the engine does not run yet."""
    for path in rule.lines:
        plain = re.sub(r"\[\d+\]", "", path)
        if plain in missing:
            yield path, _message(plain, missing)
    if "kind alert" in missing:
        for path, condition in rule.conditions.items():
            if condition.kind.split(".")[0] == ALERT_KIND and path.startswith("alert."):
                yield path, "conditions about alerts are not supported here yet; write them under when, while or unless"


def _message(path: str, missing: frozenset[str]) -> str:
    head, _, name = path.rpartition(".")
    if head == "when":
        known = ", ".join(sorted(name for name in OPERATORS if f"when.{name}" not in missing))
        return f"operator {name!r} is not supported yet; this version has: {known}"
    return "is not supported yet; leave it out"
