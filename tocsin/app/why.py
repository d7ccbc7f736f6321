"""`tocsin explain`: when a rule rings; why it rang, or why it did not, at a place and time; why an alert was raised."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from tocsin.config.load import load_city
from tocsin.kernel.fault import Misconfigured, Problem, nearest
from tocsin.model.city import City
from tocsin.model.explanation import Clause, Explanation, Look, Question
from tocsin.model.length import parse_length
from tocsin.model.plan import RulePlan
from tocsin.model.time import parse_span

_ID: Final = re.compile(r"[0-9a-f]{6,20}")
_MARKS: Final = {"held": "yes", "failed": "NO ", "unknown": " ? "}


def main(arguments: argparse.Namespace) -> int:
    city = load_city(arguments.city)
    rules = {rule.name: rule for rule in city.plan.rules}
    asked = arguments.near or arguments.at or arguments.within or arguments.span or arguments.with_late
    if arguments.subject in rules and not asked:
        return _words(rules[arguments.subject], as_json=arguments.json)
    if not asked and not _ID.fullmatch(arguments.subject):
        words = f"there is no rule {arguments.subject!r}; {nearest(arguments.subject, rules)}"
        raise Misconfigured([Problem(str(arguments.city), 0, words)])
    return _of_journal(arguments, city)


def _words(rule: RulePlan, *, as_json: bool) -> int:
    """The rule itself, without asking any journal."""
    if as_json:
        names = ("name", "version", "words", "why", "source", "file", "line")
        told = {name: getattr(rule, name) for name in names}
        print(json.dumps({"rule": told.pop("name"), **told}))
        return 0
    print(
        f"{rule.title} ({rule.name}, version {rule.version}, {rule.file}:{rule.line})\n\n{rule.words}\n\nWhy: {rule.why}"
        + (f"\nFrom: {rule.source}" if rule.source else "")
    )
    return 0


def _of_journal(arguments: argparse.Namespace, city: City) -> int:
    from tocsin.model.explanation import NoSuchRule

    from .explain import answered

    root: Path = arguments.city.resolve()
    question = _question(arguments, city)
    try:
        found = asyncio.run(answered(root, (arguments.data or root / "var").resolve(), question))
    except NoSuchRule as fault:
        raise Misconfigured([Problem(str(arguments.city), 0, str(fault))]) from None
    print(_json(found) if arguments.json else as_text(found, city))
    return 0


def _json(found: Explanation) -> str:
    """One form of the answer, whoever gives it."""
    from tocsin.api.explain import as_json

    return json.dumps(as_json(found))


def _question(arguments: argparse.Namespace, city: City) -> Question:
    from .then import instant

    lon, lat = _near(arguments.near)
    return Question(
        arguments.subject,
        -1 if arguments.at is None else instant(arguments.at, city),
        lon,
        lat,
        None if arguments.within is None else _parsed("--within", parse_length, arguments.within),
        None if arguments.span is None else round(_parsed("--span", parse_span, arguments.span)),
        arguments.with_late,
    )


def _near(text: str | None) -> tuple[float | None, float | None]:
    if text is None:
        return None, None
    try:
        lon, lat = (float(part) for part in text.split(","))
    except ValueError:
        lon = lat = 999.0
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise Misconfigured([Problem("--near", 0, f"found {text!r}; valid is LON,LAT in degrees, like -122.33,47.61")])
    return lon, lat


def _parsed(option: str, parse: object, text: str) -> float:
    try:
        value = float(parse(text))  # type: ignore[operator]
    except ValueError as error:
        raise Misconfigured([Problem(option, 0, str(error))]) from None
    if value <= 0:
        raise Misconfigured([Problem(option, 0, f"found {text!r}; it must be more than nothing")])
    return value


def as_text(found: Explanation, city: City) -> str:
    """The answer for a terminal, in the city's time."""
    from .then import in_city_time

    zone = ZoneInfo(city.timezone)
    day = datetime.fromtimestamp(found.at / 1e6, zone).date().isoformat()
    return in_city_time("\n".join(_lines(found, city)), zone, day)


def _lines(found: Explanation, city: City) -> Iterator[str]:
    yield f"{found.title} ({found.rule}, version {found.version})"
    yield f"{found.summary}."
    yield ""
    yield from (f"  {line}" for line in _clauses(found.clauses))
    for look in found.looks[1:]:
        if look.holds:
            yield f"\nAlso: every clause held{_at(look.anchor.event_time if look.anchor else look.time)}"
    misses = [look for look in found.looks[1:] if not look.holds]
    if misses:
        yield "\nOther near misses:"
        yield from (f"  - {_whose(look)}{look.words}" for look in misses)
    if found.alerts:
        yield "\nAlerts of this rule nearby:"
        for alert in found.alerts[:10]:
            yield f"  {alert.id[:8]}  {_iso(alert.opened)}  {alert.status}: {alert.headline} (count {alert.count})"
    yield f"\n{found.read:,} events were looked at, as known {'then' if found.known == 'then' else 'by now'}. Times are those of {city.timezone}."
    yield from (f"Note: {note}." for note in found.notes)


def _whose(look: Look) -> str:
    """The event a miss is about, where its words do not say."""
    one = look.anchor
    if one is None or (one.source or one.id) in look.words:
        return ""
    return f"{one.kind.rpartition('.')[2].replace('_', ' ')} {one.source or one.id}, {_iso(one.event_time)}: "


def _clauses(clauses: tuple[Clause, ...]) -> Iterator[str]:
    width = max((len(clause.clause) for clause in clauses), default=0)
    for clause in clauses:
        yield f"{_MARKS[clause.state]}  {clause.clause:{width}}  {clause.words}"


def _at(time: int) -> str:
    return f" at {_iso(time)}"


def _iso(time: int) -> str:
    from tocsin.model.time import to_iso

    return to_iso(time // 1_000_000 * 1_000_000)
