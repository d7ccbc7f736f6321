"""The sandbox: reads one statement, says what it needs, is given the files, locks itself in, and sends the rows."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from typing import Any, BinaryIO, Final

sys.path[:0] = [str(Path(__file__).parents[3])]  # started by its path and without an environment

import duckdb  # noqa: E402
import orjson  # noqa: E402
import pyarrow as pa  # noqa: E402

from tocsin.kernel.fault import nearest  # noqa: E402
from tocsin.query.sandbox.bounds import TABLES, bounds_of  # noqa: E402
from tocsin.query.sandbox.confine import confine, limit  # noqa: E402
from tocsin.query.sandbox.frames import ASKED, DONE, FAILED, FILES, NEEDS, ROWS, Broken, receive, send  # noqa: E402

#: Rows asked of the engine at a time.
BATCH: Final = 8192
_SHUT: Final[dict[str, Any]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
    "temp_directory": "",
}
_NO_TABLE: Final = re.compile(r"^Catalog Error: Table with name (.+?) does not exist!")
_CASTS: Final = {"time": "epoch_us(CAST(({}) AS TIMESTAMPTZ))", "number": "CAST(({}) AS DOUBLE)", "text": "CAST(({}) AS VARCHAR)"}


class Refusal(Exception):
    """`kind`: refused, slow or memory."""

    def __init__(self, words: str, kind: str = "refused") -> None:
        super().__init__(words)
        self.kind = kind


def main() -> None:
    coming, going = sys.stdin.buffer, sys.stdout.buffer
    try:
        _, body = _expect(coming, ASKED)
        asked = orjson.loads(body)
        limit(asked["memory"] * 2 + (512 << 20), asked["seconds"], asked["threads"])
        send(going, NEEDS, orjson.dumps(needs(asked["sql"])))
        _, body = _expect(coming, FILES)
        given = orjson.loads(body)
        tails = {name: pa.ipc.open_stream(_expect(coming, FILES)[1]).read_all() for name in given["views"]}
        held = confine([path for view in given["views"].values() for path in view["paths"]])
        send_rows(going, asked, given["views"], tails, held)
    except Refusal as fault:
        send(going, FAILED, orjson.dumps({"kind": fault.kind, "words": str(fault)}))
    except (MemoryError, duckdb.OutOfMemoryException, pa.ArrowMemoryError):
        send(going, FAILED, orjson.dumps({"kind": "memory", "words": "memory"}))
    except (duckdb.Error, RuntimeError) as fault:
        kind = "memory" if "bad_alloc" in str(fault) or "allocate" in str(fault) else "refused"
        send(going, FAILED, orjson.dumps({"kind": kind, "words": _told(fault)}))


def _expect(pipe: BinaryIO, kind: bytes) -> tuple[bytes, bytes]:
    found = receive(pipe)
    if found[0] != kind:
        raise Broken(f"found a frame {found[0]!r}")
    return found


def needs(sql: str) -> dict[str, Any]:
    """Bounds by table. Raises Refusal for what is not one SELECT."""
    database = duckdb.connect(":memory:", config={**_SHUT, "threads": 1, "enable_external_access": False})
    try:
        database.execute("SET TimeZone = 'UTC'")
        statements = database.extract_statements(sql)
        if len(statements) != 1:
            raise Refusal(f"found {len(statements)} statements; valid is one SELECT")
        kind = statements[0].type.name
        if kind == "MULTI":
            raise Refusal(
                "found a PIVOT without its values; name them, as in PIVOT events ON kind IN ('call.fire', 'call.medical') USING count(*)"
            )
        if kind != "SELECT":
            raise Refusal(f"found a statement of the kind {kind}; valid is one SELECT: this reads history and cannot change anything")
        text = database.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
        tree = orjson.loads(text[0]) if text else {"error": True}
        if tree.get("error"):
            return {table: {} for table in TABLES}
        return bounds_of(tree, lambda node, what: _evaluated(database, node, what))
    finally:
        database.close()


def _evaluated(database: duckdb.DuckDBPyConnection, node: Any, what: str) -> Any:
    """A constant expression's value, None when it has none."""
    try:
        template = orjson.loads(database.execute("SELECT json_serialize_sql('SELECT 1')").fetchall()[0][0])
        template["statements"][0]["node"]["select_list"] = [node]
        text = database.execute("SELECT json_deserialize_sql(?::JSON)", [orjson.dumps(template).decode()]).fetchall()[0][0]
        expression = text.removeprefix("SELECT ")
        return database.execute(f"SELECT {_CASTS[what].format(expression)}").fetchall()[0][0]
    except duckdb.Error:
        return None


def send_rows(going: BinaryIO, asked: dict[str, Any], views: dict[str, Any], tails: dict[str, pa.Table], held: bool) -> None:
    """Runs the statement and sends its rows as one Arrow IPC stream, a batch a frame, at most `limit` of them."""
    database = opened(asked, views, tails)
    reader = database.sql(asked["sql"]).to_arrow_reader(BATCH)
    left, size, cut = asked["limit"], 0, False
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, reader.schema) as writer:
        for batch in reader:
            if not batch.num_rows:
                continue
            part = batch.slice(0, left)
            writer.write_batch(part)
            size += buffer.tell()
            send(going, ROWS, buffer.getvalue())
            buffer.seek(0)
            buffer.truncate()
            left -= len(part)
            cut = len(part) < len(batch) or size > asked["bytes"]
            if cut:
                break
    send(going, ROWS, buffer.getvalue())
    send(going, DONE, orjson.dumps({"cut": cut, "held": held}))


def opened(asked: dict[str, Any], views: dict[str, Any], tails: dict[str, pa.Table]) -> duckdb.DuckDBPyConnection:
    """The engine with its views, locked: no other file, no network, no extension, no setting."""
    paths = [path for view in views.values() for path in view["paths"]]
    config = {**_SHUT, "threads": asked["threads"], "memory_limit": f"{asked['memory'] >> 20}MiB", "max_expression_depth": 250}
    database = duckdb.connect(":memory:", config=config)
    database.execute("SET TimeZone = 'UTC'")
    database.execute(f"SET allowed_paths = [{', '.join(_quoted(path) for path in paths)}]")
    database.execute("SET enable_external_access = false")
    for name, view in views.items():
        database.register(f"{name}_tail", tails[name])
        database.execute(f"CREATE VIEW {name} AS {view['sql']}")
    database.execute("SET lock_configuration = true")
    return database


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _told(fault: Exception) -> str:
    """The engine's own words without what only its makers need, and without tables that are only theirs."""
    words = str(fault).split("\n\nStack")[0].strip()[:2000]
    missing = _NO_TABLE.search(words)
    return words if missing is None else f"there is no table {missing[1]!r}; {nearest(missing[1], TABLES)}"


if __name__ == "__main__":
    main()
