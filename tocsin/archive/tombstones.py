"""The archive's own record of what was removed, and of what must not be: signed, chained, checked offline.

Each entry is a JSON text; its hash covers the hash of the entry before, its signature (Ed25519, RFC 8032) the hash. So none can be changed, left out or put in
between without the key, which only this user may read. Where a key was lost with its disk, another one goes on: the public file then has a line for each,
with the number of the first entry that it signs.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tocsin.kernel import durable
from tocsin.kernel.fault import Fatal

from .catalog import Catalog

KEY_FILE, PUBLIC_FILE = "tombstone.key", "tombstone.pub"
NOTHING: Final = "0" * 64  # the hash before the first entry


class Signer:
    """Holds the key; makes it at first use."""

    def __init__(self, folder: Path) -> None:
        """Raises Fatal when the key cannot be used, OSError."""
        path = folder / KEY_FILE
        if not path.exists():
            durable.replace(path, Ed25519PrivateKey.generate().private_bytes_raw().hex().encode() + b"\n")
        try:
            self._key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text().strip()))
        except ValueError as fault:
            raise Fatal(f"{path} is no Ed25519 key (64 hex digits): {fault}") from None
        if not (folder / PUBLIC_FILE).exists():
            durable.replace(folder / PUBLIC_FILE, self.public_key.encode() + b"\n")

    @property
    def public_key(self) -> str:
        """64 hex digits."""
        return self._key.public_key().public_bytes_raw().hex()

    def write(self, connection: sqlite3.Connection, entry: Mapping[str, Any]) -> None:
        """One more entry. Within a transaction of the caller, which does what it says."""
        last = connection.execute("SELECT id, hash FROM tombstone ORDER BY id DESC LIMIT 1").fetchone() or (0, NOTHING)
        text = json.dumps({"number": last[0] + 1, **entry}, sort_keys=True, separators=(",", ":"))
        digest = _hash(last[1], text)
        signature = self._key.sign(bytes.fromhex(digest)).hex()
        connection.execute("INSERT INTO tombstone VALUES (?, ?, ?, ?)", (last[0] + 1, text, digest, signature))


def succeeded(public: str, key: str, first: int) -> str:
    """The text of a public file from whose last key on `key` signs, entry `first` and those after it; as it is where that is the same one."""
    lines = public.splitlines()
    return public if lines[-1].split()[0] == key else "\n".join([*lines, f"{key} {first}"])


def _keys(text: str) -> list[tuple[int, Ed25519PublicKey]]:
    """From which entry on each key signs, newest first. Raises ValueError."""
    lines = [line.split() for line in text.splitlines()]
    made = [(int(words[1]) if len(words) > 1 else 0, Ed25519PublicKey.from_public_bytes(bytes.fromhex(words[0]))) for words in lines]
    return made[::-1]


def _hash(before: str, text: str) -> str:
    return hashlib.sha256(bytes.fromhex(before) + text.encode()).hexdigest()


def entries(catalog: Catalog) -> list[dict[str, Any]]:
    """All of them, oldest first."""
    return [json.loads(row[0]) for row in catalog.connection.execute("SELECT text FROM tombstone ORDER BY id")]


def check(catalog: Catalog) -> list[str]:
    """What is wrong with the chain; empty when nothing is. Raises OSError."""
    found = catalog.connection.execute("SELECT id, text, hash, signature FROM tombstone ORDER BY id").fetchall()
    if not found:
        return []
    try:
        keys = _keys((catalog.folder / PUBLIC_FILE).read_text().strip())
        oldest = keys[-1][1]
    except (OSError, ValueError, IndexError) as fault:
        return [f"the public key {PUBLIC_FILE} cannot be read ({fault}): signatures cannot be checked"]
    wrong, before = [], NOTHING
    for place, (number, text, digest, signature) in enumerate(found, 1):
        if number != place or json.loads(text).get("number") != number:
            wrong.append(f"entry {place} is numbered {number}: entries are missing or out of order")
            break
        if _hash(before, text) != digest:
            wrong.append(f"entry {number}: its text or its place in the chain was changed")
        try:
            key = next((one for first, one in keys if first <= number), oldest)
            key.verify(bytes.fromhex(signature), bytes.fromhex(digest))
        except (InvalidSignature, ValueError):
            wrong.append(f"entry {number}: the signature is not that of {PUBLIC_FILE}")
        before = digest
    return wrong
