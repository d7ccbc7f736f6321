"""Polling a real HTTP server: validators, failures, limits, redirects."""

import asyncio
import email.utils
import gzip
import time

import pytest
from house import START, House, Lines, line, make_spec, until
from starlette.applications import Starlette
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from webserver import started

from tocsin.feeds.catalog import Context, make_transport
from tocsin.feeds.supervisor import Supervisor
from tocsin.feeds.transports import http_poll
from tocsin.feeds.webhook_hub import Hub
from tocsin.kernel.backoff import Backoff
from tocsin.kernel.clock import Clock
from tocsin.kernel.fault import Misconfigured, Retriable


class Page:
    """What the server answers. `script`: answers to give first, then `body` with its ETag."""

    def __init__(self) -> None:
        self.body, self.etag, self.modified = line("a"), '"1"', None
        self.script: list[Response] = []
        self.requests: list[dict[str, str]] = []
        self.not_modified = 0

    async def get(self, request):
        self.requests.append(dict(request.headers))
        if self.script:
            return self.script.pop(0)
        if (self.etag and request.headers.get("if-none-match") == self.etag) or (
            self.modified and request.headers.get("if-modified-since") == self.modified
        ):
            self.not_modified += 1
            return Response(status_code=304)
        headers = {"etag": self.etag} if self.etag else {}
        headers |= {"last-modified": self.modified} if self.modified else {}
        return Response(self.body, headers=headers)


@pytest.fixture
async def web():
    page = Page()

    async def slow(_):
        async def drip():
            while True:
                yield b" "
                await asyncio.sleep(0.02)

        return StreamingResponse(drip())

    async def endless(_):
        async def flood():
            while True:
                yield b"x" * 65536
                await asyncio.sleep(0)

        return StreamingResponse(flood())

    async def around(request):
        return RedirectResponse(f"/around/{int(request.path_params['n']) + 1}")

    routes = [Route("/page", page.get), Route("/slow", slow), Route("/endless", endless), Route("/around/{n}", around)]
    routes.append(Route("/moved", lambda _: RedirectResponse("/page")))
    page.server, serving = await started(Starlette(routes=routes))
    yield page
    page.server.should_exit = page.server.force_exit = True
    await serving


@pytest.fixture
def polling(house, web):
    """options -> (transport, sink)."""

    def make(path="/page", **options):
        spec = make_spec("page", "http_poll", {"url": web.server.url + path, "every": "20 ms", **options})
        context = Context(Clock(), house.folder, house.folder, Hub(), lambda _: None)
        return make_transport(spec, context), house.sink(spec, Lines())

    return make


async def test_an_unchanged_page_is_not_fetched_again(polling, web, house):
    transport, sink = polling()
    running = asyncio.create_task(transport.run(sink))
    await until(lambda: web.not_modified >= 3)
    assert house.log.ids() == ["a"]
    assert sink.health.received == 1
    web.body, web.etag = line("a") + b"\n" + line("b"), '"2"'
    await until(lambda: house.log.ids() == ["a", "b"])
    running.cancel()
    assert web.requests[0]["user-agent"].startswith("tocsin/")
    assert "if-none-match" not in web.requests[0]


async def test_last_modified_is_used_where_there_is_no_etag(polling, web, house):
    web.etag, web.modified = None, "Tue, 04 Jul 2017 21:00:00 GMT"
    transport, sink = polling()
    running = asyncio.create_task(transport.run(sink))
    await until(lambda: web.not_modified >= 2)
    running.cancel()
    assert house.log.ids() == ["a"]


async def test_a_reply_that_was_lost_on_our_side_is_fetched_again(polling, web, house):
    """The validator is sent only after the reply it came with is durable."""
    transport, sink = polling()
    house.log.hold = asyncio.Event()
    running = asyncio.create_task(transport.run(sink))
    await until(lambda: house.log.appending)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    again = asyncio.create_task(transport.run(sink))
    await until(lambda: len(web.requests) == 2)
    again.cancel()
    assert "if-none-match" not in web.requests[1]
    house.log.hold.set()


@pytest.mark.parametrize(
    ("answer", "after", "words"),
    [
        (Response(status_code=500), None, "500 Internal Server Error"),
        (Response(status_code=404), None, "404 Not Found"),
        (Response(status_code=503, headers={"retry-after": "7"}), 7.0, "503"),
        (Response(status_code=429, headers={"retry-after": "999999"}), 3600.0, "429"),
        (Response(status_code=429, headers={"retry-after": "soon"}), None, "429"),
        (Response(status_code=429, headers={"retry-after": "-5"}), None, "429"),
        (Response(status_code=206), None, "206"),
    ],
)
async def test_a_bad_answer_is_raised_with_the_wait_the_server_asks_for(polling, web, answer, after, words):
    web.script = [answer]
    transport, sink = polling()
    with pytest.raises(Retriable, match=words) as raised:
        await transport.run(sink)
    assert raised.value.after == after
    assert web.server.url in str(raised.value)


async def test_retry_after_may_be_a_date(polling, web):
    web.script = [Response(status_code=503, headers={"retry-after": email.utils.formatdate(time.time() + 600, usegmt=True)})]
    transport, sink = polling()
    with pytest.raises(Retriable) as raised:
        await transport.run(sink)
    assert 500 < raised.value.after <= 600


@pytest.mark.parametrize(
    ("path", "options", "words"),
    [
        ("/slow", {"timeout": "100 ms"}, "no complete reply within 0.1 s"),
        ("/endless", {"max_size": "100 KB"}, "larger than 102400 bytes"),
        ("/around/0", {}, "TooManyRedirects"),
    ],
)
async def test_slow_endless_and_circling_answers_end(polling, path, options, words):
    transport, sink = polling(path, **options)
    with pytest.raises(Retriable, match=words):
        await transport.run(sink)


async def test_a_packed_bomb_is_cut_off(polling, web):
    web.script = [Response(gzip.compress(b"0" * 20_000_000), headers={"content-encoding": "gzip"})]
    transport, sink = polling(max_size="1 MB")
    with pytest.raises(Retriable, match="larger than"):
        await transport.run(sink)


@pytest.mark.parametrize(("encoding", "body", "words"), [("gzip", b"not gzip", "not gzip"), ("br", b"x", "'br' is not known")])
async def test_a_reply_that_cannot_be_unpacked(polling, web, encoding, body, words):
    web.script = [Response(body, headers={"content-encoding": encoding})]
    transport, sink = polling()
    with pytest.raises(Retriable, match=words):
        await transport.run(sink)


async def test_a_packed_reply_is_unpacked(polling, web, house):
    web.script = [Response(gzip.compress(line("packed")), headers={"content-encoding": "gzip"})]
    transport, sink = polling()
    running = asyncio.create_task(transport.run(sink))
    await until(lambda: "packed" in house.log.ids())
    running.cancel()
    assert web.requests[0]["accept-encoding"] == "gzip"


async def test_a_server_that_is_not_there(polling, web):
    transport, sink = polling()
    transport._options["url"] = "http://127.0.0.1:9/"
    with pytest.raises(Retriable, match="ConnectError"):
        await transport.run(sink)


async def test_a_redirect_is_followed_and_headers_are_sent(polling, web, house):
    (house.folder / "secret").write_text("s3cret\n")
    transport, sink = polling("/moved", headers={"x-city": "Seattle"}, bearer_file="secret")
    running = asyncio.create_task(transport.run(sink))
    await until(lambda: house.log.ids() == ["a"])
    running.cancel()
    assert web.requests[0]["authorization"] == "Bearer s3cret"
    assert web.requests[0]["x-city"] == "Seattle"


async def test_garbage_goes_to_the_quarantine_and_polling_goes_on(polling, web, house):
    web.body, web.etag = b"<html>maintenance</html>", None
    transport, sink = polling()
    running = asyncio.create_task(transport.run(sink))
    await until(lambda: sink.health.quarantined >= 4)
    assert sink.health.state(START) == "failing"
    web.body = line("back")
    await until(lambda: sink.health.error is None)
    assert house.log.ids() == ["back"]
    running.cancel()
    assert [entry.seen >= 4 for entry in await house.quarantine.list()] == [True]


async def test_the_supervisor_brings_it_through_failures(web, tmp_path):
    house = House(tmp_path)
    web.script = [Response(status_code=500), Response(status_code=502)]
    spec = make_spec("page", "http_poll", {"url": web.server.url + "/page", "every": "20 ms"})
    context = Context(Clock(), tmp_path, tmp_path, Hub(), lambda _: None)
    supervisor = Supervisor([spec], house.shared, context, lambda _: Lines(), backoff=lambda: Backoff(base=0.01, cap=0.02))
    running = asyncio.create_task(supervisor.run())
    await until(lambda: web.not_modified >= 1)
    (item,) = supervisor.health.items()
    assert (item["state"], item["error"], item["accepted"]) == ("ok", None, 1)
    assert supervisor.health.feeds["page"].restarts == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    house.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "needs url"),
        ({"url": "http://x", "evry": "1 s"}, "did you mean 'every'"),
        ({"url": "http://x", "every": 5}, "write a span of time"),
        ({"url": "http://x", "max_size": "lots"}, "write a size"),
    ],
)
def test_wrong_options_are_explained(options, words, tmp_path):
    spec = make_spec("page", "http_poll", options)
    with pytest.raises(Misconfigured, match=words) as raised:
        make_transport(spec, Context(Clock(), tmp_path, tmp_path, Hub(), lambda _: None))
    assert str(raised.value).startswith("feeds/page.yaml:1: feed page: ")


def test_the_jitter_stays_a_small_part_of_the_interval():
    assert 0 < http_poll.JITTER <= 0.2
