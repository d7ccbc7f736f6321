"""One secret per webhook feed, made at first start and kept in a file only its owner may read."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from pathlib import Path

from tocsin.kernel.fault import Fatal

from .sealing import private_file


class Tokens:
    """Feed name -> token, from `tokens/<feed>` in the data directory. Files are read once, at start."""

    def __init__(self, folder: Path, feeds: Iterable[str]) -> None:
        self._digests = {feed: _digest(_read(folder, feed)) for feed in feeds}

    def fits(self, feed: str, token: str) -> bool:
        """In constant time, whatever the lengths."""
        return hmac.compare_digest(self._digests.get(feed, b""), _digest(token))


def _read(folder: Path, feed: str) -> str:
    path = folder / feed
    if path.parent != folder or feed in {".", ".."}:
        raise Fatal(f"{feed!r} cannot be a file name, so it cannot have a token; a feed name is letters, digits, '.', '_' and '-'")
    token = private_file(path, secrets.token_urlsafe(32).encode() + b"\n").decode().strip()
    if not token:
        raise Fatal(f"{path}: is empty; delete it to get a new token")
    return token


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
