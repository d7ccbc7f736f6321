"""Every question to the archive in one place: what it may read is looked up and planned before anything is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tocsin.model.archive import Holdings, Want
from tocsin.model.asking import Answer, Around, Cells, Filter, History, Patience, Points, Search, Series, Statement, Tally, Tile

from .around import around, want_around
from .cells import top_cells
from .engine import Engine, Mixed, Session
from .history import history, want_history
from .places import Places
from .points import points, tile, within_tile
from .rows import Limits, allow, plan_of
from .sandbox.run import Cage, run
from .search import Cursor, capped, newest, search
from .series import series
from .tallies import tallied
from .where import Where, is_open, want_of
from .zones import Zones


class Questions:
    """`layers`: polygons by the name of their layer, as they are in force when a question comes. Any thread may ask. Every method raises
    `Refused` (it cannot be asked like this), `TooMuch` (confirm it first), `TooSlow`, `Stopped`."""

    def __init__(
        self, holdings: Holdings, places: Places, layers: Callable[[], Mapping[str, Zones]] = dict, *, engine: Engine | None = None,
        limits: Limits | None = None, cage: Cage | None = None,
    ) -> None:  # fmt: skip
        self.holdings, self.places, self.layers = holdings, places, layers
        self.engine, self.limits = engine or Engine(), limits or Limits()
        self.cage = cage or Cage()

    def _asked(self, patience: Patience, question: Callable[[Session], Answer]) -> Answer:
        """Asks once more where files of an older version turn up among those it reads."""
        for mixed in (False, True):
            with self.engine.session(patience) as session:
                session.mixed, session.told = mixed, self.holdings.outline
                try:
                    return _warned(question(session))
                except Mixed:
                    continue
        raise AssertionError("a mixed session does not say that it is one")

    def search(self, asked: Search, patience: Patience) -> Answer:
        """Events newest first. Reads a bounded part of the archive at most and then says how far it came, so it needs no confirmation."""
        wanted = capped(asked.filter, Cursor.parse(asked.cursor) if asked.cursor else None)

        def question(session: Session) -> Answer:
            with self.holdings.look(want_of(wanted)) as look:
                return search(session, look, asked, self.limits.rows)

        return self._asked(patience, question)

    def around(self, asked: Around, patience: Patience) -> Answer:
        """Everything near a place and a time, with `distance_m` and `gap_us`."""

        def question(session: Session) -> Answer:
            with self.holdings.look(want_around(asked)) as look:
                allow(plan_of(look), self.limits, confirmed=False)
                return around(session, look, asked)

        return self._asked(patience, question)

    def series(self, asked: Series, patience: Patience) -> Answer:
        """Counts and values by step of time."""
        return self._asked(patience, lambda session: series(session, self.holdings, self.layers(), asked, self.limits))

    def cells(self, asked: Cells, patience: Patience) -> Answer:
        """The busiest tiles."""
        return self._asked(patience, lambda session: top_cells(session, self.holdings, asked, self.limits))

    def history(self, asked: History, patience: Patience) -> Answer:
        """All that one source said, newest first."""

        def question(session: Session) -> Answer:
            known = self.places.of(session, self.holdings, asked.feed, asked.source)
            with self.holdings.look(want_history(asked)) as look:
                return history(session, look, asked, known)

        return self._asked(patience, question)

    def event(self, seq: int, patience: Patience) -> Answer:
        """One event by its `seq`; no rows when it is not there."""

        def question(session: Session) -> Answer:
            with self.holdings.look(Want(first=seq, last=seq)) as look:
                return newest(session, look, Where(["seq = ?"], [seq]), 1, whole=False)

        return self._asked(patience, question)

    def points(self, asked: Points, patience: Patience) -> Answer:
        """Places of events as columns."""

        def question(session: Session) -> Answer:
            with self.holdings.look(want_of(asked.filter)) as look:
                allow(plan_of(look, whole=is_open(want_of(asked.filter))), self.limits, asked.confirmed)
                return points(session, look, asked)

        return self._asked(patience, question)

    def tile(self, asked: Tile, patience: Patience) -> Answer:
        """The squares of one map tile."""
        box = within_tile(asked)
        narrowed = replace(asked.filter, box=box) if box else replace(asked.filter, start=0, stop=0)

        def question(session: Session) -> Answer:
            with self.holdings.look(want_of(narrowed)) as look:
                allow(plan_of(look), self.limits, confirmed=False)
                return tile(session, look, replace(asked, filter=asked.filter if box else narrowed))

        return self._asked(patience, question)

    def tally(self, wanted: Filter, tally: Tally, patience: Patience) -> Answer:
        """How often values occur among the events of a filter."""

        def question(session: Session) -> Answer:
            with self.holdings.look(want_of(wanted)) as look:
                table, told = tallied(session, look, wanted, tally)
                return Answer(table, plan_of(look), look.reaches, told)

        return self._asked(patience, question)

    def sql(self, asked: Statement, patience: Patience) -> Answer:
        """An analyst's statement, in a sandbox of its own. Raises Refused for anything but one SELECT."""
        return _warned(run(self.holdings, asked, patience, self.limits, self.cage))

    def close(self) -> None:
        self.engine.close()
        self.places.close()


def _warned(answer: Answer) -> Answer:
    """What is missing is said with the answer."""
    if not answer.plan.damaged:
        return answer
    words = f"{answer.plan.damaged} damaged files could not be read, so this is incomplete; 'tocsin archive verify' says which"
    return replace(answer, notes=(*answer.notes, words))
