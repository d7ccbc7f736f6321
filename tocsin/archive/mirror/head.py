"""The one object that says what a mirror holds: replaced last, whole or not at all, so that whoever reads it finds everything it names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from tocsin.kernel.fault import Fatal
from tocsin.model.archive import CLASSES

from .bucket import Bucket

NAME: Final = "mirror.json"
FORMAT: Final = 1
CATALOGS: Final = "catalog/"


@dataclass(frozen=True, slots=True)
class Head:
    """`identity`: of the archive. `at`: when it was published, µs wall clock. `catalog`, `sha256`, `size`: the object that is the catalogue. `position`: journal
    entry up to which everything is there. `public_key`: of the signed record, hexadecimal; empty before there is one. `leaving`: objects that are in no
    catalogue any more, and since when (µs): who holds an earlier catalogue still finds them for a while."""

    identity: int
    at: int
    catalog: str
    sha256: str
    size: int
    position: int
    public_key: str = ""
    leaving: Mapping[str, int] = field(default_factory=dict)
    format: int = FORMAT

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode() + b"\n"


def read(bucket: Bucket) -> Head | None:
    """None where no mirror was ever published. Raises Fatal for what is none, or of a newer version; Retriable."""
    try:
        body = bucket.get(NAME)
    except FileNotFoundError:
        return None
    where = f"{bucket.address.place}/{NAME}"
    try:
        found = json.loads(body)
        if int(found["format"]) > FORMAT:
            raise Fatal(
                f"{where} has format {found['format']}, this version of Tocsin reads format {FORMAT}; run the version that wrote it"
            )
        head = Head(**found)
        if not (isinstance(head.catalog, str) and isinstance(head.leaving, dict) and isinstance(head.size, int) and ours(head.catalog)):
            raise TypeError("its values are not a mirror's")
    except (ValueError, TypeError, KeyError) as fault:
        raise Fatal(
            f"{where} is no head of a mirror ({fault}); 'tocsin archive mirror' on the node writes it anew when it is removed"
        ) from None
    return head


def ours(name: str) -> bool:
    """Whether an object has a name that a mirror gives; all others are left alone."""
    stream, _, rest = name.partition("/")
    return (name.startswith(CATALOGS) and name.endswith(".db")) or (
        stream in CLASSES and rest.partition("/")[0] in {"day", "month", "hourly", "daily"} and name.endswith(".parquet")
    )
