"""In plain words: what becomes of an alert - joining, severity, closing, folding, budget."""

from __future__ import annotations

from tocsin.model import plan
from tocsin.model.length import format_length
from tocsin.model.time import format_span

from .wording import agree, events, guarded, near


def lives(alert: plan.AlertSpec) -> list[str]:
    """Sentences about the life of an alert."""
    sentences = [_joins(alert.per)]
    if alert.dedup:
        sentences.append(
            f"Matches with the same {' and '.join(alert.dedup.by)} join it anywhere until {format_span(alert.dedup.hold)} after the newest one."
        )
    if alert.severity_rule:
        sentences.append(_severity(alert, alert.severity_rule))
    if alert.eta:
        since = events(alert.eta.since) if alert.eta.since else "the match"
        sentences.append(f"It is due {format_span(alert.eta.earliest)} to {format_span(alert.eta.latest)} after {since}.")
    if alert.resolve:
        sentences.append(_resolve(alert.resolve))
    if alert.fold:
        where = near(alert.fold.within)
        sentences.append(f"Shown under an alert of {alert.fold.under} {where} and {format_span(alert.fold.during)} while that is open.")
    if alert.never_fold:
        sentences.append("Never shown under another alert.")
    if alert.budget:
        sentences.append(_budget(alert.budget))
    for one in alert.context:
        after = f" to {format_span(one.after)} after" if one.after else ""
        sentences.append(
            f"Shows {events(one.of)} within {format_length(one.within)}, {format_span(one.before)} before{after}, the nearest {one.most}."
        )
    return sentences


def _joins(per: plan.Per | None) -> str:
    if per is None:
        return "Every match is an alert of its own."
    source = " of the same source" if per.by_source else ""
    source += f" with the same {' and '.join(per.same)}" if per.same else ""
    place = f" within {format_length(per.place)}" if per.place is not None else ""
    return f"Further matches{source}{place} join the alert until {format_span(per.hold)} after the newest one."


def _severity(alert: plan.AlertSpec, rule: plan.SeverityRule) -> str:
    parts = [f"Severity is {alert.severity.name.lower()}"]
    if rule.from_evidence:
        parts.append("that of the most severe event if higher")
    for step in rule.steps:
        needs = [f"{step.count} matches"] * (step.count > 0) + [f"{step.sources} sources"] * (step.sources > 0)
        ways = [f"from {' and '.join(needs)} on"] if needs else []
        ways += [f"with an event of {events(step.where)}"] if step.where else []
        ways += [f"while {guarded(step.active)}"] if step.active else []
        parts.append(f"{step.severity.name.lower()} {' and '.join(ways)}")
    return ", ".join(parts) + "."


def _resolve(one: plan.Resolve) -> str:
    ways = []
    if one.below_for >= 0:
        ways.append(f"when it has not held for {format_span(one.below_for)}" if one.below_for else "as soon as it no longer holds")
    if one.until is not None:
        where = f" {near(one.within)}" if near(one.within) != "anywhere" else ""
        ways.append(f"on {events(one.until)}{where}{agree(one.same)}")
    if one.after >= 0:
        ways.append(f"{format_span(one.after)} after the newest match")
    return f"It closes by itself {', or '.join(ways)}."


def _budget(one: plan.Budget) -> str:
    above = {"fold": "further ones are shown under the newest", "minor": "further ones are minor", "tell": "further ones say so"}[one.above]
    return f"At most {one.alerts} alerts in {format_span(one.per)}; {above}."
