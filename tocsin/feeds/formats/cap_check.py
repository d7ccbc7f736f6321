"""What makes a CAP message valid beyond its schema: required elements, words of the lists, scope, references, times with an offset.

The schema accepts a Restricted message without a restriction, an Update that refers to nothing and a circle outside the Earth; OASIS
CAP 1.2, section 3.2, does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tocsin.feeds import times
from tocsin.feeds.unfit import Unfit
from tocsin.kernel.fault import Skippable

REPEATED: Final = frozenset({"code", "category", "responseType", "polygon", "circle"})
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "status": ("Actual", "Exercise", "System", "Test", "Draft"),
    "msgType": ("Alert", "Update", "Cancel", "Ack", "Error"),
    "scope": ("Public", "Restricted", "Private"),
    "urgency": ("Immediate", "Expected", "Future", "Past", "Unknown"),
    "severity": ("Extreme", "Severe", "Moderate", "Minor", "Unknown"),
    "certainty": ("Observed", "Likely", "Possible", "Unlikely", "Unknown", "Very Likely"),  # the last one in CAP 1.1
}
_NEEDED: Final = ("identifier", "sender", "sent", "status", "msgType", "scope")
_NEEDED_IN_INFO: Final = ("category", "event", "urgency", "severity", "certainty")


def message(found: Mapping[str, Any], statuses: Sequence[str]) -> None:
    """Raises Skippable for the first rule that the message breaks."""
    for name in _NEEDED:
        _needed(found, name, "alert")
    for name in ("status", "msgType", "scope"):
        _word(found, name, "alert")
    _time(found, "sent", "alert")
    if found["status"] not in statuses:
        raise Skippable(f"status {found['status']}: not for real use (format option statuses lets it in)", "alert.status")
    if found["msgType"] in ("Ack", "Error"):
        raise Skippable(f"msgType {found['msgType']}: a receipt for a message, not an event", "alert.msgType")
    if found["scope"] == "Restricted" and not found.get("restriction"):
        raise Skippable("a Restricted message must say its restriction", "alert.restriction")
    if found["scope"] == "Private" and not found.get("addresses"):
        raise Skippable("a Private message must say its addresses", "alert.addresses")
    if found["msgType"] in ("Update", "Cancel") and not references(found):
        raise Skippable(f"a message of type {found['msgType']} must say in `references` what it speaks of", "alert.references")
    for number, info in enumerate(found.get("info", [])):
        _info(info, f"info {number}")


def references(found: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(sender, identifier, sent) of every message referred to. Raises Skippable when they are not written as such."""
    made = []
    for written in (found.get("references") or "").split():
        parts = written.split(",")
        if len(parts) != 3 or not all(parts):
            raise Skippable("must be written as sender,identifier,sent with spaces between several", "alert.references")
        made.append((parts[0], parts[1], parts[2]))
    return made


def when(written: str) -> int:
    """A CAP time -> microseconds, for comparing; checked before."""
    return times.instant(written)


def _info(info: Mapping[str, Any], where: str) -> None:
    for name in _NEEDED_IN_INFO:
        _needed(info, name, where)
    for name in ("urgency", "severity", "certainty"):
        _word(info, name, where)
    for name in ("effective", "onset", "expires"):
        if info.get(name):
            _time(info, name, where)
    for number, area in enumerate(info.get("area", [])):
        if not area.get("areaDesc"):
            raise Skippable("is required and missing", f"{where}, area {number}.areaDesc")


def _needed(found: Mapping[str, Any], name: str, where: str) -> None:
    if not found.get(name):
        raise Skippable("is required and missing", f"{where}.{name}")


def _word(found: Mapping[str, Any], name: str, where: str) -> None:
    if found[name] not in _WORDS[name]:
        raise Skippable(f"is not one of {', '.join(_WORDS[name])}", f"{where}.{name}")


def _time(found: Mapping[str, Any], name: str, where: str) -> None:
    try:
        times.in_range(times.instant(found[name])) if name != "expires" else times.instant(found[name])
    except Unfit as unfit:
        raise Skippable(f"is not {unfit.expected}", f"{where}.{name}") from None
