"""A question about a rule answered: matches and near misses near a place and time, what became of them, and what is not known."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tocsin.correlate.phrases import metres
from tocsin.correlate.sphere import distance
from tocsin.model.explanation import FAILED, HELD, UNKNOWN, Clause, Explanation, Look, Question, Rung
from tocsin.model.plan import (
    Absence,
    Accumulate,
    Alerts,
    Change,
    Cluster,
    Inside,
    Match,
    Rate,
    Silence,
    Timer,
    ZoneEvent,
)
from tocsin.model.plan import (
    Sequence as Steps,
)
from tocsin.model.time import format_span

from . import absence, accumulate, chain, change, cluster, guards, inside, rate, silence, single, timer, zone
from .condition import clock
from .scene import MISSES, Candidate, Scene
from .told import Json


def candidates(scene: Scene) -> list[Candidate]:
    """What the rule's operator makes of the facts, its guards not yet asked."""
    when = scene.rule.when
    match when:
        case Match():
            return single.candidates(scene, when)
        case Cluster():
            return cluster.candidates(scene, when)
        case Steps():
            return chain.sequences(scene, when)
        case Absence():
            return absence.candidates(scene, when)
        case Silence():
            return silence.candidates(scene, when)
        case Change():
            return change.candidates(scene, when)
        case Rate():
            return rate.candidates(scene, when)
        case Accumulate():
            return accumulate.candidates(scene, when)
        case Inside():
            return inside.candidates(scene, when)
        case ZoneEvent():
            return zone.candidates(scene, when)
        case Timer():
            return timer.candidates(scene, when)
        case Alerts():
            return chain.alerts(scene, when)


def answer(scene: Scene, question: Question) -> Explanation:
    """Everything there is to say."""
    found = candidates(scene)
    matches = [one for one in found if one.ok and guards.pass_(scene, one)]
    matches.sort(key=lambda one: (_is(scene, one, question.anchor), -one.time))
    held = {id(one) for one in matches}
    misses = [one for one in found if id(one) not in held]
    misses.sort(key=lambda one: (_is(scene, one, question.anchor), 0.0 if one.ok else one.score, -one.time))
    alerts = rung(scene)
    _note_late(scene, question, alerts)
    looks = [_look(scene, one, alerts) for one in [*matches[:MISSES], *misses[:MISSES]]]
    clauses = looks[0].clauses if looks else ()
    verdict = _verdict(matches, looks, alerts)
    return Explanation(
        rule=scene.rule.name,
        version=scene.rule.version,
        title=scene.rule.title,
        rule_words=scene.rule.words,
        at=scene.at,
        lon=None if not scene.somewhere else scene.lon,
        lat=None if not scene.somewhere else scene.lat,
        within=scene.within if scene.somewhere and math.isfinite(scene.within) else None,
        span=scene.at - scene.start,
        known="now" if question.with_late else "then",
        verdict=verdict,
        summary=_summary(verdict, question, scene, looks, alerts),
        clauses=clauses,
        looks=tuple(looks),
        alerts=tuple(alerts),
        notes=tuple(scene.notes),
        read=len(scene.facts),
        matches=len(matches),
    )


def _is(scene: Scene, one: Candidate, anchor: int | None) -> bool:
    """False for the very event that was asked about, so that it comes first."""
    return anchor is None or one.row < 0 or int(scene.facts.seq[one.row]) != anchor


def _look(scene: Scene, one: Candidate, alerts: Sequence[Rung]) -> Look:
    clauses = [*one.tell()]
    if one.row >= 0:
        clauses += guards.clauses(scene, one)
    clauses += _told(scene, one, alerts) if one.ok else []
    holds = all(clause.state == HELD for clause in clauses)
    away = scene.away(one.lon, one.lat)
    failed = [clause for clause in clauses if clause.state != HELD]
    words = "every clause held" if not failed else failed[0].words
    placed = not math.isnan(one.lon)
    return Look(
        one.time,
        one.lon if placed else None,
        one.lat if placed else None,
        None if math.isnan(away) else round(away, 1),
        holds,
        words,
        tuple(clauses),
        scene.seen([one.row])[0] if one.row >= 0 else None,
    )


def rung(scene: Scene) -> list[Rung]:
    """Alerts of the rule near the place, that were open or raised in the stretch asked about; the nearest in time first."""
    out = []
    for alert in scene.told.of(scene.rule.name):
        per = scene.rule.alert.per
        reach = per.hold if per is not None else 0
        last = max([alert["opened"], *(one["event_time"] for one in alert["evidence"])])
        if alert["opened"] > scene.at or max(alert["opened"], last) < scene.start - reach:
            continue
        away = _away(scene, alert)
        limit = scene.within + (per.place if per is not None and per.place is not None else 0.0)
        if not math.isnan(away) and away > limit:
            continue
        out.append(_rung(alert, away, joined=alert["opened"] < scene.start))
    return sorted(out, key=lambda one: abs(scene.at - one.opened))


def _note_late(scene: Scene, question: Question, alerts: Sequence[Rung]) -> None:
    """An alert that rests on facts which came too late for the live engine cannot be explained without them."""
    for alert in alerts:
        if scene.told.alerts[alert.id]["late"] and not question.with_late:
            scene.note(f"the alert {alert.id[:8]} was learnt late; ask for what is known by now to see what it rests on")


def _away(scene: Scene, alert: Json) -> float:
    if not scene.somewhere or alert["lon"] is None or alert["lat"] is None:
        return math.nan
    return distance(scene.lon, scene.lat, alert["lon"], alert["lat"])


def _rung(alert: Json, away: float, joined: bool) -> Rung:
    shown = None if math.isnan(away) else round(away, 1)
    return Rung(alert["id"], alert["status"], alert["headline"], alert["opened"], alert["known_at"], alert["count"], shown, joined)


def _told(scene: Scene, one: Candidate, alerts: Sequence[Rung]) -> list[Clause]:
    """What became of a match: which alert it raised, or joined."""
    seq = int(scene.facts.seq[one.row]) if one.row >= 0 else -1
    known = sorted(scene.told.of(scene.rule.name), key=lambda alert: alert["status"] == "retracted")
    for alert in known:
        if alert["evidence"] and alert["evidence"][0]["seq"] == seq and alert["opened"] == one.time:
            return [_alert_clause(alert, f"it raised the alert {alert['id'][:8]} at {clock(alert['known_at'])}")]
    for alert in known:
        if any(piece["seq"] == seq for piece in alert["evidence"]):
            return [_alert_clause(alert, f"it joined the alert {alert['id'][:8]} of {clock(alert['opened'])}, and was not raised again")]
    per = scene.rule.alert.per
    open_ = [alert for alert in alerts if per is not None and alert.opened <= one.time and alert.status != "retracted"]
    if open_ and per is not None:
        words = f"the alert {open_[0].id[:8]} of {clock(open_[0].opened)} was open, and takes in matches until {format_span(per.hold)} after the last"
        return [Clause("alert.per", HELD, words, open_[0].id, "")]
    return []


def _alert_clause(alert: Json, words: str) -> Clause:
    if alert["status"] == "retracted":
        return Clause("alert", FAILED, f"{words}; it was retracted since", alert["id"], "")
    return Clause("alert", HELD, words, alert["id"], "")


def _verdict(matches: Sequence[Candidate], looks: Sequence[Look], alerts: Sequence[Rung]) -> str:
    standing = [alert for alert in alerts if alert.status != "retracted"]
    if any(not alert.joined for alert in standing):
        return "rang"
    if matches and standing:
        return "joined"
    if any(alert.status == "retracted" and not alert.joined for alert in alerts):
        return "retracted"
    if matches:
        return "unheard"
    if (
        looks
        and any(clause.state == UNKNOWN for clause in looks[0].clauses)
        and not any(clause.state == FAILED for clause in looks[0].clauses)
    ):
        return "unknown"
    return "silent"


def _stretch(scene: Scene, question: Question) -> str:
    """Where and when was asked about; nothing when the question is about one alert."""
    if question.anchor is not None:
        return ""
    where = f" within {metres(scene.within)}" if scene.somewhere and math.isfinite(scene.within) else ""
    return f"{where} between {clock(scene.start)} and {clock(scene.at)}"


def _summary(verdict: str, question: Question, scene: Scene, looks: Sequence[Look], alerts: Sequence[Rung]) -> str:
    span = _stretch(scene, question)
    first = next((alert for alert in alerts if alert.status != "retracted"), None)
    if verdict == "rang" and first is not None:
        return f"It rang{span}: {first.headline}"
    if verdict == "joined" and first is not None:
        return f"It matched{span}, and joined the alert {first.id[:8]} of {clock(first.opened)} instead of ringing again"
    if verdict == "retracted":
        return f"It rang{span}, and was taken back: what it rested on was corrected or answered"
    if verdict == "unheard":
        return f"Every clause held{span}, but no alert of it is known" + (" yet" if scene.at >= scene.clock - 10_000_000 else "")
    why = looks[0].words if looks else "nothing it looks at was known"
    return f"It did not ring{span}: {why}" if verdict == "silent" else f"What was read does not say{span}: {why}"
