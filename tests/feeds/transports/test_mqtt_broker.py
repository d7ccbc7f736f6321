"""Subscribing to a real Mosquitto, in MQTT 3.1.1 and 5."""

import asyncio
import subprocess

import aiomqtt
import pytest
from house import Lines, line, make_spec, until

from tocsin.feeds.catalog import Context, make_transport
from tocsin.feeds.supervisor import Supervisor
from tocsin.feeds.transports import mqtt_broker
from tocsin.feeds.webhook_hub import Hub
from tocsin.kernel.backoff import Backoff
from tocsin.kernel.clock import Clock
from tocsin.kernel.fault import Misconfigured, Retriable
from tocsin.kernel.ports import free_port

VERSIONS = ("3.1.1", "5")


class Broker:
    """One mosquitto on a free port, with its store on disk."""

    def __init__(self, folder, lines: str = "") -> None:
        self.port = free_port()
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)
        self.config = folder / "mosquitto.conf"
        self.config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n"
            f"user root\nmax_queued_messages 0\n{lines}"
        )
        self.process: subprocess.Popen | None = None

    async def start(self) -> None:
        self.process = subprocess.Popen(["mosquitto", "-c", self.config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        async def answers() -> bool:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                return False
            writer.close()
            return True

        async with asyncio.timeout(60):
            while not await answers():
                await asyncio.sleep(0.02)

    def stop(self) -> None:
        """Gently, so that it writes down what is queued."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    async def publish(self, *payloads: bytes, topic: str = "stations/7/level", qos: int = 1) -> None:
        async with aiomqtt.Client("127.0.0.1", self.port, timeout=60) as client:
            for payload in payloads:
                await client.publish(topic, payload, qos=qos)


@pytest.fixture
async def broker(tmp_path):
    running = Broker(tmp_path / "broker")
    await running.start()
    yield running
    running.stop()


def context_of(house) -> Context:
    return Context(Clock(), house.folder, house.folder, Hub(), lambda _: None)


def spec_of(broker, version="3.1.1", **options):
    options = {"host": "127.0.0.1", "port": broker.port, "topics": "stations/+/level", "version": version, **options}
    return make_spec("stations", "mqtt_broker", options)


class Listening:
    """A running transport."""

    def __init__(self, house, broker, version="3.1.1", **options) -> None:
        spec = spec_of(broker, version, **options)
        self.sink = house.sink(spec)
        self.transport = make_transport(spec, context_of(house))
        self.task = asyncio.create_task(self.transport.run(self.sink))
        self.subscribed = asyncio.Event()
        self.sink.heard = self.subscribed.set

    async def ready(self):
        waiting = asyncio.create_task(self.subscribed.wait())
        await asyncio.wait([waiting, self.task], timeout=60, return_when=asyncio.FIRST_COMPLETED)
        assert self.subscribed.is_set(), self.task
        return self

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_records_arrive_whatever_their_quality_of_service(house, broker, version, qos):
    listening = await Listening(house, broker, version).ready()
    await broker.publish(*(line(str(n)) for n in range(300)), b"garbage", qos=qos)
    await until(lambda: listening.sink.health.received == 301)
    assert house.log.ids() == [str(n) for n in range(300)]
    assert listening.sink.health.quarantined == 1
    await listening.stop()


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_is_published_while_we_are_away_is_kept_for_us(house, broker, version):
    await (await Listening(house, broker, version).ready()).stop()
    await broker.publish(line("while away"))
    listening = await Listening(house, broker, version).ready()
    await until(lambda: house.log.ids() == ["while away"])
    await listening.stop()


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_was_not_durable_is_not_acknowledged(house, broker, version, monkeypatch):
    """We stop (crash) between receiving and journaling: the broker delivers again."""
    confirmed = []

    class Watched(mqtt_broker._Client):
        async def confirm(self, message):
            await super().confirm(message)
            confirmed.append(message.payload)

    monkeypatch.setattr(mqtt_broker, "_Client", Watched)
    house.log.hold = asyncio.Event()
    listening = await Listening(house, broker, version).ready()
    await broker.publish(line("a"), line("b"))
    await until(lambda: house.log.appending)
    await listening.stop()
    house.log.hold.set()
    await until(lambda: not listening.sink._writing)
    house.log.batches.clear()
    assert confirmed == []
    again = await Listening(house, broker, version).ready()
    await until(lambda: len(confirmed) == 2)
    assert sorted(house.log.ids()) == ["a", "b"]
    await again.stop()
    third = await Listening(house, broker, version).ready()
    await broker.publish(line("last"))
    await until(lambda: len(confirmed) == 3)
    assert house.log.ids()[-1] == "last"
    assert third.sink.health.received == 1
    await third.stop()


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_broker_restart_loses_nothing(house, broker, version):
    """Messages received and not yet acknowledged when the broker goes, and messages queued there: each becomes one event."""
    spec = spec_of(broker, version)
    supervisor = Supervisor([spec], house.shared, context_of(house), lambda _: Lines(), backoff=lambda: Backoff(base=0.02, cap=0.1))
    health = supervisor.health.feeds["stations"]
    subscribed = asyncio.Event()
    supervisor._feeds["stations"].sink.heard = subscribed.set
    running = asyncio.create_task(supervisor.run())
    await asyncio.wait_for(subscribed.wait(), 60)
    house.log.hold = asyncio.Event()
    await broker.publish(*(line(f"before {n}") for n in range(30)))
    await until(lambda: house.log.appending)
    subscribed.clear()
    broker.stop()
    await until(lambda: health.state(0) == "failing")
    assert f"broker 127.0.0.1:{broker.port}" in health.error
    house.log.hold.set()
    await broker.start()
    await asyncio.wait_for(subscribed.wait(), 60)
    await broker.publish(*(line(f"after {n}") for n in range(30)))
    expected = {f"{word} {n}" for word in ("before", "after") for n in range(30)}
    await until(lambda: expected <= set(house.log.ids()))
    assert len(house.log.ids()) == len(set(house.log.ids()))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_busy_house_is_back_pressure_and_order_stays(house, broker):
    house.log.fail = [Retriable("busy", 0.01) for _ in range(5)]
    listening = await Listening(house, broker, "5", in_flight=3).ready()
    await broker.publish(*(line(str(n)) for n in range(50)))
    await until(lambda: len(house.log.ids()) == 50)
    assert sorted(house.log.ids(), key=int) == [str(n) for n in range(50)]
    await listening.stop()


async def test_messages_without_guarantee_are_shed_and_counted_under_overload(house, broker, monkeypatch):
    monkeypatch.setattr(mqtt_broker, "MAX_WAITING", 50)
    spec = spec_of(broker)
    supervisor = Supervisor([spec], house.shared, context_of(house), lambda _: Lines())
    sink = supervisor._feeds["stations"].sink
    subscribed = asyncio.Event()
    sink.heard = subscribed.set
    house.log.hold = asyncio.Event()
    running = asyncio.create_task(supervisor.run())
    await asyncio.wait_for(subscribed.wait(), 60)
    await broker.publish(*(line(str(n)) for n in range(1000)), qos=0)
    health = supervisor.health.feeds["stations"]
    await until(lambda: health.shed)
    await broker.publish(line("guaranteed"), qos=1)
    house.log.hold.set()
    await until(lambda: "guaranteed" in house.log.ids())
    await until(lambda: health.accepted + health.shed == 1001)
    assert f'shed_messages_total{{feed="stations"}} {health.shed}' in supervisor.metrics()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_refused_topic_and_a_wrong_password_are_said(house, tmp_path):
    secured = Broker(tmp_path / "secured", f"allow_anonymous false\npassword_file {tmp_path}/passwords\nacl_file {tmp_path}/acl\n")
    secured.config.write_text(secured.config.read_text().replace("allow_anonymous true\n", ""))
    subprocess.run(["mosquitto_passwd", "-b", "-c", tmp_path / "passwords", "city", "right"], check=True)
    (tmp_path / "acl").write_text("user city\ntopic read stations/#\n")
    (house.folder / "wrong").write_text("wrong\n")
    (house.folder / "right").write_text("right\n")
    await secured.start()
    for version in VERSIONS:
        listening = Listening(house, secured, version, username="city", password_file="wrong")
        with pytest.raises(Retriable, match=r"(?i)not auth|bad user"):
            await listening.task
        await (await Listening(house, secured, version, username="city", password_file="right").ready()).stop()
    secured.stop()


async def test_no_broker_is_an_error_with_its_name(house, broker):
    broker.stop()
    with pytest.raises(Retriable, match=f"broker 127.0.0.1:{broker.port}"):
        await Listening(house, broker).task


def test_a_version_that_does_not_exist_is_refused(house):
    with pytest.raises(Misconfigured, match=r"'3.1.1', '5'"):
        make_transport(make_spec("s", "mqtt_broker", {"host": "h", "topics": "t", "version": "4"}), context_of(house))


async def test_two_nodes_have_sessions_of_their_own_and_keep_them(house, tmp_path, broker):
    transport = make_transport(spec_of(broker), context_of(house))
    assert transport._client().identifier == transport._client().identifier
    other = Context(Clock(), tmp_path / "other", tmp_path, Hub(), lambda _: None)
    assert make_transport(spec_of(broker), other)._client().identifier != transport._client().identifier
