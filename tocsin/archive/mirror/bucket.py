"""A bucket as the mirror uses it: a list of objects, sending with proof, fetching, removing; every fault says what it is and where.

`pyarrow.fs.S3FileSystem` does the talking (signature version 4, retries, parts). Keys come from the environment or an AWS profile, never from here.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from tocsin.kernel.fault import Fatal, Retriable
from tocsin.model.mirror import Address

#: What is sent or read at once; larger objects go in parts of this size, as pyarrow sends them.
PART: Final = 10 << 20
CONNECT_SECONDS: Final = 10.0
#: A server that says nothing for so long is taken for gone.
SILENT_SECONDS: Final = 30.0
ATTEMPTS: Final = 4
_WORDS: Final = re.compile(r"AWS Error (?P<code>.+?) during (?P<action>\w+) operation: ?(?P<words>.*)", re.DOTALL)
_KEYS: Final = "keys come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) or an AWS profile (AWS_PROFILE)"
#: What will not be better the next time.
_REFUSED: Final = {
    "ACCESS_DENIED": f"access is refused; {_KEYS}, and they must allow listing, reading, writing and removing below the prefix",
    "INVALID_ACCESS_KEY_ID": f"the access key is not known there; {_KEYS}",
    "INVALID_CLIENT_TOKEN_ID": f"the access key is not known there; {_KEYS}",
    "MISSING_AUTHENTICATION_TOKEN": f"no keys were given; {_KEYS}",
    "SIGNATURE_DOES_NOT_MATCH": f"the secret key is not the one that belongs to the access key; {_KEYS}",
    "NO_SUCH_BUCKET": "there is no such bucket; whoever runs the storage makes it, Tocsin makes none",
    "REQUEST_TIME_TOO_SKEWED": "the clocks of this machine and of the storage differ too much; set this one's",
}


@dataclass(frozen=True, slots=True)
class Digest:
    """Of a file's bytes. `tags`: what a server may call it, as it was sent: MD5 of the whole, or of the MD5s of its parts."""

    size: int
    sha256: str
    tags: frozenset[str]


def digest(path: Path) -> Digest:
    """Reads it once. Raises OSError."""
    whole, sha, parts, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), list[bytes](), 0
    with path.open("rb") as file:
        while piece := file.read(PART):
            size += len(piece)
            whole.update(piece)
            sha.update(piece)
            parts.append(hashlib.md5(piece, usedforsecurity=False).digest())
    joined = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
    return Digest(size, sha.hexdigest(), frozenset((whole.hexdigest(), f"{joined}-{len(parts)}")))


class Bucket:
    """Objects below the prefix, by their path from there. For any number of threads. Every method raises Retriable for a server that cannot be reached, or is
    overloaded; Fatal for what will not be better the next time, in words."""

    def __init__(self, address: Address, silent: float = SILENT_SECONDS, attempts: int = ATTEMPTS) -> None:
        """`silent`: seconds without a byte after which the server is taken for gone."""
        from pyarrow import fs

        try:
            self.address = address = address.here(os.environ)
        except ValueError as fault:
            raise Fatal(f"{address.place}: AWS_ENDPOINT_URL: {fault}") from None
        server = urlsplit(address.endpoint) if address.endpoint else None
        more: dict[str, Any] = {} if server is None else {"endpoint_override": server.netloc, "scheme": server.scheme}
        if address.region:
            more["region"] = address.region
        elif server is not None:
            more["region"] = "us-east-1"  # what most servers that are not Amazon's take for granted
        with self._telling(""):
            self._fs = fs.S3FileSystem(
                connect_timeout=CONNECT_SECONDS,
                request_timeout=silent,
                retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=attempts),
                allow_delayed_open=True,
                background_writes=False,
                **more,
            )
        self._root = f"{address.bucket}/{address.prefix}".rstrip("/")

    def check(self) -> None:
        """That there is such a bucket, and it can be listed."""
        from pyarrow import fs

        with self._telling(""):
            found = self._fs.get_file_info(self.address.bucket)
        if found.type == fs.FileType.NotFound:
            raise Fatal(f"{self.address.place}: {_REFUSED['NO_SUCH_BUCKET']}")

    def sizes(self, below: str = "") -> dict[str, int]:
        """Every object and its bytes."""
        from pyarrow import fs

        with self._telling(below):
            found = self._fs.get_file_info(fs.FileSelector(self._at(below).rstrip("/"), recursive=True, allow_not_found=True))
        cut = len(self._root) + 1
        return {one.path[cut:]: int(one.size or 0) for one in found if one.type == fs.FileType.File}

    def put(self, name: str, content: bytes) -> None:
        """A small object, whole or not at all."""
        with self._telling(name), self._fs.open_output_stream(self._at(name)) as stream:
            stream.write(content)

    def get(self, name: str, most: int = 64 << 20) -> bytes:
        """A small object. Raises FileNotFoundError too."""
        with self._telling(name), self._fs.open_input_file(self._at(name)) as file:
            if file.size() > most:
                raise Fatal(f"{self.address.place}/{name} has {file.size():,} bytes; it is none of a mirror's")
            return bytes(file.read())

    def send(self, path: Path, name: str, known: Digest) -> None:
        """A file, and proof that it is there. `known`: its digest. Raises OSError for the file, Retriable when something else has arrived."""
        with path.open("rb") as file, self._telling(name), self._fs.open_output_stream(self._at(name)) as stream:
            while piece := file.read(PART):
                stream.write(piece)
        if not self.holds(name, known):
            raise Retriable(f"{self.address.place}/{name} is not what was sent; it is sent again the next time", after=1.0)

    def holds(self, name: str, known: Digest) -> bool:
        """Whether the object has these bytes: by the server's MD5 where it says one, else by reading them."""
        try:
            with self._telling(name), self._fs.open_input_file(self._at(name)) as file:
                size, said = file.size(), _said(file, "ETag")
        except FileNotFoundError:
            return False
        if size != known.size:
            return False
        return said in known.tags or self.read(name)[1] == known.sha256

    def keeps_versions(self, name: str) -> bool:
        """Whether the bucket keeps what is overwritten and removed."""
        with self._telling(name), self._fs.open_input_file(self._at(name)) as file:
            return _said(file, "VersionId") not in {"", "null"}

    def read(self, name: str, into: Any = None) -> tuple[int, str]:
        """Bytes and SHA-256 of an object; `into`: a file that gets them too. Raises FileNotFoundError, OSError for the file."""
        sha, size = hashlib.sha256(), 0
        with self._telling(name), self._fs.open_input_stream(self._at(name)) as stream:
            while piece := stream.read(PART):
                sha.update(piece)
                size += len(piece)
                if into is not None:
                    into.write(piece)
        return size, sha.hexdigest()

    def remove(self, name: str) -> None:
        """It is not there when this returns, as far as the server says."""
        try:
            with self._telling(name):
                self._fs.delete_file(self._at(name))
        except FileNotFoundError:
            return
        if self.there([name]):
            raise Fatal(f"{self.address.place}/{name} is still there after it was removed")

    def there(self, names: Sequence[str]) -> list[str]:
        """Those of these objects that are there."""
        from pyarrow import fs

        with self._telling(""):
            found = self._fs.get_file_info([self._at(name) for name in names])
        return [name for name, one in zip(names, found, strict=True) if one.type != fs.FileType.NotFound]

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _telling(self, name: str) -> Iterator[None]:
        """What pyarrow says of the server, in our words."""
        try:
            yield
        except FileNotFoundError:
            raise FileNotFoundError(f"{self.address.place}/{name} is not there") from None
        except OSError as fault:
            if fault.errno is not None:  # of a file on this machine
                raise
            self._tell(name, str(fault))

    def _tell(self, name: str, text: str) -> NoReturn:
        where = f"{self.address.place}/{name}".rstrip("/")
        at = f" at {self.address.endpoint}" if self.address.endpoint else ""
        match = _WORDS.search(text)
        if match is None:
            raise Retriable(f"{where}{at}: {' '.join(text.split())}") from None
        code = match["code"]
        if code in _REFUSED or "HTTP status 403" in code or "HTTP status 401" in code:
            raise Fatal(f"{where}{at}: {_REFUSED.get(code, _REFUSED['ACCESS_DENIED'])} ({match['action']}: {code})") from None
        words = " ".join(match["words"].split())
        raise Retriable(f"{where}{at} does not answer as it should ({match['action']}: {code}): {words[:200]}") from None


def _said(file: Any, name: str) -> str:
    """A header of the object; the ETag without its quotes."""
    found = file.metadata() or {}
    return str((found.get(name) or b"").decode("latin-1")).strip('"')
