"""Whatever is appended, joined and interrupted in whatever order: every acknowledged row is there exactly once, as the journal had it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

from archive_world import DAY, FEEDS, START, Book, Crash, batch, calm, crash_at, event, keeper, plain, rows, spread
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.archive import keeper as keeper_module
from tocsin.archive.catalog import Catalog
from tocsin.archive.compact import compact
from tocsin.archive.holdings import Archive
from tocsin.archive.importing import Importer
from tocsin.archive.rows import journal_rows
from tocsin.archive.sweep import parquet_files
from tocsin.archive.verify import verify
from tocsin.model.archive import Want
from tocsin.model.ids import FIRST_IMPORTED

text = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6)
attrs = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "type": text, "level": st.floats(allow_nan=False, allow_infinity=False), "units": st.integers(-(2**60), 2**60), "open": st.booleans(),
        "due": st.integers(0, 2**50),
    },
)  # fmt: skip


@st.composite
def events(draw):
    feed = draw(st.sampled_from(sorted(FEEDS)))
    made = []
    for number in range(draw(st.integers(1, 6))):
        time = START + draw(st.integers(-40, 40)) * DAY + draw(st.integers(0, 3)) * 3_600_000_000 + draw(st.sampled_from([0, 1, 250_000]))
        more = draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "value": st.floats(allow_nan=False), "text": text, "attrs": attrs, "severity": st.integers(0, 4), "source": st.sampled_from(["a", "b", ""]),
                    "area": st.binary(max_size=5), "valid_until": st.integers(0, 2**50), "unit": st.sampled_from(["m", "cm"]), "refers_to": text,
                    "action": st.integers(0, 2),
                },
            )
        )  # fmt: skip
        place = draw(st.none() | st.tuples(st.floats(-180, 180), st.floats(-90, 90)))
        where = {} if place is None else {"lon": place[0], "lat": place[1]}
        source = more.get("source", "a")
        name = draw(st.sampled_from([f"n{number}", f"{source}/{time // 1_000_000}", f"{source}-{time}", f"{source}:{time // 1_000}"]))
        made.append(event(number, feed, time, **{**more, **where, "id": name}))
    return made


actions = st.one_of(
    st.tuples(st.just("append"), st.lists(events(), min_size=1, max_size=3)),
    st.tuples(st.just("import"), events()),
    st.tuples(st.just("flush"), st.none()),
    st.tuples(st.just("compact"), st.integers(-60, 100)),
    st.tuples(st.just("crash"), st.integers(1, 12)),
)


class Machine:
    """One archive, its keeper, and a book of what was acknowledged."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.book, self.imported = folder, Book(), []
        self.seq, self.files = 0, 0
        self.known: set[tuple] = set()
        self.open = keeper(folder)

    def act(self, what, value) -> None:
        if what == "crash":
            crash_at(value)
            return
        try:
            getattr(self, what)(value)
        except Crash:
            calm()
            self.open.close()
            self.open = keeper(self.folder)
            if what == "append":  # the journal hands out again what was not acknowledged
                self.append_again()
            if what == "import":
                self.take(self.pending)

    def unknown(self, made) -> list:
        """Without events that were there before: those are left out, which is held against `test_archive_doubles.py`."""
        fresh = {(one["feed"], one["id"], one["event_time"] // DAY): one for one in made}
        fresh = {key: one for key, one in fresh.items() if key not in self.known}
        self.known |= fresh.keys()
        return list(fresh.values())

    def append(self, groups) -> None:
        groups = [fresh for group in groups if (fresh := self.unknown(group))]
        self.pending = [(self.seq + place, batch(group)) for place, group in enumerate(groups, 1)]
        self.seq += len(groups)
        self.book.entries += self.pending
        self.open.append(self.pending, self.seq)

    def append_again(self) -> None:
        position = self.open.position
        assert position in (self.seq, self.seq - len(self.pending))
        self.open.append(self.book.entries, self.seq)

    def flush(self, _) -> None:
        self.open.flush()

    def compact(self, days) -> None:
        compact(self.open.catalog, START + days * DAY)

    def __getattr__(self, name):
        if name == "import":
            return self.import_new
        raise AttributeError(name)

    def import_new(self, made) -> None:
        made = self.unknown(made)
        if not made:
            return
        self.files += 1
        path = self.folder.parent / f"{self.files}.ndjson"
        path.write_text(str(self.files))
        self.pending = (path, made[0]["feed"], journal_rows([(0, batch(made))]))
        self.take(self.pending)

    def take(self, pending) -> None:
        path, feed, table = pending
        importer = Importer(self.folder, FEEDS)
        try:
            taken = importer.begin(feed, path)
            if taken.parts == 0:
                importer.add(taken, table)
            if not taken.done:
                importer.finish(taken)
        finally:
            importer.close()
        self.imported.append(table)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(actions, min_size=1, max_size=14), st.sampled_from([1, 5, 50_000]))
def test_every_acknowledged_row_is_there_once(plan, direct):
    root = Path(tempfile.mkdtemp())
    usual, keeper_module.DIRECT_ROWS = keeper_module.DIRECT_ROWS, direct
    try:
        machine = Machine(root / "archive")
        for what, value in plan:
            machine.act(what, value)
        calm()
        machine.open.close()
        keeper(root / "archive").close()  # what a crash left behind is swept at start
        found = plain(rows(root / "archive"))
        live = [row for row in found if row["seq"] > 0]
        assert live == machine.book.expected()
        old = [{**row, "seq": 0} for row in found if row["seq"] < 0]
        expected = [{**row, "seq": 0} for table in machine.imported for row in plain(table)]
        assert old == expected
        assert all(row["seq"] >= FIRST_IMPORTED for row in found)
        catalog = Catalog(root / "archive", write=True)
        assert verify(catalog).sound
        assert {one.file.path for one in catalog.files()} == set(parquet_files(root / "archive"))
        catalog.close()
    finally:
        calm()
        keeper_module.DIRECT_ROWS = usual
        shutil.rmtree(root)


def test_the_archive_knows_the_journals_clock_also_when_nothing_is_heard(tmp_path):
    kept = keeper(tmp_path / "archive")
    with contextlib.closing(Archive(kept.folder)) as archive:
        for entries, position, clock, heard in (
            ([(1, batch(spread(3)))], 1, START, None),
            ([], 7, START + 90 * DAY, START + 90 * DAY),
            ([], 8, 0, START + 90 * DAY),
        ):
            kept.append(entries, position, clock)
            with archive.look(Want()) as look:
                assert look.heard == (max(row["ingest_time"] for row in spread(3)) if heard is None else heard)
