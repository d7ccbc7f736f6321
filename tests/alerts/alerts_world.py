"""Messages of the alerts stream, and a plain reading of them to compare the view with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import msgspec

from tocsin.model.alert import TRANSITIONS, Alert, Evidence, Transition
from tocsin.model.plan import AlertSpec, Match, RulePlan
from tocsin.model.predicate import Selector
from tocsin.model.severity import Severity

START = 1_500_000_000_000_000
RULES = {
    name: RulePlan(
        name, "0123456789ab", name.title(), f"why {name}", Match(Selector("x")), AlertSpec("h", Severity.SEVERE, instruction="do this")
    )
    for name in ("smoke", "flood")
}
EVIDENCE = Evidence(
    seq=5 << 20,
    feed="gauges",
    id="e1",
    kind="water.level",
    source="s1",
    event_time=START - 5,
    ingest_time=START,
    lon=-122.3,
    lat=47.6,
    value=3.5,
    unit="cm",
    text=None,
    role="anchor",
    distance_m=0.0,
    gap_us=0,
)


def alert(name="a", revision=1, status="raised", at=0, rule="smoke", severity=Severity.SEVERE, **more):
    made = Alert(
        id=name,
        rule=rule,
        rule_version="0123456789ab",
        revision=revision,
        status=status,
        headline=f"{name} {revision}",
        severity=severity,
        urgency="immediate",
        certainty="likely",
        opened=START - 10,
        known_at=START,
        updated=START + at,
        lon=-122.3,
        lat=47.6,
        radius_m=120.0,
        place="Pier 54",
        count=revision,
        sources=2,
        evidence=(EVIDENCE,),
        reasons=(f"reason {revision}",),
        seq=5 << 20,
    )
    return replace(made, **more)


def message(seq, what):
    subject = f"alert.{what.rule}" if isinstance(what, Alert) else f"transition.{what.alert}"
    return seq, subject, msgspec.json.decode(msgspec.json.encode(what))


def move(name, to, at=0, by="ann", note="", owner=None):
    return Transition(name, to, by, START + at, note, owner)


def messages(*whats):
    return [message(seq, what) for seq, what in enumerate(whats, 1)]


@dataclass(frozen=True)
class Wanted:
    states: tuple = ()
    rules: tuple = ()
    severities: tuple = ()
    at: int | None = None


@dataclass
class Plain:
    """One alert as a plain reading of the stream has it."""

    alert: dict
    state: str = "open"
    owner: str | None = None
    changed: int = 0
    by_rule: bool = False
    history: list = field(default_factory=list)


def read_plainly(stream, at=None):
    """The stream up to the last message heard at city time `at`, one message after the other, without a database."""
    found, heard = {}, 0
    for seq, subject, content in stream:
        heard = max(heard, content.get("updated", 0), content.get("at", 0))
        if at is not None and heard > at:
            break
        if subject.startswith("alert."):
            _tell(found, seq, content)
        else:
            _move(found, seq, content)
    return found


def _tell(found, seq, content):
    plain = found.get(content["id"])
    if plain is None:
        found[content["id"]] = Plain(content, changed=seq)
        if content["status"] == "retracted":
            found[content["id"]].state = "retracted"
        elif content["closed"] is not None:
            found[content["id"]].state, found[content["id"]].by_rule = "resolved", True
        state = found[content["id"]].state
        found[content["id"]].history.append((None, state, "rule" if state == "resolved" else "engine"))
        return
    if content["revision"] <= plain.alert["revision"]:
        return
    before, was, open_before, ruled = plain.state, plain.alert["status"], plain.alert["closed"], plain.by_rule
    plain.alert, plain.changed = content, seq
    closed, was_closed = content["closed"] is not None, open_before is not None
    if content["status"] == "retracted":
        plain.state = before if before == "resolved" and not plain.by_rule else "retracted"
    elif was == "retracted":
        plain.state = "resolved" if closed else "open"
    elif closed and not was_closed:
        plain.state = "resolved"
    elif was_closed and not closed and plain.by_rule:
        plain.state = "open"
    if plain.state == "open" and before != "open":
        plain.owner = None
    plain.by_rule = plain.state == "resolved" and closed and (before != "resolved" or plain.by_rule)
    if plain.state != before:
        by_rule = content["status"] != "retracted" and (plain.state == "resolved" or (before == "resolved" and ruled))
        plain.history.append((before, plain.state, "rule" if by_rule else "engine"))


def _move(found, seq, content):
    plain = found.get(content["alert"])
    if plain is None or content["to"] not in TRANSITIONS[plain.state]:
        return
    before, plain.state, plain.changed, plain.by_rule = plain.state, content["to"], seq, False
    if content["owner"]:
        plain.owner = content["owner"]
    elif content["to"] == "open":
        plain.owner = None
    else:
        plain.owner = plain.owner or content["by"]
    plain.history.append((before, plain.state, content["by"]))
