"""The newest changes of alerts, kept in memory: what the live stream shows next without asking the tables again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

_LONG: Final = frozenset({"evidence", "context"})
#: Alerts kept; whoever is further behind reads the tables.
KEPT: Final = 2000


@dataclass(frozen=True, slots=True)
class Change:
    """An alert as it is now. `changed`: stream sequence of its last change. `content`: its newest revision as journaled, without
    `evidence`."""

    changed: int
    state: str
    owner: str | None
    content: Mapping[str, Any]


class Changes:
    """Written by the thread that applies the stream, read by any."""

    def __init__(self, since: int, most: int = KEPT) -> None:
        self._most = most
        self._lock = Lock()
        self._since = since  # every change after this one is here
        self._newest: OrderedDict[str, Change] = OrderedDict()  # by alert, last changed last

    def add(self, rows: Mapping[str, Mapping[str, Any]], contents: Mapping[str, Mapping[str, Any]]) -> None:
        """Alerts that changed, as rows of the table, and those of their contents that are new."""
        with self._lock:
            for name, row in sorted(rows.items(), key=lambda item: int(item[1]["changed"])):
                known = self._newest.pop(name, None)
                if name in contents:
                    content: Mapping[str, Any] = {key: value for key, value in contents[name].items() if key not in _LONG}
                elif known is not None:
                    content = known.content
                else:  # an operator moved an alert that is not in memory
                    self._start(row["changed"])
                    continue
                self._newest[name] = Change(row["changed"], row["state"], row["owner"], content)
                if len(self._newest) > self._most:
                    self._since = self._newest.popitem(last=False)[1].changed

    def start(self, since: int) -> None:
        """Forgets everything; changes after `since` will be here."""
        with self._lock:
            self._start(since)

    def after(self, since: int, limit: int) -> list[Change] | None:
        """Alerts changed after `since`, first changed first, at most `limit`; None when that is further back than what is kept."""
        with self._lock:
            if since < self._since:
                return None
            found = []
            for change in reversed(self._newest.values()):
                if change.changed <= since:
                    break
                found.append(change)
        return found[::-1][:limit]

    def _start(self, since: int) -> None:
        self._newest.clear()
        self._since = since
