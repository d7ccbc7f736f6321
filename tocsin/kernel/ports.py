"""Free ports of this machine, for servers that are started in a moment, and again later on the same one."""

from __future__ import annotations

import atexit
import random
import socket
from collections import deque
from pathlib import Path
from typing import Final

#: The system gives ports from here on to connections that go out (ip(7), `ip_local_port_range`).
_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL: Final = 32_768
_LOWEST: Final = 20_000
_TRIES: Final = 500
#: How many are kept from others at once by this process.
_KEPT: Final = 64
_held: deque[socket.socket] = deque(maxlen=_KEPT)
_chance: Final = random.SystemRandom()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has, of those that the system gives to no outgoing connection: one of these would keep a server that
    is started again off its port, and somebody who tries to reach a server that is away would in the end reach himself.

    A server that is started with SO_REUSEADDR, as every one is, may listen on it; nobody else who asks here, or the system, is given it while
    this process lives (or until it has asked for 64 more). Raises OSError when there is none.
    """
    last = _first_of_outgoing() - 1
    for _ in range(_TRIES if last > _LOWEST else 0):
        if (port := _hold(_chance.randint(_LOWEST, last))) is not None:
            return port
    port = _hold(0)
    if port is None:
        raise OSError("127.0.0.1 has no free port")
    return port


def _hold(wanted: int) -> int | None:
    """Binds it without listening: who does not say SO_REUSEADDR, as the next one who asks, finds it taken."""
    holder = socket.socket()
    try:
        holder.bind(("127.0.0.1", wanted))
    except OSError:
        holder.close()
        return None
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if len(_held) == _KEPT:
        _held.popleft().close()
    _held.append(holder)
    port: int = holder.getsockname()[1]
    return port


@atexit.register
def _let_go() -> None:
    while _held:
        _held.pop().close()


def _first_of_outgoing() -> int:
    try:
        return int(_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _USUAL
