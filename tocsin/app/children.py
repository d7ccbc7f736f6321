"""The child processes of a node: born in the nursery, watched, started again when they die, and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from tocsin.kernel.backoff import Backoff

from .layout import Layout
from .nursery import Born, Ended, Go, Know, Nest, Start, spawn

_SAYS_SO: Final = 5.0  # seconds within which the nursery tells of an end
_PATIENCE: Final = 5.0  # seconds for a child to end after its nursery has
GONE = -int(signal.SIGTERM)  # what a child is said to have ended with when the nursery did


class Birth:
    """A child as the nursery knows it. `ended`: its exit status, as soon as the nursery has told it; `gone`: it has ended, or never was."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pid: int | None = None
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.gone = asyncio.Event()
        self._watch = -1
        self._owed: int | None = None  # a signal sent before there was anybody to get it
        self.ended.add_done_callback(lambda _: self._leave())

    def born(self, pid: int, gone: Callable[[Birth], None]) -> None:
        """It runs. `gone` is called when it has ended."""
        self.pid = pid
        try:
            self._watch = os.pidfd_open(pid)
        except ProcessLookupError:  # and word of its end is on its way
            self.gone.set()
            return
        asyncio.get_running_loop().add_reader(self._watch, self._ends, gone)
        if self._owed is not None:
            self.sign(self._owed)

    def sign(self, number: int) -> None:
        """A signal, unless it has ended; to one that is not born yet, at its birth."""
        if self._watch >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._watch, number)
        elif self.pid is None:
            self._owed = number

    def end(self, code: int) -> None:
        """It has ended with this exit status; nobody may be waiting any more."""
        if not self.ended.done():
            self.ended.set_result(code)

    def _ends(self, gone: Callable[[Birth], None]) -> None:
        self._leave()
        gone(self)

    def _leave(self) -> None:
        self.gone.set()
        if self._watch >= 0:
            asyncio.get_running_loop().remove_reader(self._watch)
            os.close(self._watch)
            self._watch = -1


class Births:
    """The supervisor's end of the nursery, which is started again when it dies; use as an async context manager."""

    def __init__(self, say: Callable[[str], None], early: Nest | None = None) -> None:
        """`early`: a nursery that was started before there was an event loop."""
        self._say = say
        self._early = early
        self._numbers = count(1)
        self._alive: dict[int, Birth] = {}
        self._known: Know | None = None
        self._pipe: Connection | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._one = asyncio.Lock()
        self._ending: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Births:
        async with self._one:
            await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.give_up()  # first of all: whoever tells it something large waits for it, and lets nobody else in
        async with self._one:
            if self._pipe is not None:
                self._drop(self._pipe)
            if self._process is not None:
                self._process.kill()  # it has nothing to put in order
                await asyncio.to_thread(self._process.wait)

    def give_up(self) -> None:
        """Kills the nursery, which is started again when somebody is to be born; who waits for a birth there learns that it will not be."""
        if self._process is not None:
            self._process.kill()

    async def know(self, known: Know) -> None:
        """Children born from now on have this city at hand."""
        self._known = known
        async with self._one:
            await self._send(known)

    async def start(self, name: str, data: Path, log: Path) -> Birth:
        """Asks for a child; it waits for `go`."""
        birth = Birth(next(self._numbers))
        async with self._one:
            if self._pipe is None:
                await self._open()
            self._alive[birth.number] = birth
            await self._send(Start(birth.number, name, data, log))
        return birth

    async def go(self, birth: Birth) -> None:
        async with self._one:
            await self._send(Go(birth.number))

    async def _open(self) -> None:
        if self._process is not None:
            await asyncio.to_thread(self._process.wait)
        self._process, self._pipe = self._early or spawn()
        self._early = None
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._heard, self._pipe)
        if self._known is not None:
            await self._send(self._known)

    async def _send(self, what: Any) -> None:
        """What is large in a thread, for the nursery listens when it has imported everything. Says nothing when it is gone: `_heard` does."""
        if self._pipe is not None:
            with contextlib.suppress(OSError):
                if isinstance(what, Know):
                    await asyncio.to_thread(self._pipe.send, what)
                else:
                    self._pipe.send(what)

    def _heard(self, pipe: Connection) -> None:
        try:
            told = pipe.recv()
        except (EOFError, OSError):
            self._say("the process that starts the others has ended, and they with it; starting them again")
            self._drop(pipe)
            return
        birth = self._alive.get(told.number)
        match told:
            case Born(_, pid) if birth is not None:
                birth.born(pid, self._gone)
            case Ended(number, code) if birth is not None:
                del self._alive[number]
                birth.end(code)

    def _gone(self, birth: Birth) -> None:
        """A child has ended; a nursery that does not say so is started again, and everybody with it."""
        asyncio.get_running_loop().call_later(_SAYS_SO, self._demand, birth)

    def _demand(self, birth: Birth) -> None:
        if not birth.ended.done() and self._process is not None:
            self._say("the process that starts the others does not answer; killing it")
            self.give_up()

    def _drop(self, pipe: Connection) -> None:
        """The nursery has ended or is to end: whoever still lives there ends with it, and has ended when that is said."""
        asyncio.get_running_loop().remove_reader(pipe.fileno())
        self._pipe = (
            None  # nobody holds it any more, which closes it; but for a thread that is still telling something large, and finds it broken
        )
        self._ending = [asyncio.create_task(self._last(birth)) for birth in self._alive.values()]
        self._alive.clear()

    async def _last(self, birth: Birth) -> None:
        """The kernel has told it to end, as its parent has."""
        if birth.pid is not None:
            try:
                async with asyncio.timeout(_PATIENCE):
                    await birth.gone.wait()
            except TimeoutError:
                birth.sign(signal.SIGKILL)
                await birth.gone.wait()
        birth.end(GONE)


class Child:
    """A process of the node under supervision. Its output goes to `log/NAME.log`."""

    def __init__(self, name: str, data: Path, log: Path, births: Births, say: Callable[[str], None]) -> None:
        self.name = name
        self.restarts = 0
        self.log = log
        self._data = data
        self._births = births
        self._say = say
        self._birth: Birth | None = None
        self._may_work = False
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        return self._birth.pid if self._birth and not self._birth.ended.done() else None

    def log_tail(self, lines: int = 12) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else "(no log)"

    def start(self) -> None:
        """It imports and prepares what it needs, and then waits for `go`."""
        self._task = asyncio.create_task(self._supervise(), name=f"child {self.name}")

    async def go(self) -> None:
        """The node file says all that this process needs: it may work, and so may every one that is started in its place."""
        self._may_work = True
        if self._birth is not None:
            await self._births.go(self._birth)

    async def _supervise(self) -> None:
        backoff = Backoff(base=0.2, cap=10)
        while not self._stopping.is_set():
            began = asyncio.get_running_loop().time()
            try:
                self._birth = await self._births.start(self.name, self._data, self.log)
            except OSError as error:  # no memory, too many processes: whatever it is, it may pass
                self._say(f"{self.name} cannot be started: {error}; trying again")
                await asyncio.sleep(backoff.next())
                continue
            if self._may_work:
                await self._births.go(self._birth)
            code = await self._birth.ended
            if self._stopping.is_set():
                return
            if asyncio.get_running_loop().time() - began > 30:
                backoff.reset()
            self.restarts += 1
            self._say(f"{self.name} ended with {code}; starting it again (see {self.log})")
            await asyncio.sleep(backoff.next())

    async def stop(self, patience: float = 10.0) -> None:
        """SIGTERM, then SIGKILL after `patience` seconds; one that is not born by then never is."""
        self._stopping.set()
        birth = self._birth
        if birth and not birth.ended.done():
            birth.sign(signal.SIGTERM)
            try:
                async with asyncio.timeout(patience):
                    await birth.gone.wait()
            except TimeoutError:
                await self._kill(birth, patience)
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _kill(self, birth: Birth, patience: float) -> None:
        if birth.pid is None:
            self._say(f"{self.name} was not born within {patience:g} s; killing the process that starts the others")
            self._births.give_up()
        else:
            self._say(f"{self.name} did not stop within {patience:g} s; killing it")
            birth.sign(signal.SIGKILL)
        await birth.gone.wait()


class Family:
    """All children of a node."""

    def __init__(self, layout: Layout, births: Births, say: Callable[[str], None]) -> None:
        self._layout, self._births, self._say = layout, births, say
        self._children: dict[str, Child] = {}

    def start(self, name: str) -> None:
        """It gets ready, and waits; nothing happens when it was started before."""
        if name in self._children:
            return
        child = Child(name, self._layout.data, self._layout.logs / f"{name}.log", self._births, self._say)
        self._children[name] = child
        child.start()

    async def go(self, *names: str) -> list[Child]:
        """These may work now."""
        children = [self._children[name] for name in names]
        for child in children:
            await child.go()
        return children

    async def stop(self, name: str) -> None:
        """Stops this one for good, and returns when it has ended."""
        await self._children[name].stop()

    async def aclose(self) -> None:
        """Stops every one, the last started first."""
        for child in reversed(self._children.values()):
            await child.stop()
