"""A growing file read line by line: appended to, truncated, or renamed and begun again (as log rotation does).

No loop and no clock: `next_piece` gives what is there now. A file is told by its inode and its first bytes, because an inode
is used again and a truncated file may have grown past the old place.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from .limits import KEPT_OF_LARGER

HEAD: Final = 256  # first bytes of a file that tell it from another
CHUNK: Final = 256 << 10


class Place(msgspec.Struct, frozen=True):
    """Up to where a file was read. `head`: hash of its first `min(offset, HEAD)` bytes. `header`: its first line, when that
    belongs in front of every piece."""

    inode: int
    offset: int = 0
    head: str = ""
    header: bytes = b""


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole lines, and the place after them. `size`: bytes of a line over the limit, of which `body` is the beginning; else 0."""

    body: bytes
    after: Place
    size: int = 0


class Tail:
    """One file being followed from `place`, or from its beginning. `longest`: bytes a line may have. `with_header`: the first
    line is repeated in front of every piece. `quoted`: a line break inside double quotes is no line end."""

    def __init__(self, path: Path, place: Place | None, longest: int, with_header: bool = False, quoted: bool = False) -> None:
        self.path = path
        self.place = place
        self._longest = max(longest, CHUNK)
        self._with_header = with_header
        self._quoted = quoted
        self._file: BinaryIO | None = None
        self._scanned = 0  # bytes of an over-long line that were looked at and do not hold its end

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def next_piece(self) -> Piece | None:
        """The next whole lines; None when there are none now. Call `took` before asking again."""
        while self._open():
            self._notice_truncation()
            piece = self._cut()
            if piece is not None:
                return piece
            following = self._successor()
            if following is None:
                return None
            if (rest := self.last_piece()) is not None:
                return rest
            self._follow(following)
        return None

    def took(self, piece: Piece) -> None:
        """The piece is durable; go on after it."""
        self.place = piece.after
        self._scanned = 0

    def skip_to_end(self) -> None:
        """What is in the file now is old: go on after its last line end."""
        while (piece := self.next_piece()) is not None:
            self.took(piece)

    def _open(self) -> bool:
        """False when there is no file to read."""
        if self._file is not None:
            return True
        known = self.place and self._find(self.place)
        if not known:
            self.place = None
        try:
            self._file = (known or self.path).open("rb")
        except FileNotFoundError:
            return False
        if self.place is None:
            self.place = Place(os.fstat(self._file.fileno()).st_ino)
        return True

    def _find(self, place: Place) -> Path | None:
        """The file that was being read, perhaps renamed since."""
        for path in self._family():
            if path.stat().st_ino == place.inode:
                with path.open("rb") as file:
                    return path if _head(file, place.offset) == place.head else None
        return None

    def _family(self) -> list[Path]:
        """The file and what rotation made of its predecessors (`name.1`, `name-20170704`), oldest first."""
        rotated = re.compile(re.escape(self.path.name) + r"[.-]\d+")
        found = [path for path in self.path.parent.glob(f"{self.path.name}*") if path == self.path or rotated.fullmatch(path.name)]
        return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path == self.path))

    def _successor(self) -> Path | None:
        """The file that was begun after the one being read, if any. Until something is written there, the old one may still grow."""
        assert self._file is not None
        now = os.fstat(self._file.fileno())
        if self.path.exists() and self.path.stat().st_ino == now.st_ino:
            return None
        for path in self._family():
            other = path.stat()
            if other.st_ino != now.st_ino and other.st_mtime_ns >= now.st_mtime_ns and other.st_size:
                return path
        return None

    def _follow(self, path: Path) -> None:
        self.close()
        self._file = path.open("rb")
        self.place = Place(os.fstat(self._file.fileno()).st_ino)

    def _notice_truncation(self) -> None:
        assert self._file is not None
        assert self.place is not None
        if _head(self._file, self.place.offset) != self.place.head:
            self.place = Place(self.place.inode)
            self._scanned = 0

    def _cut(self) -> Piece | None:
        """Whole lines from the place on."""
        assert self._file is not None
        assert self.place is not None
        if self._with_header and self.place.offset == 0 and not self._read_header():
            return None
        self._file.seek(self.place.offset + self._scanned)
        data = b"" if self._scanned else self._file.read(CHUNK)
        while not self._scanned and b"\n" not in data:
            more = self._file.read(CHUNK)
            if not more:
                return None  # an unended line waits for its end
            data += more
            if len(data) > self._longest and b"\n" not in data:
                self._scanned = len(data)
        if self._scanned:
            return self._over_long()
        end = self._last_end(data)
        return self._piece(data[:end], self.place.offset + end)

    def _read_header(self) -> bool:
        assert self._file is not None
        assert self.place is not None
        self._file.seek(0)
        header = self._file.readline(self._longest)
        if not header.endswith(b"\n"):
            return False
        self.place = self._after(len(header), replace_header=header)
        return True

    def _last_end(self, data: bytes) -> int:
        """After the last line end; in a full chunk of quoted rows, after the last one that is not inside quotes."""
        end = data.rfind(b"\n") + 1
        if not self._quoted or len(data) < CHUNK:
            return end
        outside = end
        while outside and data.count(b'"', 0, outside) % 2:
            outside = data.rfind(b"\n", 0, outside - 1) + 1
        return outside or end

    def _over_long(self) -> Piece | None:
        """Looks for the end of a line over the limit without keeping it."""
        assert self._file is not None
        assert self.place is not None
        while chunk := self._file.read(CHUNK):
            end = chunk.find(b"\n") + 1
            self._scanned += end or len(chunk)
            if end:
                self._file.seek(self.place.offset)
                return self._piece(self._file.read(KEPT_OF_LARGER), self.place.offset + self._scanned, self._scanned)
        return None

    def last_piece(self) -> Piece | None:
        """The last line of a file that will not grow any more, when it has no line end."""
        assert self._file is not None
        assert self.place is not None
        self._file.seek(self.place.offset)
        rest = self._file.read(self._longest)
        if not rest:
            return None
        size = os.fstat(self._file.fileno()).st_size - self.place.offset
        return self._piece(rest if size == len(rest) else rest[:KEPT_OF_LARGER], self.place.offset + size, 0 if size == len(rest) else size)

    def _piece(self, lines: bytes, end: int, size: int = 0) -> Piece:
        assert self.place is not None
        return Piece(self.place.header + lines, self._after(end), size)

    def _after(self, offset: int, replace_header: bytes | None = None) -> Place:
        assert self._file is not None
        assert self.place is not None
        place = Place(self.place.inode, offset, _head(self._file, offset), self.place.header)
        return place if replace_header is None else msgspec.structs.replace(place, header=replace_header)


def _head(file: BinaryIO, offset: int) -> str:
    """Hash of the first bytes of the file, of no more than were read; "" before anything was."""
    if offset == 0:
        return ""
    file.seek(0)
    return hashlib.sha256(file.read(min(offset, HEAD))).hexdigest()
