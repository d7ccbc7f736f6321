"""Free ports: kept from everybody who asks, free for the server they were asked for, and none that an outgoing connection may be given."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from tocsin.kernel import ports


def listening(port: int) -> socket.socket:
    """As every server does it."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen()
    return server


def test_a_port_is_given_once_and_its_server_may_listen_on_it() -> None:
    given = [ports.free_port() for _ in range(40)]
    assert len(set(given)) == len(given)
    assert max(given) < ports._first_of_outgoing()
    with listening(given[-1]) as server, socket.create_connection(("127.0.0.1", given[-1]), timeout=30):
        server.accept()[0].close()
    listening(given[-1]).close()  # and again, when it is started again


def test_another_process_is_not_given_it() -> None:
    port = ports.free_port()
    program = "import sys; from tocsin.kernel import ports; print(ports._hold(int(sys.argv[1])))"
    told = subprocess.run([sys.executable, "-c", program, str(port)], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "None"


def test_a_port_somebody_listens_on_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(0) as server:
        assert ports._hold(server.getsockname()[1]) is None
    monkeypatch.setattr(ports, "_hold", lambda wanted: None)
    with pytest.raises(OSError, match="no free port"):
        ports.free_port()


def test_where_all_ports_are_for_outgoing_connections_one_of_them_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_first_of_outgoing", lambda: 1024)
    assert ports.free_port() >= 1024


def test_only_so_many_are_kept() -> None:
    for _ in range(ports._KEPT + 5):
        ports.free_port()
    assert len(ports._held) == ports._KEPT
    assert all(one.fileno() >= 0 for one in ports._held)
