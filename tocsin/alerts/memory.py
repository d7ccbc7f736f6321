"""What the alerts view remembers of its tables, so that the next change of an alert needs no question: recent rows, and which alerts exist."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final

import sqlalchemy as sa

from .fold import Row
from .tables import ALERTS
from .unwritten import overlay

# Made once: building a statement costs more than running it.
_FIND = sa.select(ALERTS).where(ALERTS.c.id.in_(sa.bindparam("wanted", expanding=True)))
_IN_LIST: Final = 500  # parameters of one query
#: Rows kept.
_KEPT: Final = 4000
#: Names kept, some 100 bytes each; of a view with more alerts the tables are asked.
_NAMES: Final = 200_000


class Memory:
    """`all_names`: the id of every alert there is, None when there are too many to know. A new alert is known to be new without the tables,
    so that it is shown also while they are away."""

    def __init__(self) -> None:
        self.all_names: set[str] | None = None
        self._kept: OrderedDict[str, Row] = OrderedDict()

    @staticmethod
    def names(db: sa.Connection) -> set[str] | None:
        """Every id in the tables, None when there are too many."""
        found = set(db.execute(sa.select(ALERTS.c.id).limit(_NAMES + 1)).scalars())
        return None if len(found) > _NAMES else found

    @staticmethod
    def find(db: sa.Connection, names: Iterable[str]) -> dict[str, Row]:
        """Their rows in the tables."""
        wanted, found = sorted(names), {}
        for start in range(0, len(wanted), _IN_LIST):
            for row in db.execute(_FIND, {"wanted": wanted[start : start + _IN_LIST]}).mappings():
                found[row["id"]] = dict(row)
        return found

    def forget(self, names: set[str] | None) -> None:
        """Everything but which alerts there are."""
        self._kept.clear()
        self.all_names = names

    def has(self, names: set[str]) -> bool:
        """Whether nothing of them needs the tables."""
        return all(name in self._kept or self._new(name) for name in names)

    def rows(self, names: set[str], *layers: Mapping[str, Row]) -> tuple[dict[str, Row], set[str]]:
        """Rows by id, those of the first layer that has one, and the ids that only the tables know of."""
        found = overlay(names, *layers, self._kept)
        return found, {name for name in names - found.keys() if not self._new(name)}

    def keep(self, rows: Mapping[str, Row]) -> None:
        """The newest rows of alerts that changed."""
        for name, row in rows.items():
            self._kept[name] = row
            self._kept.move_to_end(name)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        if self.all_names is not None:
            self.all_names |= rows.keys()
            if len(self.all_names) > _NAMES:
                self.all_names = None

    def _new(self, name: str) -> bool:
        return self.all_names is not None and name not in self.all_names
