"""PostgreSQL as the database of the alerts view. The driver (psycopg 3, extra `postgres`) is imported when a node uses it."""

from __future__ import annotations

import re
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Engine

from tocsin.kernel.fault import Misconfigured, Problem

from .address import Address
from .database import Database

#: Of libpq, where the address says nothing else: seconds, milliseconds.
_DEFAULTS: Final = {
    "application_name": "tocsin serve",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
#: Of every session: nobody waits for ever, neither we nor, for our locks, anybody else.
_SESSION: Final = "-c statement_timeout=20s -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s -c timezone=UTC"
_POOL: Final = {"pool_size": 4, "max_overflow": 12, "pool_timeout": 5.0, "pool_pre_ping": True, "pool_recycle": 1800}
_MISSING: Final = (
    "the driver of PostgreSQL is not installed; install it with: pip install 'tocsin[postgres]'"
    " (in a checkout: .venv/bin/pip install --require-hashes -r requirements/postgres.lock)"
)


def driver() -> Any:
    """psycopg. Raises Misconfigured when it is not installed."""
    try:
        import psycopg
        import psycopg.conninfo
    except ImportError as error:
        why = "" if isinstance(error, ModuleNotFoundError) and error.name == "psycopg" else f" ({str(error).splitlines()[0]})"
        raise Misconfigured([Problem("--state", 0, _MISSING + why)]) from None
    return psycopg


def checked(address: Address) -> dict[str, Any]:
    """The parameters of a connection. Nothing is connected. Raises Misconfigured for what libpq does not know."""
    psycopg = driver()
    try:
        found: dict[str, Any] = psycopg.conninfo.conninfo_to_dict(address.url, **dict(address.secrets))
    except psycopg.Error as error:
        raise Misconfigured([Problem("--state", 0, f"{address.words}: {address.scrub(str(error).strip())}")]) from None
    own = found.pop("options", "")
    return _DEFAULTS | found | {"options": f"{_SESSION} {own}".strip()}


def postgres(address: Address, city: str) -> Database:
    """`city`: name of the city, for the schema of an address that names none. Connects when it is used. Raises Misconfigured."""
    parameters = checked(address)
    schema = address.schema or "tocsin_" + re.sub(r"[^A-Za-z0-9_]", "_", city)[:56]
    return Database(_engine(parameters, schema), schema, True, f"{address.words}, schema {schema}")


def _engine(parameters: dict[str, Any], schema: str) -> Engine:
    psycopg = driver()

    def connect() -> Any:
        return psycopg.connect(**parameters)

    engine = sa.create_engine("postgresql+psycopg://", creator=connect, hide_parameters=True, **_POOL)
    return engine.execution_options(schema_translate_map={None: schema})
