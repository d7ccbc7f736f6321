"""What is stored as something SQL can select from: only the files a look names, and the rows that no file has yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from tocsin.model.archive import ID_FORM, ROLLUP, ROW, Look, StoredFile
from tocsin.model.asking import Plan, TooMuch
from tocsin.model.event import INSTANT
from tocsin.model.rowids import ID_SQL

from .engine import Session
from .straight import FIELDS, Near

#: Beyond this a question says first what it would read, and must be confirmed. A city's 60 days at 3 M a day.
ROWS_FREE: Final = 200_000_000
#: µs from 1970 beyond which there are no events: some 4,500 years.
NO_TIME: Final = 1 << 57
_TAIL: Final = "tail_of_the_archive"
_NEAR: Final = "rows_near_by"


@dataclass(frozen=True, slots=True)
class Limits:
    """`rows`: read without being confirmed."""

    rows: int = ROWS_FREE


def plan_of(look: Look, basis: str = "raw", whole: bool = False) -> Plan:
    """What this look would read at most."""
    size = sum(file.size for file in look.files)
    return Plan(len(look.files), look.rows, size + look.tail.nbytes, len(look.tail), basis, whole, len(look.damaged))


def allow(plan: Plan, limits: Limits, confirmed: bool) -> None:
    """Raises TooMuch."""
    if plan.rows > limits.rows and not confirmed:
        all_of_it = "everything there is: " if plan.whole else ""
        words = f"this would read {all_of_it}{plan.files:,} files with {plan.rows:,} rows ({plan.bytes / 1e9:.1f} GB)"
        raise TooMuch(plan, f"{words}; narrow it down by time, place, kind or feed, or confirm it")


def from_clause(
    session: Session,
    files: Iterable[StoredFile],
    tail: pa.Table | None,
    columns: Sequence[str],
    schema: pa.Schema = ROW,
    near: Near | None = None,
) -> str:
    """The rows of `files` and `tail` as a parenthesised select of `columns`. The tail is bound to the session's connection. `near`: rows that it leaves out may be
    missing."""
    names = ", ".join(columns)
    parts = []
    if near is not None:
        rows, files = _near_by(session, list(files), columns, near)
        if rows is not None:
            session.connection.register(_NEAR, rows)
            parts.append(f"SELECT {names} FROM {_NEAR}")  # noqa: S608
    paths = [str(file.path) for file in files]
    if paths:
        parts.append(scan(session, paths, columns, schema))
    if tail is not None and len(tail):
        session.connection.register(_TAIL, tail)
        parts.append(f"SELECT {names} FROM {_TAIL}")  # noqa: S608
    if not parts:
        session.connection.register(_TAIL, schema.empty_table())
        parts.append(f"SELECT {names} FROM {_TAIL}")  # noqa: S608
    return f"({' UNION ALL '.join(parts)})"


def straight_rows(
    session: Session, files: Sequence[StoredFile], tail: pa.Table | None, columns: Sequence[str], near: Near
) -> pa.Table | None:
    """The rows of `files` that may matter and all of `tail`, names as texts; None where the engine must read some of them."""
    rows, left = _near_by(session, list(files), columns, near)
    if left:
        return None
    parts = [part.select(list(columns)) for part in (rows, tail) if part is not None and len(part)]
    schema = pa.schema([FIELDS[name] for name in columns])
    return pa.concat_tables([part.cast(schema) for part in parts] or [schema.empty_table()])


def _near_by(session: Session, files: list[StoredFile], columns: Sequence[str], near: Near) -> tuple[pa.Table | None, list[StoredFile]]:
    """The rows that were read straight from the files, if they were; and the files that are left to the engine."""
    try:
        parts, left = session.straight.worth([part for part in session.straight.parts(files, near, session.told) if len(part.groups)])
        rows = session.straight.rows(parts, near, columns, session.patience) if parts else None
    except (OSError, pa.ArrowException):  # a file that cannot be read: the engine finds that, too, and says so
        return None, files
    return rows, [part.file for part in (left if rows is not None else (*parts, *left))]


def scan(session: Session, paths: Sequence[str], columns: Sequence[str], schema: pa.Schema) -> str:
    """A select of `columns` from exactly these files. Files of an older version of the archive lack columns: those are null."""
    listed = ", ".join(quoted(path) for path in paths)
    if not session.mixed:
        shown = ", ".join(f"{ID_SQL} AS id" if name == "id" else name for name in columns)
        return f"SELECT {shown} FROM read_parquet([{listed}], hive_partitioning = false)"  # noqa: S608
    inner = f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
    there = set(session.connection.sql(f"SELECT * FROM {inner}").columns)  # noqa: S608

    def shown_of(name: str) -> str:
        bare = name.strip('"')
        if bare not in there:
            return f"NULL::{_duck_type(schema.field(bare))} AS {name}"
        return f"{ID_SQL} AS id" if bare == "id" and ID_FORM.name in there else name

    return f"SELECT {', '.join(shown_of(name) for name in columns)} FROM {inner}"  # noqa: S608


def _duck_type(field: pa.Field) -> str:
    kinds = {pa.int64(): "BIGINT", pa.int8(): "TINYINT", pa.float64(): "DOUBLE", pa.binary(): "BLOB", INSTANT: "TIMESTAMPTZ"}
    return kinds.get(field.type, "VARCHAR")


def as_written(sql: str, source: str, table: str, values: Sequence[Any]) -> str:
    """A statement as an analyst would write it: from the view `table`, with the values in place. No text in `sql` holds a question mark."""
    first, *rest = sql.replace(source, table).split("?")
    return first + "".join(_literal(value) + part for value, part in zip(values, rest, strict=True))


def _literal(value: Any) -> str:
    return quoted(value) if isinstance(value, str) else str(value)


def quoted(text: str) -> str:
    """A string literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


#: Columns of an event, and of a rollup, in their order.
EVENT_COLUMNS: Final = tuple(ROW.names)
ROLLUP_COLUMNS: Final = tuple('"values"' if name == "values" else name for name in ROLLUP.names)
