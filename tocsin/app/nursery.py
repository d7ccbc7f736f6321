"""Where the processes of a node are born: one process that has imported what they share, and forks them. `python -m tocsin.app.nursery FD PARENT`.

It runs no event loop and does no work, so that nothing is half done when it forks; what it imported, and the city in force, its
children have without reading it again, in pages that they share. A child that ended is born again here. It is told what to do, and
tells who ended, over a pipe from the supervisor (`children.py`); when that goes, it ends, and its children with it.
"""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import selectors
import signal
import subprocess
import sys
import warnings
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from .process import die_with_parent, work
from .steps import step

SHARED: Final = (
    "uvloop",
    "uvicorn",
    "pyarrow.compute",
    "shapely",
    "tocsin.app.follow",
    "tocsin.accountability.access",
    "tocsin.kernel.clock",
)  # by two processes or more
#: One thread for linear algebra, of which there is none: nothing runs in the nursery when it forks.
_QUIET: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
#: Memory that is free again is kept for the next message instead of being given back between any two and got again page by page, which the system
#: fills with zeros first: Arrow's for so many milliseconds, other up to so many bytes.
_KEEPS: Final = {"MIMALLOC_PURGE_DELAY": "5000", "MALLOC_TRIM_THRESHOLD_": str(64 << 20), "MALLOC_MMAP_THRESHOLD_": str(16 << 20)}
_PR_SET_NAME: Final = 15
Nest = tuple[subprocess.Popen[bytes], Connection]


@dataclass(frozen=True, slots=True)
class Know:
    """What a version of a configuration says, read once by the supervisor: pickled, a version and its `model.city.City`."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Start:
    """Asks for a child, which gets ready and then waits for `Go`. `number`: never used before."""

    number: int
    name: str
    data: Path
    log: Path


@dataclass(frozen=True, slots=True)
class Place:
    """What a child finds where it is born. `gate`: a pipe that is closed when it may begin; `city`: a file that then holds what `Know`
    said last, or nothing."""

    what: Start
    gate: int
    city: int


@dataclass(frozen=True, slots=True)
class Go:
    """Lets a child begin its work."""

    number: int


@dataclass(frozen=True, slots=True)
class Born:
    """Said of a child: it runs."""

    number: int
    pid: int


@dataclass(frozen=True, slots=True)
class Ended:
    """Said of a child: its exit status, minus the signal's number when it was killed."""

    number: int
    code: int


@dataclass(slots=True)
class _Child:
    pid: int
    watch: int  # pidfd
    gate: int  # closed when it may begin; -1 then


def spawn() -> Nest:
    """Starts a nursery: its process, and the pipe to it. It ends when the pipe is closed, or this process has gone."""
    ours, theirs = Pipe()
    words = (sys.executable, "-m", "tocsin.app.nursery", str(theirs.fileno()), str(os.getpid()))
    process = subprocess.Popen(
        words,
        pass_fds=(theirs.fileno(),),
        stdin=subprocess.DEVNULL,
        env=_QUIET | _KEEPS | os.environ | {"PYTHONUNBUFFERED": "1"},
        process_group=0,  # Ctrl-C is for the supervisor, who stops its children in order
    )
    theirs.close()
    return process, ours


class Nursery:
    """`serve` returns None when the supervisor has gone, and in every child its place."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._city = os.memfd_create("city")
        self._children: dict[int, _Child] = {}
        self._ready = selectors.DefaultSelector()
        self._ready.register(pipe.fileno(), selectors.EVENT_READ, None)

    def serve(self) -> Place | None:
        while True:
            for key, _ in self._ready.select():
                if key.data is not None:
                    self._reap(key.data)
                    continue
                try:
                    told = self._pipe.recv()
                except EOFError:
                    return None
                gate = self._obey(told)
                if gate is not None:
                    return Place(told, gate, self._city)

    def _obey(self, told: Any) -> int | None:
        """What the supervisor asks for. In a new child: its gate."""
        match told:
            case Know(content):
                os.ftruncate(self._city, 0)
                os.pwrite(self._city, content, 0)
            case Start():
                return self._fork(told)
            case Go(number) if number in self._children:
                self._open(self._children[number])
            case Go():  # it has ended, and that is on its way
                pass
            case _:
                raise TypeError(f"the nursery is told Know, Start or Go, found {type(told).__name__}")
        return None

    def _fork(self, what: Start) -> int | None:
        read, write = os.pipe()
        gc.freeze()  # what there is by now is left alone, so that its pages stay shared
        pid = os.fork()
        if pid == 0:
            os.close(write)
            self._leave()
            return read
        os.close(read)
        watch = os.pidfd_open(pid)
        self._children[what.number] = _Child(pid, watch, write)
        self._ready.register(watch, selectors.EVENT_READ, what.number)
        self._pipe.send(Born(what.number, pid))
        return None

    def _reap(self, number: int) -> None:
        child = self._children.pop(number)
        _, status = os.waitpid(child.pid, 0)
        self._ready.unregister(child.watch)
        os.close(child.watch)
        self._open(child)
        self._pipe.send(Ended(number, os.waitstatus_to_exitcode(status)))

    def _open(self, child: _Child) -> None:
        if child.gate >= 0:
            os.close(child.gate)
            child.gate = -1

    def _leave(self) -> None:
        """In a child: lets go of everything that is the nursery's."""
        self._ready.close()
        self._pipe.close()
        for sibling in self._children.values():
            os.close(sibling.watch)
            self._open(sibling)


def become(what: Start) -> None:
    """Makes a fork the process it was started for: its own log, its own name in lists of processes, signals as at birth."""
    log = os.open(what.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(number, target)
    os.close(log)
    os.close(nothing)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    ctypes.CDLL(None).prctl(_PR_SET_NAME, what.name.encode()[:15])


def know(city: int) -> None:
    """What the supervisor has read need not be read again."""
    size = os.fstat(city).st_size
    if size:
        from . import inforce

        inforce.remember(*pickle.loads(os.pread(city, size, 0)))  # noqa: S301 - the supervisor wrote it into a pipe of ours
    os.close(city)


def main() -> int:
    pipe, parent = Connection(int(sys.argv[1])), int(sys.argv[2])
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever sends it to everybody means the supervisor, who stops us last
    gc.disable()  # what is imported stays
    step("interpreter")
    for name in SHARED:
        import_module(name)
    step("imports")
    # The thread of pyarrow's allocator stops for a fork and begins again after it; nothing else has any.
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    here = os.getpid()
    told = Nursery(pipe).serve()
    if told is None:
        return 0
    die_with_parent(here)
    become(told.what)
    step("forked")

    def ready() -> None:
        os.read(told.gate, 1)
        os.close(told.gate)
        know(told.city)

    return work(told.what.name, told.what.data, ready)


if __name__ == "__main__":
    # What comes over the pipe is of `tocsin.app.nursery`, not of this module by the name of `__main__`.
    sys.exit(import_module("tocsin.app.nursery").main())
