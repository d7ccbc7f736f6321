"""What may happen to an alert, and what state follows: pure functions over what the journal says.

The engine's word (raised, amended, retracted) and the operators' moves are both in the ALERTS stream; the state is what follows from
reading them in order. A move that was no longer possible when the journal took it changes nothing: whoever was first, was first.
"""

from __future__ import annotations

from typing import NamedTuple

from tocsin.model.alert import TRANSITIONS

ENGINE = "engine"
RULE = "rule"
RETRACTED = "retracted"


def allowed(state: str, to: str) -> bool:
    """Whether an operator may move an alert from `state` to `to`."""
    return to in TRANSITIONS.get(state, ())


class Word(NamedTuple):
    """What the engine says of an alert: `status`, and whether it has closed by its own rule."""

    status: str
    closed: bool = False


def after_engine(state: str | None, by_rule: bool, before: Word | None, now: Word) -> str:
    """The state after a revision of the engine. `state`, `before` None: the alert is new. `by_rule`: it was the rule that resolved it, and
    nobody has moved it since.

    A retraction shows unless people have closed the alert already. An alert that holds again after a retraction is open
    again, also when somebody had cleared the retracted one from the queue: nobody has looked at what it says now. An alert that its rule
    closes is resolved; when it turns out not to be over, it is open again unless people have resolved it themselves.
    """
    if now.status == RETRACTED:
        return "resolved" if state == "resolved" and not by_rule else RETRACTED
    if state is None or before is None or before.status == RETRACTED:
        return "resolved" if now.closed else "open"
    if now.closed and not before.closed:
        return "resolved"
    if before.closed and not now.closed and by_rule:
        return "open"
    return state


def owner_after(owner: str | None, to: str, by: str, named: str | None) -> str | None:
    """Whoever acknowledges owns the alert unless another is named; opening it again gives it back."""
    if named is not None:
        return named or None
    if to == "open":
        return None
    return owner or by
