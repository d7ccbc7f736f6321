"""The result of a back-test as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tocsin.model.time import SECOND, format_span

Json = Mapping[str, Any]
_BAR = 40


def as_text(result: Json) -> str:
    """Everything worth reading first; the rest is in the JSON."""
    return "\n".join(_lines(result))


def _lines(result: Json) -> Iterator[str]:
    rule, span, numbers, read = result["rule"], result["span"], result["summary"], result["read"]
    yield f"{rule['title']} ({rule['name']}, version {rule['version']})"
    yield rule["words"]
    imported = f" ({read['imported']:,} of them imported)" if read.get("imported") else ""
    order = "in the order it was learnt" if span["order"] == "journal" else "in the order it happened"
    yield f"{span['from']} to {span['to']} ({span['timezone']}), {order}; {read['events']:,} of {read['rows']:,} events{imported} in {read['seconds']:.1f} s"
    yield ""
    retracted = f", {numbers['retracted']} more were taken back" if numbers["retracted"] else ""
    yield f"{numbers['alerts']} alerts{retracted}: {numbers['per_day']:g} a day, {numbers['per_week']:g} a week, at most {numbers['most_in_a_day']} in a day, {numbers['quiet_days']} of {numbers['days']} days without"
    if result["budget"] is not None:
        yield result["budget"]["words"]
    yield from _weeks(result["by_week"])
    yield from _sources(result["by_source"])
    yield from _places(result["by_place"])
    yield from _incidents(result["incidents"])
    yield from _near(result["near_misses"])
    yield from _against(result["against"])
    yield from _sweep(result["sweep"])
    if result["notes"]:
        yield ""
        yield from (f"Note: {note}" for note in result["notes"])


def _weeks(weeks: Sequence[Json]) -> Iterator[str]:
    most = max((week["alerts"] for week in weeks), default=0)
    if not most or len(weeks) < 2:
        return
    yield ""
    yield "By week:"
    for week in weeks[-26:]:
        part = f" ({week['days']} days)" if week["days"] < 7 else ""
        yield f"  {week['week']} {week['alerts']:6} {'#' * round(week['alerts'] * _BAR / most)}{part}"
    if len(weeks) > 26:
        yield f"  ({len(weeks) - 26} weeks before are in the JSON)"


def _sources(sources: Sequence[Json]) -> Iterator[str]:
    if sources:
        yield ""
        yield "Noisiest sources: " + ", ".join(f"{one['source']} {one['alerts']} ({one['share']:.0%})" for one in sources[:5])


def _places(places: Sequence[Json]) -> Iterator[str]:
    if places:
        yield "Most alerts: " + "; ".join(f"{one['alerts']} {one['place'] or _at(one)}" for one in places[:5])


def _at(place: Json) -> str:
    return f"at {place['lon']:.3f},{place['lat']:.3f}"


def _incidents(found: Json | None) -> Iterator[str]:
    if found is None:
        return
    yield ""
    if not found["incidents"]:
        yield f"Real incidents ({found['kind']}): none in this span"
        return
    yield f"Real incidents ({found['kind']}): {found['caught']} of {found['incidents']} caught ({found['share']:.0%}), {found['missed']} missed; {found['alerts_without']} alerts without one"
    if found["early_s"] is not None:
        yield f"  of those caught {found['before']} were known before they happened; in the median {_early(found['early_s']['median'])}"
    yield f"  {found['rule']}"
    for one in found["missed_list"][:5]:
        yield f"  missed: {one['time']} {one['text'] or one['id']}"


def _early(seconds: float) -> str:
    words = format_span(round(abs(seconds)) * SECOND)
    return f"{words} before" if seconds > 0 else f"{words} after" if seconds < 0 else "at the same moment"


def _near(found: Json | None) -> Iterator[str]:
    if not found or not found["total"]:
        return
    yield ""
    counts = ", ".join(f"{count} by {name}" for name, count in found["by_threshold"].items())
    yield f"Near misses: {found['total']} ({counts}); the nearest:"
    for one in found["list"][:8]:
        yield f"  {one['time']} {one['place'] or one['source']}: {one['words']}"


def _against(found: Json | None) -> Iterator[str]:
    if found is None:
        return
    a, b = found["a"], found["b"]
    yield ""
    yield f"Against {b['rule']} (version {b['version']}): {b['alerts']} alerts instead of {a['alerts']}; {found['both']} the same, {a['only']} only here, {b['only']} only there"
    if found["b_later_s"] is not None:
        yield f"  the other one knew of the same in the median {_later(found['b_later_s']['median'])}"
    for name, words in (("only_a", "only here"), ("only_b", "only there")):
        yield from (f"  {words}: {one['known_at']} {one['headline']}" for one in found[name][:5])


def _later(seconds: float) -> str:
    words = format_span(round(abs(seconds)) * SECOND)
    return f"{words} later" if seconds > 0 else f"{words} earlier" if seconds < 0 else "at the same moment"


def _sweep(found: Json | None) -> Iterator[str]:
    if found is None:
        return
    yield ""
    now = f", now {found['now']}" if found["now"] is not None else ""
    yield f"{found['key']}{now}:"
    names = [
        name
        for name in ("value", "alerts", "per_week", "caught", "missed", "alerts_without", "early_s", "over_budget")
        if name in found["rows"][0]
    ]
    yield "  " + " ".join(f"{_HEADS[name]:>11}" for name in names)
    for row in found["rows"]:
        mark = " <- now" if found["now"] is not None and row["value"] == found["now"] else ""
        yield "  " + " ".join(f"{_cell(row[name]):>11}" for name in names) + mark
    advice = found["suggestion"]
    if advice is not None:
        keep = "Keep" if not advice["changes"] and advice["now"] is not None else "Suggested:"
        yield f"  {keep} {advice['value']}: {advice['why']}"


_HEADS = {
    "value": "value",
    "alerts": "alerts",
    "per_week": "a week",
    "caught": "caught",
    "missed": "missed",
    "alerts_without": "for nothing",
    "early_s": "early (s)",
    "over_budget": "over budget",
}


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
