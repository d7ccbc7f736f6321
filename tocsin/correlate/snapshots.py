"""State on disk, so that a restart replays seconds instead of years: one file, whole or absent, and never trusted blindly.

Layout: `TOCSNAP1`, sha256 of the rest (32 bytes), length of the header (8 bytes, little endian), header (JSON), then the arrays
as .npy blocks one after the other. In the header's tree an array is `{"$npy": i}`. No pickle: a file can hold data, not code.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tocsin.kernel import durable
from tocsin.model.plan import Plan

log = logging.getLogger(__name__)

MAGIC: Final = b"TOCSNAP1"
FORMAT: Final = 5
_ARRAY: Final = "$npy"
_UNFINISHED: Final = ".new"
_HEAD: Final = len(MAGIC) + 32 + 8


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`seq`: the last journal entry that is in the state. `clock`: the journal clock then, µs. `setting`: the entry that had put the
    rules in force, 0 for none."""

    seq: int
    clock: int
    state: Mapping[str, Any]
    setting: int = 0


def plan_version(plan: Plan, more: str = "") -> str:
    """Hash of everything in a plan that the state depends on: not of titles, file names and line numbers. `more`: other settings it
    depends on."""
    rules = [(rule.name, rule.version, rule.when, rule.alert, rule.unless) for rule in plan.rules]
    return hashlib.sha256(repr((FORMAT, rules, plan.origin, plan.delay, plan.lateness, plan.skew, more)).encode()).hexdigest()[:16]


def encode(snapshot: Snapshot, plan: str) -> bytes:
    """The file's bytes. Raises TypeError for a value that is neither plain nor an array."""
    arrays: list[np.ndarray[Any, Any]] = []

    def plain(value: Any) -> Any:
        """What JSON does not know: arrays go to the side."""
        if isinstance(value, np.ndarray) and not value.dtype.hasobject:
            arrays.append(value)
            return {_ARRAY: len(arrays) - 1}
        if isinstance(value, np.generic):
            return value.item()
        raise TypeError(f"a snapshot holds plain values and arrays of numbers, not {type(value).__name__}")

    _check_keys(snapshot.state)
    tree = {"plan": plan, "seq": snapshot.seq, "clock": snapshot.clock, "setting": snapshot.setting, "state": snapshot.state}
    header = json.dumps(tree, default=plain, separators=(",", ":")).encode()
    body = io.BytesIO()
    body.write(len(header).to_bytes(8, "little") + header)
    for array in arrays:
        np.lib.format.write_array(body, array, allow_pickle=False)
    content = body.getbuffer()
    return b"".join((MAGIC, hashlib.sha256(content).digest(), content))


def decode(content: bytes, plan: str) -> Snapshot:
    """Raises ValueError saying why a file cannot be used."""
    if content[: len(MAGIC)] != MAGIC or len(content) < _HEAD:
        raise ValueError("it does not begin as a snapshot of this version")
    if hashlib.sha256(memoryview(content)[_HEAD - 8 :]).digest() != content[len(MAGIC) : _HEAD - 8]:
        raise ValueError("its checksum does not match; it was damaged or cut short")
    size = int.from_bytes(content[_HEAD - 8 : _HEAD], "little")
    rest = io.BytesIO(content)
    rest.seek(_HEAD + size)
    arrays = []
    while rest.tell() < len(content):
        arrays.append(np.lib.format.read_array(rest, allow_pickle=False))
    tree = json.loads(content[_HEAD : _HEAD + size], object_hook=lambda found: arrays[found[_ARRAY]] if _ARRAY in found else found)
    if tree["plan"] != plan:
        raise ValueError(f"it was taken under other rules ({tree['plan']}, now {plan})")
    return Snapshot(tree["seq"], tree["clock"], tree["state"], tree["setting"])


def setting_of(path: Path) -> int | None:
    """The journal entry that had put in force the rules a snapshot was taken under (0 for none); None when there is no snapshot that
    says so. Whether the snapshot can be used is for `load` to say."""
    return _said(path, "setting")


def seq_of(path: Path) -> int:
    """The journal entry that a snapshot reaches to; 0 when there is none that says so."""
    return _said(path, "seq") or 0


def _said(path: Path, key: str) -> int | None:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            header = file.read(int.from_bytes(head[-8:], "little"))
        return int(json.loads(header)[key])
    except (OSError, ValueError, KeyError, TypeError, MemoryError, OverflowError):
        return None


def save(path: Path, content: bytes) -> None:
    """Writes beside, forces to disk and renames: a crash leaves the old file or the new one. Raises OSError."""
    beside = beside_of(path)
    write(beside, content)
    publish(beside, path)


def beside_of(path: Path) -> Path:
    """Where this process writes what is to become the file; another that is just being replaced has another name for it."""
    return path.with_name(f"{path.name}.{os.getpid()}{_UNFINISHED}")


def write(beside: Path, content: bytes) -> None:
    """The first half: beside the file, and on disk; when that fails nothing is left of it. Raises OSError."""
    beside.parent.mkdir(parents=True, exist_ok=True)
    try:
        durable.write(beside, content)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def publish(beside: Path, path: Path) -> None:
    """The second half: what was written becomes the file. Raises OSError."""
    beside.replace(path)
    durable.sync(path.parent)


def load(path: Path, plan: str) -> Snapshot | None:
    """The snapshot, or None (said in the log) when there is none that can be used: then the whole journal is replayed. What a
    process that was killed had begun to write is removed."""
    for left in path.parent.glob(f"{path.name}.*{_UNFINISHED}"):
        left.unlink(missing_ok=True)
    try:
        return decode(path.read_bytes(), plan)
    except FileNotFoundError:
        log.info("no snapshot at %s: the journal is replayed from its start", path)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        log.warning("snapshot %s is not used: %s. The journal is replayed from its start", path, error)
    return None


def _check_keys(state: Mapping[str, Any]) -> None:
    """JSON would silently turn a number used as a key into text."""
    for key, value in state.items():
        if not isinstance(key, str):
            raise TypeError(f"a snapshot holds plain values under texts, not under {key!r}")
        if isinstance(value, Mapping):
            _check_keys(value)
