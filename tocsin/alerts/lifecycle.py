"""What may happen to an alert, and what state follows: pure functions over what the journal says.

The engine's word (raised, amended, retracted) and the operators' moves are both in the ALERTS stream; the state is what follows from
reading them in order. A move that was no longer possible when the journal took it changes nothing: whoever was first, was first.
"""

from __future__ import annotations

from tocsin.model.alert import TRANSITIONS

ENGINE = "engine"
RETRACTED = "retracted"


def allowed(state: str, to: str) -> bool:
    """Whether an operator may move an alert from `state` to `to`."""
    return to in TRANSITIONS.get(state, ())


def after_engine(state: str | None, status_before: str | None, status: str) -> str:
    """The state after a revision of the engine. `state`, `status_before` None: the alert is new.

    A retraction shows unless people have closed the alert already. An alert that holds again after a retraction is open
    again, also when somebody had cleared the retracted one from the queue: nobody has looked at what it says now.
    """
    if status == RETRACTED:
        return "resolved" if state == "resolved" else RETRACTED
    if state is None or status_before == RETRACTED:
        return "open"
    return state


def owner_after(owner: str | None, to: str, by: str, named: str | None) -> str | None:
    """Whoever acknowledges owns the alert unless another is named; opening it again gives it back."""
    if named is not None:
        return named or None
    if to == "open":
        return None
    return owner or by
