"""Messages of the ALERTS stream folded into rows: asks once for the alerts concerned, and works in memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson

from tocsin.model.exercise import plain

from .lifecycle import ENGINE, RETRACTED, RULE, Word, after_engine, allowed, owner_after

log = logging.getLogger(__name__)

#: (stream sequence, subject, content) as `journal.alerts.read_alerts` gives them.
Message = tuple[int, str, Mapping[str, Any]]
Row = dict[str, Any]
#: Alert ids -> those rows of the alerts table that exist.
Find = Callable[[set[str]], Mapping[str, Row]]
#: Whole numbers of an alert, and the bytes they have in the tables.
_INTEGERS = {"revision": 4, "known_at": 8, "updated": 8, "severity": 4}
_TEXTS = ("id", "rule", "status", "headline")
_NAMES = ("id", "rule", "status", "parent")
#: What an index can hold on every database.
_LONGEST = 500


class Fold:
    """One batch. `position`, `heard`: of the view before; afterwards of the view with the batch. `known`: the alerts of the batch that
    existed before. `contents`: the newest revision of each alert that has a new one. `revisions`, `history`: new rows of those tables."""

    def __init__(self, find: Find, position: int, heard: int) -> None:
        self.position = position
        self.heard = heard
        self.unreadable = 0
        self.known: frozenset[str] = frozenset()
        self.contents: dict[str, Mapping[str, Any]] = {}
        self.revisions: list[Row] = []
        self.history: list[Row] = []
        self._find = find
        self._alerts: dict[str, Row] = {}
        self._touched: dict[str, None] = {}

    def run(self, messages: Sequence[Message]) -> None:
        """Messages in stream order. What cannot be read is counted, named in the log and left out."""
        self._load({alert_of(subject, content) for _, subject, content in messages})
        for seq, told_on, content in messages:
            self.position = seq
            trouble, subject = "", plain(told_on)
            if subject.startswith("alert."):
                trouble = alert_trouble(content) or self._revision(seq, content)
            elif subject.startswith("transition."):
                trouble = transition_trouble(content) or self._transition(seq, content)
            if trouble:
                self.unreadable += 1
                log.error("alerts view: message %d on %s is left out: %s", seq, subject, trouble)

    def _load(self, ids: Iterable[str]) -> None:
        self._alerts = {name: dict(row) for name, row in self._find(set(ids)).items()}
        self.known = frozenset(self._alerts)

    def _revision(self, seq: int, content: Mapping[str, Any]) -> str:
        alert, known = content["id"], self._alerts.get(content["id"])
        self.heard = max(self.heard, content["updated"])
        if known is not None and content["revision"] <= known["revision"]:
            return ""  # told twice around a crash
        before = known["state"] if known else None
        now = Word(content["status"], content.get("closed") is not None)
        state = after_engine(before, bool(known and known["by_rule"]), Word(known["status"], known["closed"]) if known else None, now)
        by_rule = state == "resolved" and now.closed and (before != "resolved" or bool(known and known["by_rule"]))
        self._alerts[alert] = {
            "id": alert,
            "rule": content["rule"],
            "severity": content["severity"],
            "known_at": content["known_at"],
            "revision": content["revision"],
            "status": content["status"],
            "closed": now.closed,
            "by_rule": by_rule,
            "parent": content.get("parent") or None,
            "state": state,
            "owner": known["owner"] if known and (state == before or state != "open") else None,
            "changed": seq,
        }
        self._touched[alert] = None
        self.contents[alert] = content
        body = orjson.dumps(content)
        row = {"alert": alert, "revision": content["revision"], "severity": content["severity"], "seq": seq, "heard": self.heard}
        self.revisions.append(row | {"body": body})
        if state != before:
            reasons = content.get("reasons") or ()
            note = content["headline"] if known is None else str(reasons[-1]) if reasons else ""
            was_by_rule = before == "resolved" and bool(known and known["by_rule"])
            by = RULE if now.status != RETRACTED and (state == "resolved" or was_by_rule) else ENGINE
            self._note(seq, alert, content["updated"], before, by, note)
        return ""

    def _transition(self, seq: int, content: Mapping[str, Any]) -> str:
        known = self._alerts.get(content["alert"])
        self.heard = max(self.heard, content["at"])
        if known is None:
            return f"there is no alert {content['alert']!r}"
        before, to = known["state"], content["to"]
        if not allowed(before, to):
            return ""  # not possible any more when the journal took it
        known["owner"] = _storable(owner_after(known["owner"], to, content["by"], content.get("owner")))
        known["state"], known["changed"], known["by_rule"] = to, seq, False
        self._touched[known["id"]] = None
        self._note(seq, known["id"], content["at"], before, content["by"], content.get("note") or "")
        return ""

    def _note(self, seq: int, alert: str, at: int, before: str | None, by: str, note: str) -> None:
        now = self._alerts[alert]
        self.history.append(
            {
                "seq": seq,
                "alert": alert,
                "heard": self.heard,
                "at": at,
                "from_state": before,
                "to_state": now["state"],
                "by": _storable(by),
                "note": _storable(note),
                "owner": now["owner"],
            }
        )

    @property
    def changed(self) -> dict[str, Row]:
        """The alerts that this batch touched, as rows of their table."""
        return {alert: self._alerts[alert] for alert in self._touched}


def alert_of(subject: str, content: Mapping[str, Any]) -> str:
    """Of which alert a message speaks."""
    return str(content.get("id" if plain(subject).startswith("alert.") else "alert"))


def alert_trouble(content: Mapping[str, Any]) -> str:
    """What keeps a message from being read as an alert, in words; empty when nothing does."""
    for name, size in _INTEGERS.items():
        if not _fits(content.get(name), size):
            return f"{name} is {content.get(name)!r}, needed is a whole number of {size} bytes"
    for name in _TEXTS:
        if not isinstance(content.get(name), str):
            return f"{name} is {content.get(name)!r}, needed is text"
    for name in _NAMES:
        text = content.get(name) or ""
        if not isinstance(text, str) or len(text) > _LONGEST or "\0" in text:
            return f"{name} is {str(text)[:40]!r}, needed is text of at most {_LONGEST} characters without NUL"
    return ""


def transition_trouble(content: Mapping[str, Any]) -> str:
    """What keeps a message from being read as a transition, in words; empty when nothing does."""
    if not _fits(content.get("at"), 8):
        return f"at is {content.get('at')!r}, needed is a whole number of 8 bytes"
    for name in ("alert", "to", "by"):
        if not isinstance(content.get(name), str):
            return f"{name} is {content.get(name)!r}, needed is text"
    for name in ("note", "owner"):
        if not isinstance(content.get(name) or "", str):
            return f"{name} is {content.get(name)!r}, needed is text or nothing"
    return ""


def _fits(value: object, size: int) -> bool:
    """Whether it is a whole number of `size` bytes, with its sign."""
    return type(value) is int and -(1 << (8 * size - 1)) <= value < 1 << (8 * size - 1)


def _storable(text: str | None) -> str | None:
    """Not every database has room for the character NUL in a text."""
    return None if text is None else text.replace("\0", "\ufffd")
