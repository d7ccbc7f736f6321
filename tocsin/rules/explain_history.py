"""In plain words: the operators that keep a history of samples, areas, or other rules' alerts."""

from __future__ import annotations

from collections.abc import Mapping

from tocsin.model import plan
from tocsin.model.length import format_length
from tocsin.model.time import format_span

from .wording import agree, area, each, events, near, zone


def history(when: plan.Operator, amounts: Mapping[str, str]) -> str:
    """The half-sentence of such an operator. `amounts`: numbers with units as written, by key."""
    if isinstance(when, plan.Change):
        return _change(when, amounts)
    if isinstance(when, plan.Rate):
        return _rate(when, amounts)
    if isinstance(when, plan.Accumulate):
        return _accumulate(when, amounts)
    if isinstance(when, plan.Inside):
        return _inside(when)
    if isinstance(when, plan.ZoneEvent):
        return _zone(when)
    if isinstance(when, plan.Timer):
        return _timer(when)
    assert isinstance(when, plan.Alerts)
    return _alerts(when)


def _change(when: plan.Change, amounts: Mapping[str, str]) -> str:
    way = {"rise": "rises", "fall": "falls", "either": "rises or falls"}[when.direction]
    much = f"by {amounts.get('by', '')} or more" if when.by is not None else f"at {amounts.get('slope', '')} or more"
    return f"when the value of {events(when.of)} {way} {much} within {format_span(when.during)} (at least {when.samples} samples), for {each(when.key)}"


def _rate(when: plan.Rate, amounts: Mapping[str, str]) -> str:
    what = {
        "count": f"the number of {events(when.of)}",
        "sources": f"the number of different {_told_by(when)} of {events(when.of)}",
        "sum": f"the sum of {events(when.of)}",
        "mean": f"the mean of {events(when.of)}",
    }[when.measure]
    number = amounts.get("above", "")
    limit = f"exceeds {number}"
    if when.baseline is not None:
        one = when.baseline
        limit = f"exceeds the mean of this hour of the week by {one.sigmas:g} standard deviations ({number} while less than {one.weeks} weeks are known)"
    least = (
        f" and is about at least {when.least:g} {'different ' + _told_by(when) if when.measure == 'sources' else 'events'}"
        if when.least
        else ""
    )
    row = f" in {when.windows} windows one after another" if when.windows > 1 else ""
    return f"when {what} in {format_span(when.during)} {limit}{least}{row}, for {each(when.key)}"


def _told_by(when: plan.Rate) -> str:
    return "sources" if when.distinct == "source" else when.distinct


def _accumulate(when: plan.Accumulate, amounts: Mapping[str, str]) -> str:
    conditions = " and ".join(events(one) for one in (when.of, *when.also))
    hold = f"a sample counts for {format_span(when.hold)} at most"
    if when.integral is not None:
        return f"when {conditions} adds up over time to {amounts.get('integral', '')} within {format_span(when.during)} ({hold}), for {each(when.key)}"
    at_once = " at the same time" if when.also else ""
    holds = "hold" if when.also else "holds"
    return f"when {conditions} {holds}{at_once} for {format_span(when.total)} in all within {format_span(when.during)} ({hold}), for {each(when.key)}"


def _inside(when: plan.Inside) -> str:
    text = f"when {events(when.of)} is {area(when.area)}{agree(when.same, when.differs)}"
    return text + (
        f"; also what was last heard ({format_span(when.keep)} at most) when an area appears or changes" if when.standing else ""
    )


def _zone(when: plan.ZoneEvent) -> str:
    gap = f", positions at most {format_span(when.max_gap)} apart" if when.max_gap else ""
    if when.what == "stays":
        return f"when a source of {events(when.of)} stays within {format_length(when.radius)} for {format_span(when.lasting)}{gap}"
    where = zone(when.zones) if when.zones is not None else "nowhere"
    lasting = f" for {format_span(when.lasting)}" if when.lasting else ""
    return f"when a source of {events(when.of)} {'dwells in' if when.what == 'dwells' else when.what} {where}{lasting}{gap}"


def _timer(when: plan.Timer) -> str:
    since = "the last" if when.restart else "the first"
    text = f"{format_span(when.during)} after {since} {events(when.of)}"
    if when.until is not None:
        text += f", unless {events(when.until)} comes first"
    if when.warn:
        text += f", with a warning {' and '.join(format_span(span) for span in when.warn)} before"
    return text + (", and again after each such time" if when.repeat else "") + f", for {each(when.key)}"


def _alerts(when: plan.Alerts) -> str:
    during = f" and within {format_span(when.during)}" if when.during else ""
    if when.how == "all":
        who = f"alerts of {' and '.join(when.rules)}"
    else:
        who = f"{'an alert' if when.least == 1 else f'at least {when.least} alerts'} of {' or '.join(when.rules)}"
        if when.least == 1:
            return f"on {who}"
    where = f"{near(when.within)} of the one that completes the match" if near(when.within) != "anywhere" else "anywhere"
    return f"when {who} are raised {where}{during}{agree(when.same, when.differs)}"
