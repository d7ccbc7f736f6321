"""Alert parts in words: why an alert closed, why it is shown under another one, what made it worse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from tocsin.model.alert import Evidence
from tocsin.model.plan import RulePlan
from tocsin.model.time import SECOND, format_span, to_iso

from .groups import AFTER, BELOW


class Decided(Protocol):
    """The part of a telling that this looks at."""

    @property
    def rule(self) -> RulePlan: ...
    @property
    def closed(self) -> int: ...
    @property
    def way(self) -> int: ...
    @property
    def folded(self) -> str: ...
    @property
    def over(self) -> int: ...
    @property
    def steps(self) -> int: ...


def besides(told: Decided, closer: Evidence | None) -> Iterator[str]:
    """Sentences, none for an alert without such parts. `closer`: the event that closed it."""
    alert = told.rule.alert
    for i, step in enumerate(alert.severity_rule.steps if alert.severity_rule is not None else ()):
        if step.active is not None and told.steps >> i & 1:
            yield f"{step.active.of.text or step.active.of.kind} is active near it: {step.severity.name.lower()}"
    if told.folded == "fold":
        yield "shown under the outage of its area" if alert.fold is None else f"shown under an alert of {alert.fold.under}"
    if told.over and alert.budget is not None:
        what = {"fold": "shown under the newest within it", "minor": "so it is minor", "tell": "told all the same"}[alert.budget.above]
        number = "the first" if told.over == 1 else f"number {told.over}"
        yield f"{number} beyond the budget of {alert.budget.alerts} alerts in {format_span(alert.budget.per)}: {what}"
    if told.closed >= 0:
        yield f"closed by itself at {to_iso(told.closed // SECOND * SECOND)}: {_closed(told, closer)}"


def _closed(told: Decided, closer: Evidence | None) -> str:
    resolve = told.rule.alert.resolve
    if resolve is not None and told.way == AFTER:
        return f"no further match for {format_span(resolve.after)}"
    if resolve is not None and told.way == BELOW:
        return f"it has not held for {format_span(resolve.below_for)}" if resolve.below_for else "it no longer holds"
    if closer is None:
        return "what closes it has happened"
    return f"{closer.kind} of {closer.source or closer.feed}"
