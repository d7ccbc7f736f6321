"""The webhook door over real sockets."""

import asyncio
import gzip
import stat

import httpx
import pytest
from house import line, make_spec, until
from webserver import started

from tocsin.feeds import webhook_app as door
from tocsin.feeds.catalog import Context, make_transport
from tocsin.feeds.tokens import Tokens
from tocsin.feeds.webhook_app import Desk, webhook_app
from tocsin.feeds.webhook_hub import Hub
from tocsin.kernel.fault import Fatal, Retriable
from tocsin.model.access import Decision


class Door:
    """The door of one city with the feeds `levels` (running) and `down` (declared, not running)."""

    def __init__(self, house, server, tokens, desk, sink) -> None:
        self.house, self.server, self.tokens, self.desk, self.sink = house, server, tokens, desk, sink
        self.asked: list[tuple] = []
        self.decision = Decision(True, "")
        self.client = httpx.AsyncClient(base_url=server.url, timeout=60)

    def token(self, feed: str = "levels") -> str:
        return (self.tokens / feed).read_text().strip()

    async def post(self, content, feed: str = "levels", token: str | None = None, **headers):
        headers = {"authorization": f"Bearer {token or self.token('levels')}", **headers}
        return await self.client.post(f"/feeds/{feed}", content=content, headers=headers)


@pytest.fixture
async def city(house, tmp_path):
    hub, tokens = Hub(), tmp_path / "var" / "tokens"
    spec = make_spec("levels", "webhook", {"max_body": "1 MB"})
    sink = house.sink(spec)
    context = Context(house.clock, house.folder, tmp_path, hub, lambda _: None)
    running = asyncio.create_task(make_transport(spec, context).run(sink))
    declared = frozenset({"levels", "down"})
    made = None

    def authorize(*asked):
        made.asked.append(asked)
        return made.decision

    desk = Desk(hub, declared, Tokens(tokens, declared), authorize, house.clock, house.shared.budget)
    server, serving = await started(webhook_app(desk))
    made = Door(house, server, tokens, desk, sink)
    made.running = running
    yield made
    await made.client.aclose()
    server.should_exit = server.force_exit = True
    running.cancel()
    await asyncio.gather(serving, running, return_exceptions=True)


def is_problem(reply: httpx.Response, status: int, words: str = "") -> bool:
    body = reply.json()
    assert reply.headers["content-type"] == "application/problem+json"
    assert body["status"] == reply.status_code
    assert body["title"]
    assert body["instance"] == reply.url.path
    return reply.status_code == status and words in body["detail"]


async def test_202_comes_when_the_records_are_durable(city):
    city.house.log.hold = asyncio.Event()
    posting = asyncio.create_task(city.post(line("a") + b"\n" + line("b")))
    await until(lambda: city.house.log.appending)
    assert not posting.done()
    city.house.log.hold.set()
    reply = await posting
    assert reply.status_code == 202
    assert reply.json() == {"accepted": 2, "duplicates": 0, "conflicts": 0, "rejected": 0, "results": []}
    assert city.house.log.ids() == ["a", "b"]


async def test_every_record_that_was_not_accepted_is_told(city):
    await city.post(line("a"))
    reply = await city.post(b"\n".join([line("a"), line("a", value=1.0), b"garbage", line("b")]))
    assert reply.status_code == 207
    body = reply.json()
    assert (body["accepted"], body["duplicates"], body["conflicts"], body["rejected"]) == (1, 1, 1, 1)
    assert [(r["index"], r["status"]) for r in body["results"]] == [(0, "duplicate"), (1, "conflict"), (2, "rejected")]
    assert "line 3" in body["results"][2]["reason"]
    every = await city.client.post("/feeds/levels?results=all", content=line("c"), headers={"authorization": f"Bearer {city.token()}"})
    assert every.json()["results"] == [{"index": 0, "status": "accepted", "id": "c", "reason": ""}]


async def test_a_repeated_post_is_answered_202(city):
    for _ in range(2):
        reply = await city.post(line("a"))
        assert reply.status_code == 202
    assert reply.json()["duplicates"] == 1
    assert city.house.log.ids() == ["a"]


@pytest.mark.parametrize("header", ["", "Bearer wrong", "Basic abc", "Bearer", "bearer x", "Bearer \xff"])
async def test_without_the_feeds_token_nothing_is_read(city, header):
    reply = await city.client.post("/feeds/levels", content=line("a"), headers={"authorization": header.encode("latin-1")})
    assert is_problem(reply, 401, "Bearer")
    assert reply.headers["www-authenticate"] == "Bearer"
    assert city.asked == []
    assert city.house.log.ids() == []


async def test_a_token_opens_its_own_feed_only(city):
    assert is_problem(await city.post(line("a"), token=city.token("down")), 401)


async def test_unknown_feeds_and_other_methods(city):
    assert is_problem(await city.post(line("a"), feed="nobody"), 404, "no webhook feed 'nobody'")
    assert is_problem(await city.client.get("/feeds/levels"), 405)
    assert is_problem(await city.client.post("/elsewhere"), 404)


async def test_a_feed_that_is_down_is_told_from_one_that_does_not_exist(city):
    reply = await city.post(line("a"), feed="down", token=city.token("down"))
    assert is_problem(reply, 503, "not running now")
    assert int(reply.headers["retry-after"]) > 0


async def test_the_access_function_is_asked_with_the_feeds_purpose_and_obeyed(city):
    city.decision = Decision(False, "only this machine may")
    assert is_problem(await city.post(line("a")), 403, "only this machine may")
    ((actor, action, resource, purpose),) = city.asked
    assert (actor.name, actor.address, actor.relayed) == ("feed levels", "127.0.0.1", False)
    assert (action, resource, purpose) == ("change", "feeds/levels", "flood warning")
    await city.post(line("a"), **{"x-forwarded-for": "203.0.113.9"})
    assert city.asked[1][0].relayed
    assert city.house.log.ids() == []


async def test_a_body_over_the_limit_is_refused_declared_or_streamed(city):
    assert is_problem(await city.post(b"x" * (1 << 20) + b"x"), 413, "larger than 1048576 bytes")

    async def drip():
        for _ in range(64):
            yield b"x" * 32768

    assert is_problem(await city.post(drip()), 413)
    assert (await city.post(line("after"))).status_code == 202


async def test_a_line_of_100_mb_is_refused_while_others_go_on(city):
    async def flood():
        for _ in range(1600):
            yield b"x" * 65536

    async def others():
        for n in range(20):
            assert (await city.post(line(str(n)))).status_code == 202

    # The server answers in the middle of the body and goes on reading it away, so both kinds of clients see the 413.
    flooding, _ = await asyncio.gather(city.post(flood()), others())
    assert is_problem(flooding, 413)
    assert city.house.log.ids() == [str(n) for n in range(20)]
    assert city.desk.budget.held_total == 0


async def test_gzip_is_unpacked_within_the_limit(city):
    reply = await city.post(gzip.compress(line("packed")), **{"content-encoding": "GZIP"})
    assert reply.status_code == 202
    assert city.house.log.ids() == ["packed"]
    bomb = gzip.compress(b"0" * 20_000_000)
    assert len(bomb) < 1 << 20
    assert is_problem(await city.post(bomb, **{"content-encoding": "gzip"}), 413)
    nested = gzip.compress(gzip.compress(line("twice")))
    assert (await city.post(nested, **{"content-encoding": "gzip"})).status_code == 207


@pytest.mark.parametrize(
    ("body", "encoding", "status", "words"),
    [
        (b"not gzip", "gzip", 400, "not gzip"),
        (gzip.compress(b"x")[:-4], "gzip", 400, "before its end mark"),
        (gzip.compress(b"x") + b"tail", "gzip", 400, "bytes follow"),
        (b"x", "br", 415, "'br' is not known"),
        (b"x", "gzip, gzip", 415, "not known"),
    ],
    ids=["no gzip", "cut", "more follows", "unknown", "twice"],
)
async def test_bodies_that_cannot_be_unpacked(city, body, encoding, status, words):
    assert is_problem(await city.post(body, **{"content-encoding": encoding}), status, words)


async def test_overload_is_429_and_a_journal_that_is_away_is_503(city, monkeypatch):
    monkeypatch.setattr(city.desk.budget, "per_feed", 10)
    reply = await city.post(line("a"))
    assert is_problem(reply, 429, "bytes in flight")
    assert int(reply.headers["retry-after"]) >= 1
    monkeypatch.undo()
    city.house.log.fail = [Retriable("the journal is away", 7.2)]
    reply = await city.post(line("a"))
    assert is_problem(reply, 503, "the journal is away")
    assert reply.headers["retry-after"] == "8"
    assert (await city.post(line("a"))).status_code == 202


async def test_a_fatal_fault_ends_the_feeds_run_and_the_sender_keeps_its_records(city):
    city.house.log.fail = [Fatal("the journal went back")]
    assert is_problem(await city.post(line("a")), 503, "stopping")
    with pytest.raises(Fatal, match="the journal went back"):
        await city.running
    assert is_problem(await city.post(line("a")), 503, "not running now")


async def test_a_mistake_of_ours_is_a_problem_document_without_details(city):
    async def broken(*_):
        raise ZeroDivisionError("secret detail")

    city.sink.deliver = broken
    reply = await city.post(line("a"))
    assert is_problem(reply, 500, "send again")
    assert "secret" not in reply.text


async def test_a_body_that_never_ends_is_cut_off(city, monkeypatch):
    monkeypatch.setattr(door, "BODY_TIMEOUT", 0.1)
    read, over = door.read_body, asyncio.Event()

    async def reading(*arguments):
        try:
            return await read(*arguments)
        finally:
            over.set()

    monkeypatch.setattr(door, "read_body", reading)

    async def stall():
        yield b"{"
        await over.wait()
        yield b"}"

    assert is_problem(await city.post(stall()), 408)
    assert city.desk.budget.held_total == 0


async def test_a_sender_that_goes_away_leaves_nothing_behind(city):
    _, writer = await asyncio.open_connection(*city.server.servers[0].sockets[0].getsockname()[:2])
    head = f"POST /feeds/levels HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {city.token()}\r\nContent-Length: 100000\r\n\r\n"
    writer.write(head.encode() + b"x" * 1000)
    await until(lambda: city.desk.budget.held_total > 0)
    writer.close()
    await until(lambda: city.desk.budget.held_total == 0)
    assert city.sink.health.received == 0


async def test_a_million_bad_lines_are_counted_not_all_listed(city):
    reply = await city.post(b"\n".join(b"%d" % n for n in range(3_000)))
    assert reply.status_code == 207
    body = reply.json()
    assert (body["rejected"], len(body["results"]), body["results_omitted"]) == (3_000, 1000, 2_000)


async def test_many_senders_at_once_are_counted_exactly(city):
    replies = await asyncio.gather(*(city.post(line(f"{n % 50}") + b"\n" + line(f"own {n}")) for n in range(100)))
    assert {reply.status_code for reply in replies} == {202}
    assert sum(reply.json()["accepted"] for reply in replies) == 150
    assert sum(reply.json()["duplicates"] for reply in replies) == 50


def test_tokens_are_made_once_private_and_kept(tmp_path):
    tokens = Tokens(tmp_path / "tokens", ["a", "b.c"])
    one = (tmp_path / "tokens" / "a").read_text().strip()
    assert len(one) >= 40
    assert stat.S_IMODE((tmp_path / "tokens" / "a").stat().st_mode) == 0o600
    assert tokens.fits("a", one)
    assert not tokens.fits("b.c", one)
    assert not tokens.fits("unknown", one)
    assert not tokens.fits("unknown", "")
    assert Tokens(tmp_path / "tokens", ["a"]).fits("a", one)


@pytest.mark.parametrize("name", ["../escape", "a/b", "..", "."])
def test_a_feed_name_cannot_lead_out_of_the_folder(tmp_path, name):
    with pytest.raises(Fatal, match="cannot be a file name"):
        Tokens(tmp_path / "tokens", [name])


def test_an_empty_token_file_is_refused(tmp_path):
    (tmp_path / "a").write_text("\n")
    with pytest.raises(Fatal, match="is empty"):
        Tokens(tmp_path, ["a"])
