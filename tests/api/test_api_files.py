"""Files: the built console, and tiles by range (RFC 9110, 14)."""

import socket

import httpx
import pytest
from api_world import World

from tocsin.geo.tiles import Tiles

BODY = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    dist = folder / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text("<!doctype html><title>Tocsin</title>")
    (dist / "assets" / "app-1a2b.js").write_text("export {}")
    (dist / "assets" / "worker-3c4d.mjs").write_text("export {}")
    (dist / "sw.js").write_text("// worker")
    (dist / "manifest.webmanifest").write_text("{}")
    (folder / "secret.txt").write_text("secret")
    (dist / "link.txt").symlink_to(folder / "secret.txt")
    (folder / "base.pmtiles").write_bytes(BODY)
    tiles = {
        name: Tiles(name, name.title(), "CC0", folder / f"{name}.pmtiles", "mvt", 0, 8, (-180, -85, 180, 85)) for name in ("base", "gone")
    }
    with World(folder, console=dist, tiles=tiles).serving() as world:
        yield world


@pytest.fixture(scope="module")
def get(files):
    with httpx.Client(base_url=files.base, timeout=60) as client:
        yield client.get


@pytest.mark.parametrize(
    ("path", "kind", "cache"),
    [
        ("/", "text/html; charset=utf-8", "no-cache"),
        ("/index.html", "text/html; charset=utf-8", "no-cache"),
        ("/alerts/3f2a", "text/html; charset=utf-8", "no-cache"),
        ("/settings", "text/html; charset=utf-8", "no-cache"),
        ("/assets/app-1a2b.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        ("/assets/worker-3c4d.mjs", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        ("/sw.js", "text/javascript; charset=utf-8", "no-cache"),
        ("/manifest.webmanifest", "application/manifest+json", "no-cache"),
    ],
)
def test_the_console(get, path, kind, cache):
    reply = get(path)
    assert (reply.status_code, reply.headers["content-type"], reply.headers["cache-control"]) == (200, kind, cache)
    assert reply.headers["content-security-policy"]
    assert get(path, headers={"if-none-match": reply.headers["etag"]}).status_code == 304


@pytest.mark.parametrize(
    "path",
    ["/assets/gone-9z.js", "/favicon.ico", "/link.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/a%00b.txt", "/" + "x" * 300 + ".js"],
)
def test_files_that_are_not_there(get, path):
    reply = get(path)
    assert (reply.status_code, reply.headers["content-type"]) == (404, "application/problem+json")
    assert b"secret" not in reply.content.replace(path.encode(), b"").replace(b"secret.txt", b"")


def test_no_way_out_of_the_folder(files):
    """As sent, without a client that tidies the path up."""
    for path in ("/../secret.txt", "/assets/../../secret.txt", "//secret.txt", "/./../secret.txt"):
        with socket.create_connection(("127.0.0.1", files.port), timeout=60) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{files.port}\r\nConnection: close\r\n\r\n".encode())
            reply = b"".join(iter(lambda: connection.recv(65536), b""))
        assert reply.startswith(b"HTTP/1.1 404 "), path


def test_a_console_that_is_not_built_says_so(tmp_path):
    with World(tmp_path, console=tmp_path / "none").serving() as world:
        reply = httpx.get(world.base + "/", timeout=60)
        assert (reply.status_code, "make setup" in reply.text) == (503, True)


def test_tiles_whole_and_by_range(get):
    whole = get("/tiles/base.pmtiles")
    assert (whole.status_code, whole.content, whole.headers["accept-ranges"]) == (200, BODY, "bytes")
    assert whole.headers["content-type"] == "application/vnd.pmtiles"
    for asked, first, last in (
        ("bytes=0-126", 0, 126),
        ("bytes=5000-", 5000, len(BODY) - 1),
        ("bytes=-10", len(BODY) - 10, len(BODY) - 1),
        ("bytes=10000-99999", 10000, len(BODY) - 1),
    ):
        part = get("/tiles/base.pmtiles", headers={"range": asked})
        assert (part.status_code, part.content) == (206, BODY[first : last + 1])
        assert part.headers["content-range"] == f"bytes {first}-{last}/{len(BODY)}"
        assert int(part.headers["content-length"]) == last + 1 - first


def test_several_ranges(get):
    reply = get("/tiles/base.pmtiles", headers={"range": "bytes=0-3,100-103"})
    assert reply.status_code == 206
    assert reply.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert BODY[0:4] in reply.content
    assert BODY[100:104] in reply.content


def test_if_range(get):
    etag = get("/tiles/base.pmtiles").headers["etag"]
    same = get("/tiles/base.pmtiles", headers={"range": "bytes=0-3", "if-range": etag})
    changed = get("/tiles/base.pmtiles", headers={"range": "bytes=0-3", "if-range": '"other"'})
    assert (same.status_code, same.content) == (206, BODY[:4])
    assert (changed.status_code, changed.content) == (200, BODY)


@pytest.mark.parametrize(("asked", "status"), [("bytes=999999-", 416), ("bytes=a-b", 400), ("bytes=9-3", 400)])
def test_ranges_that_cannot_be(get, asked, status):
    reply = get("/tiles/base.pmtiles", headers={"range": asked})
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
    assert asked in reply.json()["detail"]
    if status == 416:
        assert reply.headers["content-range"] == f"bytes */{len(BODY)}"


def test_head_of_tiles(files):
    reply = httpx.head(files.base + "/tiles/base.pmtiles")
    assert (reply.status_code, reply.headers["content-length"], reply.content) == (200, str(len(BODY)), b"")


def test_tiles_that_are_not_there(get):
    assert "(did you mean 'base'?)" in get("/tiles/bases.pmtiles").json()["detail"]
    gone = get("/tiles/gone.pmtiles")
    assert (gone.status_code, "has gone" in gone.json()["detail"]) == (404, True)
    assert "read it by range at /tiles/base.pmtiles" in get("/api/v1/layers/base").json()["detail"]
    assert [item["kind"] for item in get("/api/v1/layers").json()["items"]] == ["tiles", "tiles"]
