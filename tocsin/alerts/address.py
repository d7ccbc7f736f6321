"""The address of a PostgreSQL state store: what may be written in it, and how it is shown - never with its password."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from tocsin.kernel.fault import Misconfigured, Problem

#: The whole address, with or without a password: the environment of a process is its owner's alone, a command line is everybody's.
VARIABLE: Final = "TOCSIN_STATE"
_SCHEMES: Final = ("postgresql", "postgres")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_SECRETS: Final = frozenset({"password", "sslpassword"})
_VALID: Final = "postgresql://user@host:5432/database?sslmode=verify-full, with the password in a passfile or in PGPASSWORD"


@dataclass(frozen=True, slots=True)
class Address:
    """`url`: as libpq takes it, without a password and without `schema`. `schema`: where the tables are, empty for the city's own."""

    url: str
    schema: str = ""
    secrets: tuple[tuple[str, str], ...] = ()  # libpq parameters that are shown nowhere

    def __repr__(self) -> str:
        return f"Address({self.text!r})"

    @property
    def text(self) -> str:
        """The whole address but for secrets; `parsed` reads it."""
        if not self.schema:
            return self.url
        return f"{self.url}{'&' if '?' in self.url else '?'}schema={self.schema}"

    @property
    def words(self) -> str:
        """How people are told which database is meant."""
        parts = urlsplit(self.url)
        query = dict(parse_qsl(parts.query))
        place = parts.netloc.rpartition("@")[2] or query.get("host", "") or query.get("service", "")
        return f"postgresql://{place}/{parts.path.strip('/') or query.get('dbname', '')}"

    def scrub(self, text: str) -> str:
        """`text` without any of the secrets, in case somebody else's message quotes one."""
        for _, secret in self.secrets:
            for written in {secret, quote(secret, safe=""), quote(secret)}:
                text = text.replace(written, "***") if written else text
        return text


def parsed(text: str, where: str, may_be_secret: bool) -> Address:
    """`where`: what to name in a mistake. `may_be_secret`: whether a password may be written in it. Raises Misconfigured, quoting no password."""
    try:
        parts = urlsplit(text.strip())
        user, password = parts.username, parts.password
    except ValueError:
        raise _wrong(where, f"this is no address of a database; valid is {_VALID}") from None
    if parts.scheme not in _SCHEMES:
        found = f"{parts.scheme}:" if parts.scheme else "no scheme"
        raise _wrong(where, f"found {found}; valid is {_VALID}. Without it the state is a SQLite file in the data directory")
    if parts.fragment:
        raise _wrong(where, "found a '#'; write %23 for it")
    query = parse_qsl(parts.query, keep_blank_values=True)
    secrets = [(name, value) for name, value in query if name in _SECRETS]
    if password is not None:
        secrets.insert(0, ("password", unquote(password)))
    if secrets and not may_be_secret:
        words = (
            f"a password does not belong here, where everybody on this machine can read it; write it into a passfile (~/.pgpass, PGPASSFILE, \
?passfile=/path) or into PGPASSWORD, or put the whole address into {VARIABLE}"
        )
        raise _wrong(where, words)
    schema = next((value for name, value in query if name == "schema"), "")
    if schema and not _NAME.fullmatch(schema):
        raise _wrong(where, f"schema={schema!r}; valid is a name of letters, digits and _, at most 63, as in schema=tocsin_city")
    kept = urlencode([(name, value) for name, value in query if name not in _SECRETS and name != "schema"], quote_via=quote, safe="/:,")
    netloc = parts.netloc
    if password is not None:
        netloc = f"{netloc.rpartition('@')[0].partition(':')[0]}@{netloc.rpartition('@')[2]}" if user else netloc.rpartition("@")[2]
    return Address(f"postgresql://{netloc}{parts.path or '/'}{'?' if kept else ''}{kept}", schema, tuple(secrets))


def chosen(option: str | None, environment: Mapping[str, str] = os.environ) -> Address | None:
    """What `--state` or the environment says; None for the SQLite file. Raises Misconfigured."""
    if option:
        return parsed(option, "--state", may_be_secret=False)
    written = environment.get(VARIABLE, "")
    return parsed(written, VARIABLE, may_be_secret=True) if written else None


def remembered(text: str, environment: Mapping[str, str] = os.environ) -> Address:
    """An address read back from where it was kept without its secrets: those of the environment are put in again if it is the same address."""
    kept = parsed(text, "node.json", may_be_secret=False)
    written = environment.get(VARIABLE, "")
    if written:
        now = parsed(written, VARIABLE, may_be_secret=True)
        if now.text == kept.text:
            return replace(kept, secrets=now.secrets)
    return kept


def _wrong(where: str, words: str) -> Misconfigured:
    return Misconfigured([Problem(where, 0, words)])
