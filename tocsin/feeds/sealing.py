"""Encryption of what must be kept for a day but never be readable in a file: AES-256-GCM with a key only this user may read."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tocsin.kernel.fault import Fatal

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12  # NIST SP 800-38D: 96 random bits, fine for 2^32 messages of one key


def private_file(path: Path, content: bytes) -> bytes:
    """The bytes of a file only its owner may read (0600); written durably with `content` when it does not exist yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return content


class Seal:
    """Seals and opens bytes; `about` is bound to them (a sealed record cannot be passed off as another's)."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._aes = AESGCM(key)

    @classmethod
    def from_file(cls, path: Path) -> Seal:
        """Makes the key at first use. Raises `Fatal` when the file does not hold a key."""
        key = private_file(path, secrets.token_bytes(KEY_BYTES))
        if len(key) != KEY_BYTES:
            raise Fatal(f"{path}: holds {len(key)} bytes, a key has {KEY_BYTES}; restore it, or move it away to start with a new key")
        return cls(key)

    def close(self, clear: bytes, about: str) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._aes.encrypt(nonce, clear, about.encode())

    def open(self, sealed: bytes, about: str) -> bytes | None:
        """None when the bytes were sealed with another key or for something else."""
        if len(sealed) <= NONCE_BYTES:
            return None
        try:
            return self._aes.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], about.encode())
        except InvalidTag:
            return None

    def name(self, *parts: bytes) -> str:
        """A stable name for some bytes that tells nothing about them without the key: 20 hex digits."""
        digest = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()[:20]
