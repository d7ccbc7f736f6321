"""Devices publish straight to the embedded server: MQTT 3.1.1, their own logins, only inwards, durable when acknowledged."""

import asyncio
from datetime import timedelta

import aiomqtt
import orjson
import pytest
from journal_world import murder, world

from tocsin.journal import EmbeddedServer
from tocsin.journal.inbox import inbox as read_inbox
from tocsin.journal.mqtt import MQTT_STREAM, wake
from tocsin.journal.streams import INBOX, api
from tocsin.kernel.fault import Fatal, Retriable


def device(server, user="devices", password=None, **options):
    login = server.credentials.login(user) if password is None else None
    return aiomqtt.Client(
        "127.0.0.1",
        server.mqtt_port,
        username=user,
        password=password or login.password,
        protocol=aiomqtt.ProtocolVersion.V311,
        timeout=120,
        **options,
    )


async def inbox(journal):
    state = await journal.state(INBOX)
    # A workqueue takes consumers only that acknowledge, so the messages are looked at one by one.
    link = await journal.ready()
    found = []
    for seq in range(state.first, state.last + 1):
        reply = await link.request(f"$JS.API.DIRECT.GET.{INBOX}", orjson.dumps({"seq": seq}))
        found.append((reply.headers["Nats-Subject"], reply.data))
    return found


async def test_publishes_of_all_qualities_land_in_the_inbox(tmp_path):
    async with world(tmp_path, mqtt_port=0) as (server, journal, _writer):
        async with device(server) as client:
            for qos in (0, 1, 2):
                await client.publish(f"in/gauges/station-{qos}", f'{{"level": {qos}}}', qos=qos)
        async with asyncio.timeout(120):
            while (await journal.state(INBOX)).messages < 3:
                await asyncio.sleep(0.02)
        assert sorted(await inbox(journal)) == [(f"in.gauges.station-{qos}", b'{"level": %d}' % qos) for qos in (0, 1, 2)]


async def test_a_feed_publishes_below_its_own_name_only(tmp_path):
    async with world(tmp_path, mqtt_port=0, feeds=["gauges"]) as (server, journal, _writer):
        for user, topic in (
            ("gauges", "in/other/x"),
            ("gauges", "ev/seattle/f"),
            ("devices", "ev/seattle/f"),
            ("devices", "alert/r"),
            ("devices", "in/unknown/x"),
            ("gauges", "in/gauges/ok"),
        ):
            async with device(server, user) as client:
                await client.publish(topic, b"1", qos=0)
        async with asyncio.timeout(120):
            while not (await journal.state(INBOX)).messages:
                await asyncio.sleep(0.02)
        assert await inbox(journal) == [("in.gauges.ok", b"1")]
        assert (await journal.state("EVENTS")).messages == 0
        assert (await journal.state("ALERTS")).messages == 0


async def test_an_mqtt_side_that_hangs_up_at_the_first_device_is_asked_again(tmp_path, monkeypatch):
    """A server whose disk is slow gives up making its MQTT streams; it has made them when it is asked again."""
    asked = []

    async def hanging_up(port, login):
        asked.append(port)
        if len(asked) < 3:
            raise asyncio.IncompleteReadError(b"", 4)
        await wake(port, login)

    monkeypatch.setattr("tocsin.journal.server.wake", hanging_up)
    async with world(tmp_path, mqtt_port=0, feeds=["gauges"]) as (server, _journal, _writer):
        async with device(server, "gauges") as client:
            await client.publish("in/gauges/x", b"1", qos=1)
        assert asked == [server.mqtt_port] * 3


async def test_an_mqtt_side_that_never_answers_is_told(tmp_path, monkeypatch):
    asked = asyncio.Event()

    async def silent(_port, _login):
        asked.set()
        raise TimeoutError

    monkeypatch.setattr("tocsin.journal.server.wake", silent)
    server = EmbeddedServer(tmp_path, mqtt_port=0)
    starting = asyncio.create_task(server.start())
    async with asyncio.timeout(60):
        await asked.wait()
    await murder(server)
    with pytest.raises(Fatal, match=r"MQTT side did not get ready \(TimeoutError\); its log ends with"):
        await starting


async def test_devices_may_not_listen(tmp_path):
    async with world(tmp_path, mqtt_port=0) as (server, _journal, writer):
        async with device(server) as client:
            granted = await client.subscribe("in/#", qos=0)
            assert all(int(getattr(code, "value", code)) >= 0x80 for code in granted)
        assert writer is not None


async def test_wrong_passwords_and_our_own_login_are_refused(tmp_path):
    async with world(tmp_path, mqtt_port=0) as (server, _journal, _writer):
        for user, password in (("devices", "wrong"), ("tocsin", server.endpoint.password)):
            with pytest.raises(aiomqtt.MqttError):
                async with device(server, user, password):
                    pass


async def collect(journal, feed, until, confirm=True):
    """Bodies that the inbox hands out, until `until(bodies)`."""
    bodies = []
    messages = read_inbox(journal, feed)
    async with asyncio.timeout(60):
        async for body, done in messages:
            bodies.append(body)
            if confirm:
                await done()
            if until(bodies):
                break
    await messages.aclose()
    return bodies


async def test_the_inbox_hands_out_each_publish_once_and_forgets_what_is_confirmed(tmp_path, monkeypatch):
    monkeypatch.setattr("tocsin.journal.inbox.SETTLING", timedelta(0))
    async with world(tmp_path, mqtt_port=0, feeds=["gauges"]) as (server, journal, _writer):
        await asyncio.sleep(1.1)  # the moment the keeping began is known to the second
        async with device(server, "gauges") as client:
            for number in range(30):
                await client.publish("in/gauges/x", str(number), qos=number % 3)
            await client.publish("in/gauges/last", b"end", qos=0)
        bodies = await collect(journal, "gauges", lambda found: len(found) == 31)
        assert sorted(bodies) == sorted([*(b"%d" % number for number in range(30)), b"end"])
        async with asyncio.timeout(120):
            while (await journal.state(INBOX)).messages or (await journal.state(MQTT_STREAM)).messages:
                await asyncio.sleep(0.02)


async def test_what_is_not_confirmed_is_handed_out_again(tmp_path, monkeypatch):
    monkeypatch.setattr("tocsin.journal.mqtt.ACK_WAIT", 0.5)
    async with world(tmp_path, mqtt_port=0, feeds=["gauges"]) as (server, journal, _writer):
        async with device(server, "gauges") as client:
            await client.publish("in/gauges/x", b"once", qos=1)
        assert b"once" in await collect(journal, "gauges", lambda found: len(found) == 1, confirm=False)
        assert b"once" in await collect(journal, "gauges", lambda found: len(found) == 1)


async def test_a_feed_that_is_gone_holds_no_messages(tmp_path):
    async with world(tmp_path, mqtt_port=0, feeds=["old"]) as (server, journal, _writer):
        async with device(server, "old") as client:
            await client.publish("in/old/x", b"1", qos=1)
        assert (await journal.state(MQTT_STREAM)).messages == 1
    async with world(tmp_path, mqtt_port=0, feeds=["new"]) as (_, journal, _writer):
        assert (await journal.state(MQTT_STREAM)).messages == 0


async def test_an_inbox_that_loses_the_journal_is_retriable(tmp_path):
    async with world(tmp_path, mqtt_port=0, feeds=["gauges"]) as (server, journal, _writer):
        task = asyncio.create_task(collect(journal, "gauges", lambda found: False))
        link = await journal.ready()
        async with asyncio.timeout(120):
            while not (await api(link, f"CONSUMER.NAMES.{INBOX}"))["consumers"]:
                await asyncio.sleep(0.02)
        await murder(server)
        with pytest.raises(Retriable, match="gauges"):
            await task


@pytest.mark.crash
async def test_what_a_device_was_told_is_stored_survives_a_kill(tmp_path):
    """QoS 1: kill -9 of the server at random moments; every acknowledged publish comes out of the inbox."""
    async with world(tmp_path, mqtt_port=0, watch=True, feeds=["gauges"]) as (server, journal, _writer):
        acked = 0
        for round_ in range(4):
            before = acked
            async with asyncio.timeout(60):
                while acked == before:  # a server that has just been started again may not listen yet
                    acked = await publish_until_dead(server, acked, 0.1 + 0.07 * round_)
                    await asyncio.sleep(0.02)
                while server.restarts <= round_:
                    await asyncio.sleep(0.01)
        assert acked > 3
        missing = {b"%d" % number for number in range(acked)}

        def complete(found):
            missing.discard(found[-1])
            return not missing

        await collect(journal, "gauges", complete)
        assert not missing


async def murder_after(server, seconds):
    await asyncio.sleep(seconds)
    await murder(server)


async def publish_until_dead(server, number, seconds):
    """Publishes number, number + 1, ...; returns the first number not acknowledged. The server is killed so long after the first that was."""
    client, murderer = device(server), None
    try:
        async with client:
            while True:
                await client.publish("in/gauges/x", str(number), qos=1, timeout=2)
                number += 1
                murderer = murderer or asyncio.create_task(murder_after(server, seconds))
    except aiomqtt.MqttError:
        if client._disconnected.done():
            client._disconnected.exception()  # told to nobody else, asyncio would complain
        if murderer is not None:
            await murderer
        return number
