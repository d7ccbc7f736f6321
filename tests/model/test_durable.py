"""Files that are there whole or not at all. (That they outlast a power cut is shown with the archive, on a disk whose power is cut.)"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tocsin.kernel import durable


def test_a_file_is_replaced_as_a_whole_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "place.json"
    (tmp_path / "place.json.new").write_bytes(b"what a process left that was killed while it wrote, and was longer")
    for content in (b"first", b"", b"second"):
        with path.open("ab+") as before:  # who has the file open goes on to see what it was
            before.seek(0)
            was = before.read()
            durable.replace(path, content)
            before.seek(0)
            assert before.read() == was
        assert path.read_bytes() == content
        assert path.stat().st_mode & 0o777 == 0o600
        assert os.listdir(tmp_path) == ["place.json"]


def test_what_cannot_be_written_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "place.json"
    durable.replace(path, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        durable.replace(path, b"new")
    assert path.read_bytes() == b"old"
    with pytest.raises(FileNotFoundError):
        durable.sync(tmp_path / "nothing here")
