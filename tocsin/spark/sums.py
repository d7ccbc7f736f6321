"""Sums over the archive in Spark: the groups of a series or of a map in its SQL, tallies in tasks of the house's own, both added up exactly, so that how rows were
dealt out does not show."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import pyarrow as pa

from tocsin.model.archive import ROLLUP, ROW, Box, Look, StoredFile
from tocsin.model.asking import Filter, Patience, Refused, Tally, TooSlow

from .session import first_line, java_error, spread

#: Zoom of `cell` in events and in rollups.
_ZOOM: Final = {"": 16, "hourly": 14, "daily": 14}
#: A number is an integer times a power of two: so many bits are kept of the integer, which is more than a float has.
_BITS: Final = 60
_AMOUNTS: Final = (("rows", pa.int64()), ("values", pa.int64()), ("low", pa.float64()), ("high", pa.float64()), ("severity", pa.int8()))


#: Tallies of some files and rows, as `query.tallies.counted`; found by its name where tasks run.
Counted = Callable[[Sequence[StoredFile], pa.Table | None, Filter, Tally, Patience], pa.Table]
#: Rows that a task counts, about.
_ROWS_A_TASK: Final = 5_000_000


class SparkEngine:
    """As `query.engine.Engine`, for questions that are sums. `made`: a `pyspark.sql.SparkSession`."""

    def __init__(self, made: Any, counted: Counted) -> None:
        self._made, self._counted = made, counted

    @contextmanager
    def session(self, patience: Patience) -> Iterator[SumsSession]:
        yield SumsSession(self._made, patience, self._counted)

    def close(self) -> None:
        """Nothing is held."""


class SumsSession:
    """One question. It is not interrupted when `patience` ends: a cluster has its own limits."""

    def __init__(self, made: Any, patience: Patience, counted: Counted) -> None:
        self._made, self._counted = made, counted
        self.patience = patience
        self.mixed = False

    def sums(self, look: Look, wanted: Filter, keys: Sequence[tuple[str, int]], basis: str, more: str, most: int) -> tuple[pa.Table, str]:
        """One row a group: keys, rows, values, total, low, high, severity; at most `most` + 1 of them. `keys`: column and its measure (width of a
        bucket in µs, zoom of a cell). `basis`: as in `Plan`. Returns the statement too. Raises Refused, TooSlow."""
        conditions = [*_conditions(wanted, "start" if basis else "event_time"), *([more] if more else [])]
        view = f"tocsin_{uuid.uuid4().hex}"
        sql = statement(keys, basis, " AND ".join(conditions) or "true", most)
        self._view(look, ROLLUP if basis else ROW, view)
        try:
            rows = self._made.sql(sql.format(events=view)).collect()
        except Exception as fault:
            if not isinstance(fault, (self._fault(), java_error())):
                raise
            raise TooSlow(f"Spark gave it up: {first_line(fault)}") from None
        finally:
            self._made.catalog.dropTempView(view)
        return _table(rows, keys), sql.format(events=basis or "events")

    def tallies(self, look: Look, wanted: Filter, tally: Tally) -> list[pa.Table]:
        """Of some files each, and of the rows that no file has yet. Raises Fatal, TooSlow."""
        tasks = [_Count(self._counted, files, wanted, tally, self.patience.seconds) for files in _shares(look.files)]
        found = [pa.ipc.open_stream(body).read_all() for body in spread(self._made, _Count.run, tasks)] if tasks else []
        if len(look.tail) or not found:
            found.append(self._counted((), look.tail, wanted, tally, self.patience))
        return found

    def _view(self, look: Look, schema: pa.Schema, view: str) -> None:
        """The rows of a look under a name: exactly its files, no column taken from a path, and the rows that no file has yet."""
        fields = _spark_schema(schema)
        paths = [str(file.path) for file in look.files]
        parts = []
        if paths:
            parts.append(self._made.read.schema(fields).option("recursiveFileLookup", "true").parquet(*paths))
        if len(look.tail) or not paths:
            rows = [tuple(row[name] for name in schema.names) for row in look.tail.to_pylist()]
            parts.append(self._made.createDataFrame(rows, fields))
        frame = parts[0] if len(parts) == 1 else parts[0].unionByName(parts[1])
        frame.createOrReplaceTempView(view)

    @staticmethod
    def _fault() -> type[Exception]:
        from pyspark.errors import PySparkException

        found: type[Exception] = PySparkException
        return found


@dataclass(frozen=True, slots=True)
class _Count:
    """What one task counts."""

    counted: Counted
    files: tuple[StoredFile, ...]
    wanted: Filter
    tally: Tally
    seconds: float

    def run(self) -> bytes:
        """As an Arrow stream."""
        table = self.counted(self.files, None, self.wanted, self.tally, Patience(self.seconds))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        body: bytes = sink.getvalue().to_pybytes()
        return body


def _shares(files: Sequence[StoredFile]) -> Iterator[tuple[StoredFile, ...]]:
    """Files of about as many rows together, in order; a large one by itself."""
    share: list[StoredFile] = []
    for file in files:
        if share and sum(one.rows for one in share) + file.rows > _ROWS_A_TASK:
            yield tuple(share)
            share = []
        share.append(file)
    if share:
        yield tuple(share)


def statement(keys: Sequence[tuple[str, int]], basis: str, where: str, most: int) -> str:
    """SQL of Spark with `{events}` for what is selected from. Values are added as integers by their power of two."""
    number, counts = (
        ("total", ("sum(rows)", "sum(`values`)", "low", "high")) if basis else ("value", ("count(*)", "count(value)", "value", "value"))
    )
    names = [name for name, _ in keys]
    shown = "".join(f"{_key(name, measure, basis)} AS {name}, " for name, measure in keys)
    finite = f"{number} IS NOT NULL AND NOT isnan({number}) AND abs({number}) < double('infinity')"
    power = f"CASE WHEN {finite} AND {number} <> 0 THEN greatest(-900, CAST(floor(log2(abs({number}))) AS INT)) ELSE 0 END"
    whole = f"CASE WHEN {finite} THEN CAST(CAST({number} * pow(2, {_BITS} - power) AS BIGINT) AS DECIMAL(38, 0)) END"
    inner = f"SELECT *, {power} AS power FROM {{events}} WHERE {where}"  # noqa: S608
    some = (  # texts of a filter are in `where` as literals
        f"SELECT {shown}power, {counts[0]} AS rows, {counts[1]} AS `values`, min({counts[2]}) AS low, max({counts[3]}) AS high, "  # noqa: S608
        f"max(severity) AS severity, sum({whole}) AS whole, sum(CASE WHEN NOT ({finite}) THEN {number} END) AS odd "
        f"FROM ({inner}) GROUP BY ALL"
    )
    by = "".join(f"{name}, " for name in names)
    last = f" GROUP BY {', '.join(names)} LIMIT {most + 1}" if names else ""
    return (
        f"SELECT {by}sum(rows) AS rows, sum(`values`) AS `values`, min(low) AS low, max(high) AS high, max(severity) AS severity, "  # noqa: S608
        f"collect_list(struct(power, whole)) AS parts, sum(odd) AS odd FROM ({some}){last}"
    )


def _key(name: str, measure: int, basis: str) -> str:
    if name == "bucket":
        instant = f"unix_micros({'start' if basis else 'event_time'})"
        return f"({instant} - pmod({instant}, {measure})) div {measure}"
    if name == "cell":
        return f"shiftright(cell, {2 * (_ZOOM[basis] - measure)})"
    return name


def _conditions(wanted: Filter, time: str) -> Iterator[str]:
    """What a filter asks, as SQL of Spark. Raises Refused."""
    if wanted.text:
        raise Refused("text: Spark does not look into texts; ask without words, or here")
    if wanted.start is not None:
        yield f"{time} >= timestamp_micros({wanted.start})"
    if wanted.stop is not None:
        yield f"{time} < timestamp_micros({wanted.stop})"
    if wanted.box is not None:
        yield _box(wanted.box)
    if wanted.kinds:
        each = [f"(kind = {_text(kind)} OR (kind >= {_text(kind + '.')} AND kind < {_text(kind + '/')}))" for kind in wanted.kinds]
        yield f"({' OR '.join(each)})"
    for column, names in (("feed", wanted.feeds), ("source", wanted.sources)):
        if names:
            yield f"{column} IN ({', '.join(map(_text, names))})"
    if wanted.severity is not None:
        yield f"severity >= {int(wanted.severity)}"


def _box(box: Box) -> str:
    across = f"(lon >= {box.west!r}D OR lon <= {box.east!r}D)" if box.west > box.east else f"lon BETWEEN {box.west!r}D AND {box.east!r}D"
    return f"lat BETWEEN {box.south!r}D AND {box.north!r}D AND {across}"


def _text(text: str) -> str:
    """A literal of Spark SQL, letter by letter where it is not plain; `{` and `}` would be taken for a place of `format`."""
    safe = "".join(one if one.isascii() and (one.isalnum() or one in "._-/ :") else _escaped(one) for one in text)
    return f"'{safe}'"


def _escaped(letter: str) -> str:
    code = ord(letter)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _spark_schema(schema: pa.Schema) -> Any:
    from pyspark.sql import types

    kinds = {pa.int64(): types.LongType(), pa.int8(): types.ByteType(), pa.float64(): types.DoubleType(), pa.binary(): types.BinaryType()}

    def kind(field: pa.Field) -> Any:
        return kinds.get(field.type) or (types.TimestampType() if pa.types.is_timestamp(field.type) else types.StringType())

    return types.StructType([types.StructField(field.name, kind(field)) for field in schema])


def _table(rows: Sequence[Any], keys: Sequence[tuple[str, int]]) -> pa.Table:
    """Rows of `statement` as the house writes them."""
    numbers = {"bucket": pa.int64(), "cell": pa.int64(), "lon": pa.float64(), "lat": pa.float64()}
    columns = {name: pa.array([row[name] for row in rows], numbers.get(name, pa.string())) for name, _ in keys}
    columns |= {name: pa.array([row[name] for row in rows], kind) for name, kind in _AMOUNTS[:2]}
    columns["total"] = pa.array([_total(row["parts"], row["odd"], row["values"]) for row in rows], pa.float64())
    return pa.table(columns | {name: pa.array([row[name] for row in rows], kind) for name, kind in _AMOUNTS[2:]})


def _total(parts: Sequence[Any], odd: float | None, values: int | None) -> float | None:
    """The nearest float to the exact sum; None of nothing."""
    if not values:
        return None
    if odd is not None:
        return odd
    exact = sum(
        (Fraction(int(part["whole"])) * Fraction(2) ** (int(part["power"]) - _BITS) for part in parts if part["whole"] is not None),
        Fraction(0),
    )
    return float(exact)
