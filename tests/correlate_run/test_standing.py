"""What is in force for long is remembered for late facts: until when, of which kinds, and not without a bound."""

from __future__ import annotations

import msgspec

from tocsin.correlate.reconcile.standing import Lasting, Standing
from tocsin.model.time import DAY, HOUR


def some(*facts: tuple[int, int, int, str], most: int = 10) -> Standing:
    """(seq, from, to, kind), in hours."""
    made = Standing(most)
    for seq, time, until, kind in facts:
        made.add(seq, Lasting(time * HOUR, until * HOUR, kind))
    return made


def test_what_began_before_and_was_in_force_is_found_by_kind() -> None:
    known = some((1, 0, 9, "ops.permit.burn"), (2, 0, 5, "ops.permit"), (3, 7, 9, "ops.permit"), (4, 0, 9, "weather"))
    assert known.over(6 * HOUR, 7 * HOUR, ["ops.permit"]) == [1]
    assert known.over(5 * HOUR, 7 * HOUR, ["ops.permit", "weather"]) == [1, 2, 4]


def test_what_was_taken_back_was_in_force_until_that_was_learnt() -> None:
    known = some((1, 0, 9, "ops"), (2, 0, 9, "ops"))
    known.end([1, 7], 4 * HOUR)
    known.end([1], 6 * HOUR)
    assert known.over(5 * HOUR, 6 * HOUR, ["ops"]) == [2]


def test_it_is_forgotten_a_day_after_its_end_and_survives_a_snapshot() -> None:
    known, again = some((1, 0, 1, "ops"), (2, 0, 9, "ops")), Standing()
    known.prune(DAY + HOUR)
    again.restore(msgspec.json.decode(msgspec.json.encode(known.snapshot())))
    assert (len(again), again.over(0, HOUR, ["ops"])) == (1, [2])


def test_with_more_than_there_is_room_for_what_ends_first_is_forgotten_and_counted() -> None:
    known = some((1, 0, 9, "ops"), (2, 0, 5, "ops"), (3, 0, 7, "ops"), most=2)
    assert (known.over(0, HOUR, ["ops"]), known.forgotten) == ([1, 3], 1)
