"""How often a kind is expected (`expected_every` of its feeds) against the spans of an operator: what would ring all the time, or never."""

from __future__ import annotations

from tocsin.model.plan import Accumulate, Change, Match, Operator, Silence, ZoneEvent
from tocsin.model.time import format_span

from .findings import Looked


def check_pace(one: Looked, when: Operator) -> None:
    """Warnings only: a feed may be quicker than it promises."""
    if isinstance(when, Silence):
        every = _expected(one, when.of.kind)
        if every and when.during <= every:
            words = f"{when.of.kind} is expected every {format_span(every)}, so it rings between any two of them; write for example {format_span(3 * every)}"
            one.doubt("when.silence.during", words)
    elif isinstance(when, Change):
        every = _expected(one, when.of.kind)
        needed = every * (when.samples - 1)
        if needed > when.during:
            words = (
                f"{when.samples} samples every {format_span(every)} take {format_span(needed)}, but during is {format_span(when.during)}"
            )
            one.doubt("when.change.samples", words)
    elif isinstance(when, Accumulate):
        _accumulate(one, when)
    elif isinstance(when, Match | ZoneEvent) and when.lasting and when.max_gap:
        every = _expected(one, when.of.kind)
        if every > when.max_gap:
            words = f"{when.of.kind} is expected every {format_span(every)}, so every gap is longer than this; write for example {format_span(2 * every)}"
            one.doubt(f"when.{one.rule.operator}.max_gap", words)


def _accumulate(one: Looked, when: Accumulate) -> None:
    """Samples that speak for less time than lies between them never fill the span."""
    every = _expected(one, when.of.kind)
    if when.integral is not None or when.hold >= every:
        return
    most = when.during // every * when.hold
    if most < when.total:
        words = f"a sample every {format_span(every)} that speaks for {format_span(when.hold)} gives {format_span(most)} in {format_span(when.during)} at most"
        one.doubt(
            "when.accumulate.hold", f"{words}, but total is {format_span(when.total)}; write for example hold: {format_span(2 * every)}"
        )


def _expected(one: Looked, kind: str) -> int:
    """The shortest interval at which the feeds of a kind speak, µs; 0 where one of them does not say."""
    makers = [feed for feed in one.feeds or () if feed.makes(kind)]
    found = [feed.expected for feed in makers if feed.expected]
    return min(found) if found and len(found) == len(makers) else 0
